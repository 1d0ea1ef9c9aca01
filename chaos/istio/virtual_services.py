"""How Istio reads a VirtualService, whom its routes are for, and in which order several are considered.

Sources: istiod ``pilot/pkg/model/config.go`` (sortConfigByCreationTime), ``pilot/pkg/model/virtualservice.go``
(SelectVirtualServices), ``pilot/pkg/networking/core/route/route.go`` (BuildHTTPRoutesForVirtualService, sourceMatchHTTP).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.exports import PUBLIC, Object, Reach, reach
from chaos.istio.gateways import gateway_name
from chaos.istio.hosts import resolve_host

MESH: Final = "mesh"


def hosts_of(virtual_service: Object) -> tuple[str, ...]:
    """The resolved hosts of a VirtualService, in lower case, as Istio routes them from 1.30 on; empty for a delegate."""
    return tuple(host.lower() for host in written_hosts_of(virtual_service))


def written_hosts_of(virtual_service: Object) -> tuple[str, ...]:
    """The resolved hosts in the case in which they are written.

    By these istiod decides still what a Sidecar imports, and that an exact host comes before a wildcard.
    """
    namespace = virtual_service["metadata"]["namespace"]
    return tuple(resolve_host(host, namespace) for host in virtual_service.get("spec", {}).get("hosts") or ())


def gateways_of(virtual_service: Object) -> tuple[str, ...]:
    """The gateways a VirtualService is bound to, ``mesh`` where it names none."""
    return tuple(virtual_service.get("spec", {}).get("gateways") or (MESH,))


def bound_gateways(virtual_service: Object, routes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The gateways, beside the mesh, to which these routes of a VirtualService are bound."""
    blocks = [block for route in routes for block in route.get("match") or [{}]]
    named = {gateway for block in blocks for gateway in block.get("gateways") or gateways_of(virtual_service)}
    return tuple(sorted(named - {MESH}))


def http_routes(virtual_service: Object) -> Sequence[Mapping[str, Any]]:
    """Its HTTP routes; one with routes for TCP or TLS alone has none."""
    return (virtual_service.get("spec") or {}).get("http") or ()


def destinations_of(route: Mapping[str, Any]) -> Iterator[Any]:
    """The destinations to which an HTTP route sends requests, and copies of them."""
    yield from (part["destination"] for part in route.get("route") or () if part.get("destination"))
    yield from mirrors_of(route)


def mirrors_of(route: Mapping[str, Any]) -> Iterator[Any]:
    """The destinations to which an HTTP route sends copies of requests."""
    yield from (part["destination"] for part in route.get("mirrors") or () if part.get("destination"))
    if route.get("mirror"):
        yield route["mirror"]


def mirrored_by(virtual_service: Object) -> Iterator[str]:
    """The resolved hosts that get copies of requests."""
    for route in virtual_service.get("spec", {}).get("http") or ():
        for destination in mirrors_of(route):
            yield resolve_host(destination["host"], virtual_service["metadata"]["namespace"])


def sent_to(route: Mapping[str, Any]) -> Iterator[Any]:
    """The destinations to one of which an HTTP route sends a request: of several, those with a weight, and no copies.

    istiod ``route.go`` applyHTTPRouteDestination.
    """
    parts = route.get("route") or ()
    yield from (part["destination"] for part in parts if len(parts) == 1 or part.get("weight", 0) > 0)


def without_weights(virtual_service: Object) -> Object:
    """What of its spec stays the same while a canary shifts weights."""
    spec = virtual_service.get("spec") or {}
    routes = [
        {**route, "route": [{**part, "weight": None} for part in route.get("route") or ()]}
        for route in spec.get("http") or ()
    ]
    return {**spec, "http": routes}


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


def same(one: Object, other: Object) -> bool:
    """Whether two are the same object, whatever is in it."""
    return title(one) == title(other)


def title(obj: Object) -> str:
    """``namespace/name``."""
    return "{namespace}/{name}".format(**obj["metadata"])


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


def is_for_proxy(
    match: Mapping[str, Any],
    *,
    labels: Mapping[str, str],
    namespace: str,
    port: int | None,
    gateways: Sequence[str] = (MESH,),
    home: str = "",
) -> bool:
    """Whether a match block is for requests of this proxy, as istiod decides it when it builds the proxy's routes.

    Where ``match.gateways`` is set, only the gateways are looked at: source selectors in the same block are silently
    ignored (istiod ``route.go`` sourceMatchHTTP).

    Args:
        match: The block.
        labels: The proxy's.
        namespace: The proxy's.
        port: To which the requests are; ``None`` for any.
        gateways: As what the proxy acts: ``mesh``, or the full names of its gateways.
        home: The VirtualService's namespace, of which short names of gateways are.
    """
    if port is not None and match.get("port") not in (None, 0, port):
        return False
    own = match.get("gateways")
    if own:
        return any(name in gateways or (name != MESH and gateway_name(name, home) in gateways) for name in own)
    wanted = match.get("sourceLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return match.get("sourceNamespace") in (None, "", namespace)


def is_for_sidecars(match: Mapping[str, Any]) -> bool:
    """Whether a match block is for sidecars, and not for gateways only."""
    return not match.get("gateways") or MESH in match["gateways"]


def ignored_selectors(match: Mapping[str, Any]) -> list[str]:
    """The source selectors of a match block that have no effect, as ``is_for_proxy`` says."""
    return [key for key in ("sourceLabels", "sourceNamespace") if match.get(key)] if match.get("gateways") else []


def has_route_for(virtual_service: Object, *, labels: Mapping[str, str], namespace: str, port: int | None) -> bool:
    """Whether any HTTP route of a VirtualService is for a sidecar's requests to a port; ``None``: to any.

    Without one istiod passes the whole object over, and the next one governs.
    """
    blocks = (
        block for route in virtual_service.get("spec", {}).get("http") or () for block in route.get("match") or [{}]
    )
    return any(is_for_proxy(block, labels=labels, namespace=namespace, port=port) for block in blocks)
