"""Small objects of a mesh."""

from __future__ import annotations

from typing import Any


def obj(name: str, namespace: str = "staging", *, day: int = 1, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-{day:02}T00:00:00Z"}
    return {"metadata": meta, "spec": spec}


def service(name: str = "inventory", namespace: str = "staging", *, port: int = 80, **ports: int) -> dict[str, Any]:
    listed = [{"name": "http", "port": port}, *({"name": key, "port": number} for key, number in ports.items())]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": listed}}
