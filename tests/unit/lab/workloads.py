"""Workloads on the lab's real store, with its controller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from chaos.lab.api.resources import (
    NAMESPACES,
    PODS,
)
from chaos.lab.api.store import Store
from chaos.lab.controller import Controller
from chaos.lab.status import is_ready


def run(work: Callable[[Store, Controller], None]) -> None:
    async def whole() -> None:
        store = Store()
        store.create(NAMESPACES, {"metadata": {"name": "staging", "labels": {"istio-injection": "enabled"}}})
        work(store, Controller(store))

    asyncio.run(whole())


def deployment(name: str = "a", *, replicas: int = 1, image: str = "one", **port: Any) -> dict[str, Any]:
    port = port or {"name": "http", "containerPort": 8080}
    return {
        "metadata": {"name": name, "namespace": "staging"},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image, "ports": [port]}]},
            },
        },
    }


def service(name: str = "a", *, target: object = 8080, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "staging"},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": target}], **spec},
    }


def names(store: Store, namespace: str = "staging") -> list[str]:
    return [pod["metadata"]["name"] for pod in store.list(PODS, namespace)]


def make_ready(store: Store, *, first_ip: int = 1, namespace: str = "staging") -> None:
    for at, pod in enumerate(store.list(PODS, namespace)):
        if not is_ready(pod):
            status = {"podIP": f"127.9.1.{first_ip + at}", "conditions": [{"type": "Ready", "status": "True"}]}
            store.replace(PODS, namespace, pod["metadata"]["name"], {"status": status}, status=True)


def settled(store: Store, controller: Controller, *, ready: bool = True, namespace: str = "staging") -> list[str]:
    """The pods when nothing happens any more, each ready as soon as it is there."""
    for _ in range(20):
        controller.settle()
        if ready:
            make_ready(store, namespace=namespace)
    return names(store, namespace)
