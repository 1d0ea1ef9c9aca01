"""HTTP routes of VirtualServices to Envoy routes (istiod ``pilot/pkg/networking/core/route/route.go``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

from chaos.istio.exports import Object
from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import MESH, is_for_proxy
from chaos.lab.istio.answers import CORS_FILTER, cors_policy, direct_response, mirror_policies, redirect_action
from chaos.lab.istio.clusters import cluster_name
from chaos.lab.istio.durations import protobuf
from chaos.lab.istio.faults import FAULT_FILTER, fault
from chaos.lab.istio.hashing import hash_of_destination, hash_of_service, hash_policy
from chaos.lab.istio.header_operations import header_operations
from chaos.lab.istio.matches import is_catch_all, route_match
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.retries import retry_policy
from chaos.lab.istio.snapshot import Snapshot

Route = dict[str, Any]
MAX_BODY: Final = 1024 * 1024
"""Bytes of a direct response's body that Envoy takes, as many as the webhook lets pass (DefaultMaxDirectResponseBodySizeBytes)."""


def routes_of(
    vs: Object,
    proxy: Proxy,
    snapshot: Snapshot,
    *,
    port: int,
    gateways: Sequence[str] = (MESH,),
    tls: bool = False,
) -> list[Route]:
    """The Envoy routes of a VirtualService for one proxy; empty where none is for this proxy.

    What comes after a route that takes every request is left out.

    Args:
        vs: The VirtualService.
        proxy: Whose routes.
        snapshot: Where destinations are looked up.
        port: The port that the request was sent to.
        gateways: As what the proxy acts: ``mesh``, or the names of its gateways.
        tls: Whether the server that the routes are for has TLS.
    """
    made = _Routes(vs, proxy, snapshot, port, tls)
    found: list[Route] = []
    for http in vs["spec"].get("http") or ():
        blocks: Sequence[Mapping[str, Any] | None] = http.get("match") or (None,)
        for block in blocks:
            if block is None or made.are_for(block, gateways):
                found.append(made.route(http, block))
                if is_catch_all(found[-1]["match"]):
                    return found
    return found


def default_route(host: str, port: int, rule: Object | None = None) -> Route:
    """How requests go where no VirtualService governs."""
    action: dict[str, Any] = {
        "cluster": cluster_name(port, "", host),
        "timeout": "0s",
        "max_grpc_timeout": "0s",
        "retry_policy": retry_policy(None),
    }
    hashed = hash_policy(hash_of_service(rule, port))
    if hashed:
        action["hash_policy"] = hashed
    return {"name": "default", "match": route_match(None), "route": action}


