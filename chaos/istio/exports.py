"""Who sees an object by its ``exportTo``, and in which of istiod's buckets.

Source: istiod ``pilot/pkg/model/push_context.go`` (initVirtualServices, initServiceRegistry).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

Object = Mapping[str, Any]
Reach = Literal["private", "exported", "public"]

PUBLIC: Final = ("*",)


def export_of(virtual_service: Object, *, default: Sequence[str] = PUBLIC) -> tuple[str, ...]:
    """The effective ``exportTo``: the object's own, or the mesh's default where it has none."""
    return tuple(virtual_service.get("spec", {}).get("exportTo") or default)


def reach(virtual_service: Object, namespace: str, *, default: Sequence[str] = PUBLIC) -> Reach | None:
    """In which of istiod's buckets a proxy of ``namespace`` finds this VirtualService; ``None`` where it can't see it."""
    owner = virtual_service["metadata"]["namespace"]
    return reach_of(export_of(virtual_service, default=default), owner, namespace)


def reach_of(export: Sequence[str], owner: str, namespace: str) -> Reach | None:
    """In which bucket ``namespace`` finds what ``owner`` exports so.

    ``*`` overrides every other entry; ``~`` is nobody. In its own namespace, named or as ``.``, an object is private,
    whoever else sees it.
    """
    if "*" in export:
        return "public"
    if "~" in export:
        return None
    if namespace == owner:
        return "private" if "." in export or owner in export else None
    return "exported" if namespace in export else None


def serves_as_delegate(virtual_service: Object, namespace: str, *, default: Sequence[str] = PUBLIC) -> bool:
    """Whether roots of a namespace may delegate to a VirtualService (mergeVirtualServicesIfNeeded)."""
    owner = virtual_service["metadata"]["namespace"]
    export = export_of(virtual_service, default=default)
    return "*" in export or namespace in {owner if entry == "." else entry for entry in export}
