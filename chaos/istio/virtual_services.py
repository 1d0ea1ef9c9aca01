"""How Istio reads a VirtualService's hosts, who sees it and which one wins. Pure functions over plain objects.

Sources: istiod ``pilot/pkg/model/config.go`` (ResolveShortnameToFQDN, sortConfigByCreationTime),
``pilot/pkg/model/virtualservice.go`` (SelectVirtualServices),
``pilot/pkg/model/push_context.go`` (initVirtualServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from chaos.istio.hosts import resolve_host

Object = Mapping[str, Any]
Reach = Literal["private", "exported", "public"]

MESH: Final = "mesh"
PUBLIC: Final = ("*",)


def hosts_of(virtual_service: Object) -> tuple[str, ...]:
    """The resolved hosts of a VirtualService; empty for a delegate."""
    namespace = virtual_service["metadata"]["namespace"]
    return tuple(resolve_host(host, namespace) for host in virtual_service.get("spec", {}).get("hosts") or ())


def gateways_of(virtual_service: Object) -> tuple[str, ...]:
    """The gateways a VirtualService is bound to, ``mesh`` where it names none."""
    return tuple(virtual_service.get("spec", {}).get("gateways") or (MESH,))


def export_of(virtual_service: Object, *, default: Sequence[str] = PUBLIC) -> tuple[str, ...]:
    """The effective ``exportTo``: the object's own, or the mesh's default where it has none."""
    return tuple(virtual_service.get("spec", {}).get("exportTo") or default)


def roots_of(virtual_service: Object, others: Iterable[Object]) -> tuple[str, ...]:
    """The VirtualServices that delegate to this one, as ``namespace/name``; none where it is no delegate.

    Without hosts it is a delegate, and what it does, its roots do, at gateways too (istiod
    ``pilot/pkg/model/virtualservice.go`` mergeVirtualServicesIfNeeded).
    """
    meta = virtual_service["metadata"]
    if virtual_service.get("spec", {}).get("hosts"):
        return ()
    return tuple(
        f"{other['metadata']['namespace']}/{other['metadata']['name']}"
        for other in others
        if (meta["namespace"], meta["name"]) in delegates_of(other)
    )


def delegates_of(virtual_service: Object) -> tuple[tuple[str, str], ...]:
    """``(namespace, name)`` of the VirtualServices that a root delegates to."""
    home = virtual_service["metadata"]["namespace"]
    named = [route["delegate"] for route in virtual_service.get("spec", {}).get("http") or () if route.get("delegate")]
    return tuple((one.get("namespace") or home, one.get("name", "")) for one in named)


def reach(virtual_service: Object, namespace: str, *, default: Sequence[str] = PUBLIC) -> Reach | None:
    """In which of istiod's buckets a proxy of ``namespace`` finds this VirtualService; ``None`` where it can't see it.

    ``*`` overrides every other entry of ``exportTo``; ``.`` is the object's own namespace; ``~`` is nobody.
    """
    export = export_of(virtual_service, default=default)
    owner = virtual_service["metadata"]["namespace"]
    if "*" in export:
        return "public"
    if "~" in export:
        return None
    private = all(entry in (".", owner) for entry in export)
    if private:
        return "private" if namespace == owner else None
    if namespace in export or ("." in export and namespace == owner):
        return "exported"
    return None


def age_key(obj: Object) -> tuple[str, str, str]:
    """Sort key of istiod for objects that compete: oldest first, then name, then namespace."""
    meta = obj["metadata"]
    return (str(meta.get("creationTimestamp", "")), meta["name"], meta.get("namespace", ""))


def order_for_namespace(
    virtual_services: Iterable[Object], namespace: str, *, default: Sequence[str] = PUBLIC
) -> list[Object]:
    """The VirtualServices that proxies of ``namespace`` see, in the order in which istiod considers them.

    Private ones first, then those exported to the namespace, then public ones; oldest first in each. Sidecars do not
    merge: the first that has a route for the proxy governs a host (istio/istio#22997, #48330).
    """
    found: dict[Reach, list[Object]] = {"private": [], "exported": [], "public": []}
    for virtual_service in virtual_services:
        kind = reach(virtual_service, namespace, default=default)
        if kind is not None:
            found[kind].append(virtual_service)
    return [vs for kind in found.values() for vs in sorted(kind, key=age_key)]


def selects_source(
    match: Mapping[str, Any], *, labels: Mapping[str, str], namespace: str, gateways: Sequence[str] = (MESH,)
) -> bool:
    """Whether a match block is for this proxy, as istiod decides it when it builds the proxy's routes.

    Where ``match.gateways`` is set, only the gateways are looked at: source selectors in the same block are silently
    ignored (istiod ``route.go`` sourceMatchHTTP).
    """
    own = match.get("gateways")
    if own:
        return any(gateway in own for gateway in gateways)
    wanted = match.get("sourceLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return match.get("sourceNamespace") in (None, "", namespace)
