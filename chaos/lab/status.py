"""What controllers and the node say of objects in their ``status``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chaos.lab.api.resources import Resource
from chaos.lab.api.store import Store

Object = Mapping[str, Any]


def write_status(store: Store, resource: Resource, obj: Object, status: Object) -> None:
    """Replaces an object's status where it has changed."""
    if (obj.get("status") or {}) != status:
        meta = obj["metadata"]
        store.replace(resource, meta["namespace"], meta["name"], {"status": status}, status=True)


def is_ready(pod: Object) -> bool:
    """Whether a pod may get traffic."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and any(
        one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ()
    )


def is_owned_by(obj: Object, owner: Object) -> bool:
    """Whether an object goes with its owner."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(one.get("uid") == owner["metadata"]["uid"] for one in owners)


def condition(kind: str, *, true: bool, reason: str, before: Object, message: str = "") -> dict[str, Any]:
    """A status condition that keeps its transition time while its status stays the same."""
    status = "True" if true else "False"
    for old in before.get("conditions") or ():
        if old["type"] == kind and old["status"] == status and old.get("reason") == reason:
            return dict(old)
    made = {"type": kind, "status": status, "reason": reason, "lastTransitionTime": timestamp()}
    return {**made, "message": message} if message else made


def timestamp() -> str:
    """Now, in Kubernetes' form."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
