"""The routes of a sidecar: which VirtualService governs which host for this caller (istiod ``httproute.go``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.routes import MAX_BODY, Route, default_route, routes_of, virtual_hosts
from chaos.lab.istio.snapshot import Port, Seen, Service, Snapshot

ROUTE_NAME: Final = "outbound"


def outbound_routes(proxy: Proxy, snapshot: Snapshot) -> dict[str, Any]:
    """The route configuration of one sidecar.

    Where Istio has a listener for each port, the lab has one for all, as an HTTP proxy; so domains carry the port.
    """
    hosts = snapshot.once(
        ("outbound", proxy.namespace, snapshot.seen_from(proxy.namespace).selecting(proxy.labels)),
        lambda: _virtual_hosts(proxy, snapshot),
    )
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTE_NAME,
        "virtual_hosts": hosts,
        "max_direct_response_body_size_bytes": MAX_BODY,
        "validate_clusters": False,
    }


def _virtual_hosts(proxy: Proxy, snapshot: Snapshot) -> list[dict[str, Any]]:
    """The same for every sidecar of a namespace that the same source selectors select."""
    seen = snapshot.seen_from(proxy.namespace)
    domains: dict[str, Sequence[str]] = {}
    routes: dict[str, list[Route]] = {}
    for service in snapshot.services:
        for port in service.ports:
            name = f"{service.host}:{port.number}"
            domains[name] = _domains(service, port, proxy.namespace)
            routes[name] = _govern(service, port, seen, proxy, snapshot)
    for host, governing in seen.exact.items():
        if host in snapshot.by_host:
            continue
        found = next((found for vs in governing if (found := routes_of(vs, proxy, snapshot, port=80))), None)
        if found is not None:  # istiod: a host that isn't in the registry, on port 80 only
            domains[f"{host}:80"], routes[f"{host}:80"] = (host, f"{host}:80"), found
    return [*virtual_hosts(domains, routes), _black_hole()]


def _govern(service: Service, port: Port, seen: Seen, proxy: Proxy, snapshot: Snapshot) -> list[Route]:
    """The routes of the first VirtualService that has any for this proxy; exact hosts before wildcards."""
    if port.is_http:
        for vs in seen.for_host(service.host):
            found = routes_of(vs, proxy, snapshot, port=port.number)
            if found:
                return found
    return [default_route(service.host, port.number, snapshot.destination_rule(service.host, proxy.namespace))]


def _domains(service: Service, port: Port, namespace: str) -> list[str]:
    """istiod generateVirtualHostDomains: the short name is for callers of the same namespace only."""
    name, home = service.name, service.namespace
    names = [service.host]
    if not service.host_name:
        names += [f"{name}.{home}.svc", f"{name}.{home}"]
        if namespace == home:
            names.append(name)
    if service.address and service.address != "None":
        names.append(service.address)
    bare = names if port.number == 80 else []
    return [*bare, *(f"{one}:{port.number}" for one in names)]


def _black_hole() -> dict[str, Any]:
    """Hosts that nobody knows, as with ``outboundTrafficPolicy: REGISTRY_ONLY``."""
    return {
        "name": "block_all",
        "domains": ["*"],
        "routes": [{"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}],
    }
