"""The routes of a gateway: VirtualServices bound to it are appended, not chosen among (istiod ``gateway.go``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.istio.exports import Object
from chaos.istio.gateways import gateway_name, served_hosts, shared_hosts
from chaos.istio.virtual_services import MESH, age_key, gateways_of, order_for_namespace, written_hosts_of
from chaos.lab.istio.matches import is_catch_all
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.routes import MAX_BODY, Route, routes_of
from chaos.lab.istio.snapshot import Snapshot


def gateways_for(proxy: Proxy, snapshot: Snapshot) -> list[Object]:
    """The Gateways that select this proxy by its pod's labels, the oldest first."""
    return sorted(
        (g for g in snapshot.gateways if (g["spec"].get("selector") or {}).items() <= proxy.labels.items()), key=age_key
    )


def ports(proxy: Proxy, snapshot: Snapshot) -> list[int]:
    """The ports that it listens on."""
    numbers = {s["port"]["number"] for g in gateways_for(proxy, snapshot) for s in g["spec"].get("servers") or ()}
    return sorted({listens_on(proxy, snapshot, number) for number in numbers})


def listens_on(proxy: Proxy, snapshot: Snapshot, number: int) -> int:
    """Where a gateway's server listens: the target of its Service's port of this number, else the number itself.

    istiod ``pilot/pkg/model/gateway.go`` mergeGateways; so port 80 needs no privilege.
    """
    for service in snapshot.services:
        for one in service.endpoints.get(number, ()):
            if one.ip == proxy.ip:
                return one.port
    return number


def _servers(proxy: Proxy, snapshot: Snapshot, port: int) -> Iterator[tuple[Object, Mapping[str, Any]]]:
    """The servers behind a port that a gateway listens on, each with its Gateway."""
    for gateway in gateways_for(proxy, snapshot):
        for server in gateway["spec"].get("servers") or ():
            if listens_on(proxy, snapshot, server["port"]["number"]) == port:
                yield gateway, server


def route_name(port: int) -> str:
    """istiod names the routes of a plain HTTP server so."""
    return f"http.{port}"


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A server with TLS, which has routes of its own."""

    route_name: str
    gateway: Object
    server: Mapping[str, Any]

    @property
    def tls(self) -> Mapping[str, Any]:
        """Its settings."""
        found: Mapping[str, Any] = self.server["tls"]
        return found

    @property
    def names(self) -> list[str]:
        """What a client may ask for by SNI; empty for any name, or none."""
        hosts = [entry.rpartition("/")[2] for entry in self.server["hosts"]]
        return [] if "*" in hosts else hosts


def secured(proxy: Proxy, snapshot: Snapshot, port: int) -> list[Secured]:
    """The servers with TLS of one port; a name that an older one has is not served again."""
    found: list[Secured] = []
    taken: set[str] = set()
    for gateway, server in _servers(proxy, snapshot, port):
        if server["port"]["protocol"].upper() == "HTTPS":
            meta, own = gateway["metadata"], server["port"]
            name = f"https.{own['number']}.{own['name']}.{meta['name']}.{meta['namespace']}"
            one = Secured(route_name=name, gateway=gateway, server=server)
            key = ",".join(sorted(one.names))
            if key not in taken:
                found.append(one)
                taken.add(key)
    return found


def ingress_routes(proxy: Proxy, snapshot: Snapshot, port: int) -> list[dict[str, Any]]:
    """The route configurations of one port of a gateway: one for all plain servers, or one for each with TLS."""
    with_tls = secured(proxy, snapshot, port)
    if with_tls:
        return [_routes(proxy, snapshot, port, one.route_name, [(one.gateway, one.server)]) for one in with_tls]
    return [_routes(proxy, snapshot, port, route_name(port), list(_servers(proxy, snapshot, port)))]


def _routes(
    proxy: Proxy, snapshot: Snapshot, port: int, name: str, servers: Sequence[tuple[Object, Mapping[str, Any]]]
) -> dict[str, Any]:
    """istiod buildGatewayHTTPRouteConfig: who is bound to several servers of one name has its routes there several times."""
    routes: dict[str, list[Route]] = {}
    redirected: set[str] = set()
    for gateway, server in servers:
        bound = f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
        served = served_hosts(server["hosts"], gateway["metadata"]["namespace"])
        hosts: set[str] = set()
        for vs in order_for_namespace(snapshot.virtual_services, proxy.namespace):  # VirtualServicesForGateway
            if bound not in _bound(vs):
                continue
            common = shared_hosts(served, list(written_hosts_of(vs)), vs["metadata"]["namespace"])
            number, tls = server["port"]["number"], server.get("tls") is not None
            found = routes_of(vs, proxy, snapshot, port=number, gateways=(bound,), tls=tls) if common else []
            for host in common if found else ():
                hosts.add(host.lower())
                routes.setdefault(host.lower(), []).extend(found)
        if (server.get("tls") or {}).get("httpsRedirect"):
            # For every host of the server, whether or not a VirtualService serves it.
            redirected |= hosts | {host.lower() for host in served}
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": [
            {
                "name": f"{host}:{port}",
                "domains": [host],
                "routes": sorted(routes.get(host, ()), key=lambda route: is_catch_all(route["match"])),
                "include_request_attempt_count": True,
                **({"require_tls": "ALL"} if host in redirected else {}),
            }
            for host in dict.fromkeys([*routes, *sorted(redirected)])
        ],
        "max_direct_response_body_size_bytes": MAX_BODY,
        "ignore_port_in_host_matching": True,
        "validate_clusters": False,
    }


def _bound(vs: Object) -> set[str]:
    namespace = vs["metadata"]["namespace"]
    return {gateway_name(one, namespace) for one in gateways_of(vs) if one != MESH}