@dataclass(frozen=True)
class _Routes:
    """The routes of one VirtualService for one proxy and port."""

    vs: Object
    proxy: Proxy
    snapshot: Snapshot
    port: int
    tls: bool

    def are_for(self, block: Mapping[str, Any], gateways: Sequence[str]) -> bool:
        """Whether a block of a ``match`` is for this proxy at this port."""
        proxy, home = self.proxy, self._namespace
        return is_for_proxy(
            block, labels=proxy.labels, namespace=proxy.namespace, port=self.port, gateways=gateways, home=home
        )

    def route(self, http: Mapping[str, Any], block: Mapping[str, Any] | None) -> Route:
        """One block of a route's ``match``, or the route without any."""
        meta = self.vs["metadata"]
        config = f"/apis/networking.istio.io/v1/namespaces/{meta['namespace']}/virtual-service/{meta['name']}"
        route: Route = {"match": route_match(block), "metadata": {"filter_metadata": {"istio": {"config": config}}}}
        name = http.get("name", "")
        if block and block.get("name"):
            name = f"{name}.{block['name']}"
        if name:
            route["name"] = name
        if block and block.get("statPrefix"):
            route["stat_prefix"] = block["statPrefix"]
        operations = header_operations(http.get("headers"))
        operations.joined(route)
        if http.get("redirect") is not None:
            route["redirect"] = redirect_action(http["redirect"], port=self.port, tls=self.tls)
        elif http.get("directResponse") is not None:
            route["direct_response"] = direct_response(http["directResponse"])
        else:
            self._send(route, http, operations.authority)
        filters = {FAULT_FILTER: fault(http.get("fault") or {})}
        if http.get("corsPolicy") is not None:
            filters[CORS_FILTER] = cors_policy(http["corsPolicy"])
        chosen = {name: config for name, config in filters.items() if config}
        if chosen:
            route["typed_per_filter_config"] = chosen
        return route

    def _send(self, route: Route, http: Mapping[str, Any], authority: str) -> None:
        """istiod applyHTTPRouteDestination; of several destinations those without weight do not count."""
        timeout = protobuf(http.get("timeout") or "0s")
        action: dict[str, Any] = {"timeout": timeout, "max_grpc_timeout": timeout}
        rewrite = http.get("rewrite") or {}
        if rewrite.get("uriRegexRewrite"):
            regex = rewrite["uriRegexRewrite"]
            action["regex_rewrite"] = {"pattern": {"regex": regex["match"]}, "substitution": regex["rewrite"]}
        elif rewrite.get("uri"):
            action["prefix_rewrite"] = rewrite["uri"]
        authority = rewrite.get("authority") or authority
        if authority:
            action["host_rewrite_literal"] = authority
        mirrors = mirror_policies(http, self._cluster)
        if mirrors:
            action["request_mirror_policies"] = mirrors
        destinations: Sequence[Mapping[str, Any]] = http["route"]
        hashes = [self._hash(one["destination"]) for one in destinations]
        if len(destinations) == 1:
            self._to_one(route, action, destinations[0])
        else:
            counting = [one.get("weight", 0) > 0 for one in destinations]
            hashes, destinations = list(compress(hashes, counting)), list(compress(destinations, counting))
            action["weighted_clusters"] = {"clusters": [self._weighted(one) for one in destinations]}
        hashed = [part for by in hashes for part in hash_policy(by)]
        if hashed:
            action["hash_policy"] = hashed
        retry = retry_policy(http.get("retries"), hashed="cluster" in action and hashes[0] is not None)
        if retry is not None:
            action["retry_policy"] = retry
        route["route"] = action

    def _to_one(self, route: Route, action: dict[str, Any], only: Mapping[str, Any]) -> None:
        action["cluster"] = self._cluster(only["destination"])
        operations = header_operations(only.get("headers"))
        operations.joined(route)
        if operations.authority:
            action.setdefault("host_rewrite_literal", operations.authority)

    def _weighted(self, one: Mapping[str, Any]) -> dict[str, Any]:
        operations = header_operations(one.get("headers"))
        found = {"name": self._cluster(one["destination"]), "weight": one["weight"], **operations.fields}
        if operations.authority:
            found["host_rewrite_literal"] = operations.authority
        return found

    @property
    def _namespace(self) -> str:
        return str(self.vs["metadata"]["namespace"])

    def _host(self, destination: Mapping[str, Any]) -> str:
        return resolve_host(destination["host"], self._namespace)

    def _hash(self, destination: Mapping[str, Any]) -> Mapping[str, Any] | None:
        rule = self.snapshot.destination_rule(self._host(destination), self.proxy.namespace)
        return hash_of_destination(rule, destination)

    def _cluster(self, destination: Mapping[str, Any]) -> str:
        """The cluster of a destination. Without a port it is that of the request; at a gateway the Service's own, if it has one.

        A sidecar looks at the services of its listener's port alone (istiod ``httproute.go``): where the destination does
        not listen there, the cluster does not exist, and requests end with 503 NC.
        """
        host = self._host(destination)
        port = (destination.get("port") or {}).get("number")
        if port is None and self.proxy.kind == "router":
            service = self.snapshot.by_host.get(host)
            port = service.ports[0].number if service and len(service.ports) == 1 else None
        return cluster_name(self.port if port is None else port, destination.get("subset", ""), host)
