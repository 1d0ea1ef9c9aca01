"""The routes of a gateway: VirtualServices bound to it are appended, not chosen among (istiod ``gateway.go``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.istio.virtual_services import MESH, Object, age_key, gateways_of, hosts_of, order_for_namespace
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.routes import MAX_BODY, Route, routes_of, virtual_hosts
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
    domains: dict[str, Sequence[str]] = {}
    routes: dict[str, list[Route]] = {}
    redirected: set[str] = set()
    for gateway, server in servers:
        meta = gateway["metadata"]
        bound = f"{meta['namespace']}/{meta['name']}"
        to_https = bool((server.get("tls") or {}).get("httpsRedirect"))
        served: set[str] = set()
        for vs in order_for_namespace(snapshot.virtual_services, proxy.namespace):  # VirtualServicesForGateway
            if bound not in _bound(vs):
                continue
            for host in hosts_of(vs):
                chosen = _common(host, server["hosts"], vs)
                asked = server["port"]["number"]
                found = routes_of(vs, proxy, snapshot, port=asked, gateways=(bound, meta["name"]))
                for domain in chosen if found else ():
                    key = f"{domain}:{port}"
                    served.add(key)
                    domains[key] = (domain,)
                    routes.setdefault(key, []).extend(found)
        if to_https:
            # istiod answers a redirect for every host of the server, whether or not a VirtualService serves it.
            for entry in server["hosts"]:
                domain = entry.rpartition("/")[2]
                key = f"{domain}:{port}"
                served.add(key)
                domains.setdefault(key, (domain,))
                routes.setdefault(key, [])
            redirected |= served
    for found in routes.values():
        found.sort(key=_is_catch_all)
    hosts = [
        {**host, "require_tls": "ALL"} if host["name"] in redirected else host
        for host in virtual_hosts(domains, routes)
    ]
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        "max_direct_response_body_size_bytes": MAX_BODY,
        "ignore_port_in_host_matching": True,
        "validate_clusters": False,
    }


def _bound(vs: Object) -> set[str]:
    namespace = vs["metadata"]["namespace"]
    return {g if "/" in g else f"{namespace}/{g}" for g in gateways_of(vs) if g != MESH}


def _common(host: str, served: Sequence[str], vs: Object) -> list[str]:
    """The hosts that both the VirtualService and the Gateway have; the narrower where one covers the other."""
    found = []
    for entry in served:
        where, slash, name = entry.rpartition("/")
        if slash and where not in ("*", vs["metadata"]["namespace"]):
            continue
        if name in ("*", host) or (name.startswith("*") and host.endswith(name[1:])):
            found.append(host)
        elif host == "*" or (host.startswith("*") and name.endswith(host[1:])):
            found.append(name)
    return list(dict.fromkeys(found))


def _is_catch_all(route: Mapping[str, Any]) -> bool:
    match = route["match"]
    return match.get("prefix") == "/" and not match.get("headers") and not match.get("query_parameters")
