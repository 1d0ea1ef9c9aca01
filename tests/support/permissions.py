"""What Kubernetes asks RBAC for."""

from __future__ import annotations


def permission(method: str, path: str) -> tuple[str, str, str] | None:
    """The verb that Kubernetes asks RBAC for; ``None`` for discovery, which every account may."""
    parts = [part for part in path.split("/") if part]
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if len(rest) < 3:
        return None
    named = len(rest) > 3
    verb = {"GET": "get" if named else "list", "POST": "create", "PUT": "update", "DELETE": "delete"}[method]
    return group, rest[2], verb
