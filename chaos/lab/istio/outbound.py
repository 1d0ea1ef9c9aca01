"""The routes of a sidecar: what becomes of each name that it may be asked for (istiod ``httproute.go``, ``route.go``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from chaos.istio.governing import LEGACY_PORT, VirtualHost, domains_of
from chaos.lab.istio.pieces import pod_of_request
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.routes import MAX_BODY, Route, default_route, routes_of
from chaos.lab.istio.snapshot import Snapshot

ROUTE_NAME: Final = "outbound"


def outbound_routes(proxy: Proxy, snapshot: Snapshot) -> dict[str, Any]:
    """The route configuration of one sidecar.

    Where Istio has a listener for each port, the lab has one for all, as an HTTP proxy; so domains carry the port.
    """
    key = ("outbound", proxy.namespace, snapshot.mesh.selecting(proxy.namespace, proxy.labels))
    hosts = snapshot.once(key, lambda: [*_virtual_hosts(proxy, snapshot), _black_hole()])
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTE_NAME,
        "virtual_hosts": hosts,
        "max_direct_response_body_size_bytes": MAX_BODY,
        "validate_clusters": False,
    }


def _virtual_hosts(proxy: Proxy, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The same for every sidecar of a namespace that the same source selectors select."""
    for port in snapshot.mesh.ports:
        made: dict[int, list[Route]] = {}
        taken: set[str] = set()
        for host in snapshot.mesh.virtual_hosts(proxy.namespace, proxy.labels, port):
            taken.update(host.domains)
            domains = [*(host.domains if port == LEGACY_PORT else ()), *(f"{one}:{port}" for one in host.domains)]
            yield from _named(host.host, port, domains, _routes(host, proxy, snapshot, port, made), snapshot)
        yield from _passed_on(proxy, snapshot, port, taken)


def _passed_on(proxy: Proxy, snapshot: Snapshot, number: int, taken: set[str]) -> Iterator[dict[str, Any]]:
    """Services whose port is not HTTP: Istio's sidecar hands on bytes, the lab's, as an HTTP proxy, requests as they are.

    A VirtualService may have taken one of their names for itself; Envoy takes no name twice.
    """
    known = {service.host for service in snapshot.services}
    for service in snapshot.services:
        if any(port.number == number and not port.is_http for port in service.ports):
            domains = [one for one in domains_of(service.registered, proxy.namespace, known) if one not in taken]
            taken.update(domains)
            if domains:
                domains = [f"{domain}:{number}" for domain in domains]
                yield from _named(service.host, number, domains, [default_route(service.host, number)], snapshot)


def _named(
    host: str, port: int, domains: Sequence[str], routes: Sequence[Route], snapshot: Snapshot
) -> Iterator[dict[str, Any]]:
    """The virtual host of a service; of a headless one also that of its pods' own names, with the same routes."""
    service = snapshot.by_host.get(host)
    pods = [one for one in domains if service is not None and service.headless and one.startswith("*.")]
    common = {"routes": routes, "include_request_attempt_count": True}
    yield {"name": f"{host}:{port}", "domains": [one for one in domains if one not in pods], **common}
    if pods:
        yield {"name": f"*.{host}:{port}", "domains": pods, **common, "typed_per_filter_config": pod_of_request()}


def _routes(
    host: VirtualHost, proxy: Proxy, snapshot: Snapshot, port: int, made: dict[int, list[Route]]
) -> list[Route]:
    """Those of the VirtualService that governs, the same for all of its hosts; without one, to the service."""
    if host.governor is None:
        return [default_route(host.host, port, snapshot.destination_rule(host.host, proxy.namespace))]
    key = id(host.governor)
    if key not in made:
        made[key] = _shortened(routes_of(host.governor, proxy, snapshot, port=port), snapshot)
    return made[key]


def _shortened(routes: list[Route], snapshot: Snapshot) -> list[Route]:
    """Where none leads to a service that is there, all are answered with 503: the last is enough to say so.

    That is what most VirtualServices' hosts have on port 80, for which they are not meant; in full it would be half of all
    that a proxy is sent.
    """
    if routes[-1]["match"] != {"prefix": "/"} or not all(_leads_nowhere(route, snapshot) for route in routes):
        return routes
    last = routes[-1]
    cluster = next(iter(clusters_of(last)))
    return [{**{key: last[key] for key in ("name", "match", "metadata") if key in last}, "route": {"cluster": cluster}}]


def _leads_nowhere(route: Route, snapshot: Snapshot) -> bool:
    """Whether no cluster of it exists, and nothing answers or changes the answer before that is seen."""
    found = clusters_of(route)
    answered = route.keys() & {"typed_per_filter_config", "response_headers_to_add", "response_headers_to_remove"}
    return bool(found) and not answered and not any(snapshot.has_cluster(one) for one in found)


def clusters_of(route: Route) -> list[str]:
    """The clusters that a route leads to."""
    action = route.get("route") or {}
    weighted = (action.get("weighted_clusters") or {}).get("clusters") or ()
    return [action["cluster"]] if "cluster" in action else [one["name"] for one in weighted]


def _black_hole() -> dict[str, Any]:
    """Hosts that nobody knows, as with ``outboundTrafficPolicy: REGISTRY_ONLY``."""
    return {
        "name": "block_all",
        "domains": ["*"],
        "routes": [{"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}],
    }
