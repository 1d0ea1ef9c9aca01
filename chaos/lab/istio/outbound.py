"""The routes of a sidecar: which VirtualService governs which host for this caller (istiod ``httproute.go``, ``route.go``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.istio.hosts import host_matches
from chaos.istio.virtual_services import Object, hosts_of
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.routes import MAX_BODY, Route, default_route, routes_of
from chaos.lab.istio.snapshot import Port, Seen, Service, Snapshot

ROUTE_NAME: Final = "outbound"
_HTTP: Final = 80
"""The one port at which hosts that are no services have routes, if a VirtualService names them."""


def outbound_routes(proxy: Proxy, snapshot: Snapshot) -> dict[str, Any]:
    """The route configuration of one sidecar.

    Where Istio has a listener for each port, the lab has one for all, as an HTTP proxy; so domains carry the port.
    """
    hosts = snapshot.once(
        ("outbound", proxy.namespace, snapshot.seen_from(proxy.namespace).selecting(proxy.labels)),
        lambda: [*_virtual_hosts(proxy, snapshot), _black_hole()],
    )
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTE_NAME,
        "virtual_hosts": hosts,
        "max_direct_response_body_size_bytes": MAX_BODY,
        "validate_clusters": False,
    }


def _virtual_hosts(proxy: Proxy, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The same for every sidecar of a namespace that the same source selectors select."""
    seen = snapshot.seen_from(proxy.namespace)
    for number in sorted({_HTTP, *(port.number for service in snapshot.services for port in service.ports)}):
        listening = {
            service.host: (service, port)
            for service in snapshot.services
            for port in service.ports
            if port.number == number
        }
        yield from _Listener(number, listening, seen, proxy, snapshot).virtual_hosts()


@dataclass(frozen=True)
class _Group:
    """Hosts that have the same routes: services, and names of a VirtualService that are none."""

    routes: list[Route]
    services: Sequence[Service] = ()
    others: Sequence[str] = ()


@dataclass(frozen=True)
class _Listener:
    """What is answered at one port.

    Attributes:
        services: Those with this port, by their registry names.
    """

    number: int
    services: Mapping[str, tuple[Service, Port]]
    seen: Seen
    proxy: Proxy
    snapshot: Snapshot
    _taken: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)

    def virtual_hosts(self) -> Iterator[dict[str, Any]]:
        """In istiod's order, in which the first that claims a domain has it."""
        groups = [*self._governed()]
        governed = {service.host for group in groups for service in group.services}
        for host, (service, _) in self.services.items():
            if host not in governed:
                rule = self.snapshot.destination_rule(host, self.proxy.namespace)
                groups.append(_Group([default_route(host, self.number, rule)], [service]))
        known = frozenset(service.host for group in groups for service in group.services)
        for group in groups:
            for host in group.others:
                yield from self._host(host, [host], group.routes)
            for service in group.services:
                yield from self._host(service.host, _domains(service, self.proxy.namespace, known), group.routes)

    def _governed(self) -> Iterator[_Group]:
        """The VirtualServices that have routes for this proxy, each with what it governs (buildSidecarVirtualHosts…)."""
        for vs in self.seen.virtual_services if self.number == _HTTP else self.seen.naming(self.services):
            routes = routes_of(vs, self.proxy, self.snapshot, port=self.number)
            if not routes:
                continue
            services, others = self._separated(vs)
            if services:
                yield _Group(routes, services, others)
            elif self.number == _HTTP:
                yield _Group(routes, (), others)

    def _separated(self, vs: Object) -> tuple[list[Service], list[str]]:
        """The services with HTTP at this port that a VirtualService governs, and its hosts that are no services here.

        A wildcard governs those services alone for which no host of another VirtualService is more specific, whether or not
        that one has a route for this proxy.
        """
        found: list[str] = []
        others: list[str] = []
        for host in sorted(hosts_of(vs), key=lambda one: one.startswith("*")):
            covered = [one for one in self.services if host_matches(host, one)]
            if host.startswith("*"):
                found += [one for one in covered if self.seen.most_specific(one) is vs]
            else:
                found += covered
            if not covered:
                others.append(host)
        services = [self.services[host] for host in dict.fromkeys(found)]
        return [service for service, port in services if port.is_http], others

    def _host(self, name: str, domains: Iterable[str], routes: list[Route]) -> Iterator[dict[str, Any]]:
        """Nothing where the name, or all of its domains, are taken (istiod dedupeDomains)."""
        if name in self._names:
            return
        self._names.add(name)
        own = [domain for domain in domains if domain.lower() not in self._taken]
        self._taken.update(domain.lower() for domain in own)
        if own:
            bare = own if self.number == _HTTP else []
            yield {
                "name": f"{name}:{self.number}",
                "domains": [*bare, *(f"{domain}:{self.number}" for domain in own)],
                "routes": routes,
                "include_request_attempt_count": True,
            }


def _domains(service: Service, namespace: str, known: frozenset[str]) -> list[str]:
    """istiod generateVirtualHostDomains: the short name is for callers of the same namespace only.

    Short forms that are another service's registry name are left to it. A headless Service has names for its pods.
    """
    name, home = service.name, service.namespace
    short = []
    if not service.host_name:
        short = [f"{name}.{home}.svc", f"{name}.{home}"]
        if namespace == home:
            short.append(name)
    names = [service.host, f"{service.host}.", *(one for one in short if one not in known)]
    if service.headless:
        return [*names, *(f"*.{one}" for one in names)]
    return [*names, service.address] if service.address else names


def _black_hole() -> dict[str, Any]:
    """Hosts that nobody knows, as with ``outboundTrafficPolicy: REGISTRY_ONLY``."""
    return {
        "name": "block_all",
        "domains": ["*"],
        "routes": [{"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}],
    }
