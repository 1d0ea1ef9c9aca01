"""What a request's path names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaos.lab.api.resources import BY_KEY, Resource


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a path names."""

    resource: Resource
    version: str
    namespace: str | None
    name: str | None
    subresource: str | None


def parse_path(path: str) -> Target | None:
    """What a path names; ``None`` for one that names no resource."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) >= 3 and ((group, rest[2]) in BY_KEY or group):
        namespace, rest = rest[1], rest[2:]
    resource = BY_KEY.get((group, rest[0]))
    if resource is None or version not in resource.versions or len(rest) > 3:
        return None
    if resource.namespaced and namespace is None and len(rest) > 1:
        return None
    return Target(
        resource=resource, version=version, namespace=namespace,
        name=rest[1] if len(rest) > 1 else None, subresource=rest[2] if len(rest) > 2 else None,
    )  # fmt: skip


def as_served(obj: dict[str, Any], target: Target) -> dict[str, Any]:
    """The object in the version that was asked for."""
    return {**obj, "apiVersion": target.resource.api_version(target.version), "kind": target.resource.kind}


def is_set(query: Mapping[str, str], name: str) -> bool:
    """Whether a parameter is there and true: all but ``false`` and ``0`` is (apimachinery ``Convert_Slice_string_To_bool``)."""
    return name in query and query[name].lower() not in ("false", "0")
