"""Cells of ``kubectl get pods`` that no single field holds: kubectl's STATUS and RESTARTS, as the API server prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def state(pod: Mapping[str, Any]) -> str:
    """Why a container does not run, such as ``CrashLoopBackOff``; else the phase."""
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        for kind in ("waiting", "terminated"):
            reason = (container["state"].get(kind) or {}).get("reason")
            if reason:
                return str(reason)
    return str(status.get("phase") or "<none>")


def restarts(pod: Mapping[str, Any]) -> str:
    """Of all containers together."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return str(sum(one.get("restartCount", 0) for one in statuses))
