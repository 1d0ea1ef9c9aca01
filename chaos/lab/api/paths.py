"""What a request's path names, as ``apiserver/pkg/endpoints/request/requestinfo.go`` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chaos.lab.api.errors import ApiError, no_resource, page_not_found
from chaos.lab.api.resources import BY_KEY, Resource

_OF_NAMESPACES: Final = ("status", "finalize")
"""Subresources of a namespace; any other word there is a resource in it."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """What the words of a path name, whether there is such a thing or not."""

    group: str
    version: str
    namespace: str | None
    plural: str
    name: str | None
    subresource: str | None
    deep: bool = False

    @property
    def resource(self) -> str:
        """The resource with its subresource, as rights name it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a request is about."""

    resource: Resource
    version: str
    namespace: str | None
    name: str | None
    subresource: str | None


def named(path: str) -> Named | None:
    """The words of a path to a resource; ``None`` for any other path."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) >= 3 and (group or rest[2] not in _OF_NAMESPACES):
        namespace, rest = rest[1], rest[2:]
    return Named(
        group=group, version=version, namespace=namespace, plural=rest[0], name=rest[1] if len(rest) > 1 else None,
        subresource=rest[2] if len(rest) > 2 else None, deep=len(rest) > 3,
    )  # fmt: skip


def target(words: Named, verb: str) -> Target:
    """What the words name here.

    Args:
        words: Of a path.
        verb: What is wanted of it, in RBAC's words.

    Raises:
        ApiError: 404, there is no such resource; as Kubernetes' own groups say it, or as nobody does.
    """
    resource = BY_KEY.get((words.group, words.plural))
    if resource is None or words.version not in resource.versions:
        own = "." not in words.group or words.group.endswith(".k8s.io")
        raise no_resource() if own else page_not_found()
    cluster_wide = resource.namespaced and words.namespace is None
    if (cluster_wide and (words.name or verb not in ("list", "watch"))) and resource.custom:
        raise page_not_found()
    if (cluster_wide and words.name) or (words.deep and not resource.custom):
        raise no_resource()
    return Target(
        resource=resource, version=words.version, namespace=words.namespace, name=words.name, subresource=words.subresource
    )  # fmt: skip


def no_subresource(asked: Target) -> ApiError:
    """404: the resource has no such part; custom resources say that the object is not there."""
    res = asked.resource
    if not res.custom:
        return no_resource()
    details = {"name": asked.name, "group": res.group, "kind": res.plural}
    return ApiError(404, "NotFound", f'{res.plural}.{res.group} "{asked.name}" not found', details=details)


def as_served(obj: dict[str, Any], target: Target) -> dict[str, Any]:
    """The object in the version that was asked for."""
    return {**obj, "apiVersion": target.resource.api_version(target.version), "kind": target.resource.kind}


def is_set(query: Mapping[str, str], name: str) -> bool:
    """Whether a parameter is there and true: all but ``false`` and ``0`` is (apimachinery ``Convert_Slice_string_To_bool``)."""
    return name in query and query[name].lower() not in ("false", "0")
