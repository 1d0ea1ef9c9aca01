"""The routes of a gateway: VirtualServices bound to it are appended, not chosen among (istiod ``gateway.go``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.routes import Route, routes_of, virtual_hosts
from chaos.lab.istio.snapshot import Snapshot
from chaos.model.istio import MESH, Object, age_key, gateways_of, hosts_of


def gateways_for(proxy: Proxy, snapshot: Snapshot) -> list[Object]:
    """The Gateways that select this proxy by its pod's labels, the oldest first."""
    return sorted(
        (g for g in snapshot.gateways if (g["spec"].get("selector") or {}).items() <= proxy.labels.items()), key=age_key
    )


def ports(proxy: Proxy, snapshot: Snapshot) -> list[int]:
    """The ports that it listens on."""
    return sorted({s["port"]["number"] for g in gateways_for(proxy, snapshot) for s in g["spec"].get("servers") or ()})


def route_name(port: int) -> str:
    """istiod names the routes of a plain HTTP server so."""
    return f"http.{port}"


def ingress_routes(proxy: Proxy, snapshot: Snapshot, port: int) -> dict[str, Any]:
    """The route configuration of one port of a gateway."""
    domains: dict[str, Sequence[str]] = {}
    routes: dict[str, list[Route]] = {}
    for gateway in gateways_for(proxy, snapshot):
        name = f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
        served = [h for s in gateway["spec"].get("servers") or () if s["port"]["number"] == port for h in s["hosts"]]
        for vs in sorted(snapshot.virtual_services, key=age_key):
            if name not in _bound(vs):
                continue
            for host in hosts_of(vs) if served else ():
                chosen = _common(host, served, vs)
                found = routes_of(vs, proxy, snapshot, port=port, gateways=(name, gateway["metadata"]["name"]))
                for domain in chosen if found else ():
                    key = f"{domain}:{port}"
                    domains[key] = (domain,)
                    routes.setdefault(key, []).extend(found)
    for found in routes.values():
        found.sort(key=_is_catch_all)
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": route_name(port),
        "virtual_hosts": list(virtual_hosts(domains, routes)),
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
