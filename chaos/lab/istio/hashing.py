"""What of a request decides on its host, where a DestinationRule wants consistent hashing (istiod ``route.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.istio.exports import Object
from chaos.lab.istio.durations import protobuf

Hash = Mapping[str, Any]


def hash_of_service(rule: Object | None, port: int) -> Hash | None:
    """``consistentHash`` for a service's port that no VirtualService governs (istiod hashForService)."""
    policy = _policy(rule["spec"] if rule else None)
    return _at_port(policy, port) or _hash(policy)


def hash_of_destination(rule: Object | None, destination: Mapping[str, Any]) -> Hash | None:
    """``consistentHash`` for a route's destination (istiod hashForHTTPDestination).

    Settings of a port count only where the destination names the port. The subset's go first, whichever they are.
    """
    if rule is None:
        return None
    number = (destination.get("port") or {}).get("number")
    named = (one for one in rule["spec"].get("subsets") or () if one["name"] == destination.get("subset", ""))
    own, whole = _policy(next(named, None)), _policy(rule["spec"])
    return _at_port(own, number) or _hash(own) or _at_port(whole, number) or _hash(whole)


def hash_policy(by: Hash | None) -> list[dict[str, Any]]:
    """What a route hashes, in Envoy's words; empty for nothing (istiod consistentHashToHashPolicy)."""
    if not by:
        return []
    if by.get("httpHeaderName"):
        return [{"header": {"header_name": by["httpHeaderName"]}}]
    if by.get("httpCookie"):
        cookie = by["httpCookie"]
        made = {"name": cookie["name"], **({"path": cookie["path"]} if cookie.get("path") else {})}
        return [{"cookie": {**made, **({"ttl": protobuf(cookie["ttl"])} if cookie.get("ttl") else {})}}]
    if by.get("useSourceIp"):
        return [{"connection_properties": {"source_ip": True}}]
    if by.get("httpQueryParameterName"):
        return [{"query_parameter": {"name": by["httpQueryParameterName"]}}]
    return []


def _policy(spec: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (spec or {}).get("trafficPolicy") or {}


def _hash(policy: Mapping[str, Any]) -> Hash | None:
    return (policy.get("loadBalancer") or {}).get("consistentHash")


def _at_port(policy: Mapping[str, Any], number: int | None) -> Hash | None:
    for settings in policy.get("portLevelSettings") or ():
        if number is not None and (settings.get("port") or {}).get("number") == number:
            return _hash(settings)
    return None
