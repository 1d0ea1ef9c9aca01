"""A Pod on this node, and what its ``status`` says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.istio.proxy import CONTAINER
from chaos.lab.containers.container import Container
from chaos.lab.istio.proxy import Proxy
from chaos.lab.processes import Child
from chaos.lab.status import condition, timestamp

Object = Mapping[str, Any]


@dataclass(slots=True)
class RunningPod:
    """One pod on this node; ``container`` is the user's process, where a stand-in does not answer for it."""

    namespace: str
    name: str
    uid: str
    ip: str
    app: str
    ports: list[int]
    proxied: bool
    proxy: Proxy | None = None
    envoy: Child | None = None
    container: Container | None = None
    ready: bool = False
    problem: str = ""
    hint: str | None = None
    task: asyncio.Task[None] | None = None
    begun: str = field(default_factory=timestamp)


def status_of(running: RunningPod, pod: Object, *, failed: str = "") -> dict[str, Any]:
    """The status of a Pod.

    Args:
        running: How it is.
        pod: As it is stored.
        failed: The container that has ended, where only one has.
    """
    before = pod.get("status") or {}
    begun = running.container is not None and running.container.begun
    phase = "Running" if running.ready or failed or begun else "Failed" if running.problem else "Pending"
    status = {
        "phase": phase,
        "podIP": running.ip,
        "podIPs": [{"ip": running.ip}],
        "hostIP": "127.0.0.1",
        "startTime": running.begun,
        "qosClass": "BestEffort",
        "conditions": [
            condition("PodScheduled", true=True, reason="", before=before),
            condition("Initialized", true=True, reason="", before=before),
            *(
                condition(
                    kind,
                    true=running.ready,
                    reason="" if running.ready else "ContainersNotReady",
                    message=running.problem,
                    before=before,
                )
                for kind in ("ContainersReady", "Ready")
            ),
        ],
        "containerStatuses": [
            _container_status(container, running, failed=failed) for container in pod["spec"].get("containers", ())
        ],
    }
    if running.problem:
        status["message"] = running.problem
    return status


def _container_status(container: Object, running: RunningPod, *, failed: str) -> dict[str, Any]:
    state: dict[str, Any]
    name = str(container["name"])
    is_proxy = name == CONTAINER
    if running.container is not None and not is_proxy and not running.problem:
        return {"name": name, "image": container.get("image", ""), "imageID": "", **running.container.status()}
    if failed and is_proxy == (failed == CONTAINER):
        state = {
            "terminated": {"exitCode": 137, "reason": "Error", "message": running.problem, "finishedAt": timestamp()}
        }
    elif running.ready or failed or running.container is not None:
        state = {"running": {"startedAt": running.begun}}
    else:
        reason = "CreateContainerError" if running.problem else "ContainerCreating"
        state = {"waiting": {"reason": reason, "message": running.problem}}
    up = "running" in state
    return {
        "name": name,
        "image": container.get("image", ""),
        "imageID": "",
        "ready": up,
        "started": up,
        "restartCount": 0,
        "state": state,
    }
