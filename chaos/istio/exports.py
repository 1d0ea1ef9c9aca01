"""Who sees an object by its ``exportTo``, and in which of istiod's buckets.

Source: istiod ``pilot/pkg/model/push_context.go`` (initVirtualServices, initServiceRegistry).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

Object = Mapping[str, Any]
Reach = Literal["private", "exported", "public"]

PUBLIC: Final = ("*",)
_ANNOTATION: Final = "networking.istio.io/exportTo"


def export_of(virtual_service: Object, *, default: Sequence[str] = PUBLIC) -> tuple[str, ...]:
    """The effective ``exportTo``: the object's own, or the mesh's default where it has none."""
    return tuple(virtual_service.get("spec", {}).get("exportTo") or default)


def export_of_service(service: Object) -> tuple[str, ...]:
    """The effective ``exportTo`` of a Kubernetes Service: what its annotation lists (conversion.go ConvertService)."""
    text = (service["metadata"].get("annotations") or {}).get(_ANNOTATION)
    return tuple(entry.strip() for entry in str(text).split(",")) if text else PUBLIC


def exported_namespaces(obj: Object, *, default: Sequence[str] = PUBLIC) -> tuple[str, ...]:
    """The namespaces of the effective ``exportTo``, ``.`` resolved; ``*`` for all, empty where nobody sees the object."""
    entries = export_of(obj, default=default)
    if "*" in entries:
        return PUBLIC
    home = obj["metadata"]["namespace"]
    return () if "~" in entries else tuple(dict.fromkeys(home if entry == "." else entry for entry in entries))


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
