"""Which traffic policy holds for a cluster, and what of it concerns routes (istiod ``cluster_traffic_policy.go``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chaos.istio.virtual_services import Object

Policy = Mapping[str, Any]
_PER_PORT: Final = ("connectionPool", "loadBalancer", "outlierDetection", "tls")


def policy_for(rule: Object | None, subset: str, port: int) -> Policy:
    """The policy of a subset at a port.

    A subset's fields replace those of the rule one by one; the settings of a port replace all of them together, so that
    what they leave out is Istio's default and not the rule's (istiod MergeTrafficPolicy).
    """
    spec: Mapping[str, Any] = rule["spec"] if rule else {}
    listed: Sequence[Policy] = spec.get("subsets") or ()
    own: Policy = next((one for one in listed if one["name"] == subset), {}) if subset else {}
    merged: Policy = spec.get("trafficPolicy") or {}
    merged = {**merged, **(own.get("trafficPolicy") or {})}
    for settings in merged.get("portLevelSettings") or ():
        if (settings.get("port") or {}).get("number") == port:
            return {key: settings[key] for key in _PER_PORT if key in settings}
    return merged


def hash_policy(policy: Policy) -> list[dict[str, Any]]:
    """What a route hashes, for clusters that balance by it; empty for all others (istiod getHashPolicy)."""
    by = (policy.get("loadBalancer") or {}).get("consistentHash") or {}
    if by.get("httpHeaderName"):
        return [{"header": {"header_name": by["httpHeaderName"]}}]
    if by.get("httpCookie"):
        cookie = by["httpCookie"]
        made = {"name": cookie["name"], **({"path": cookie["path"]} if cookie.get("path") else {})}
        return [{"cookie": {**made, **({"ttl": cookie["ttl"]} if cookie.get("ttl") else {})}}]
    if by.get("useSourceIp"):
        return [{"connection_properties": {"source_ip": True}}]
    if by.get("httpQueryParameterName"):
        return [{"query_parameter": {"name": by["httpQueryParameterName"]}}]
    return []


def balancing(policy: Policy) -> dict[str, Any]:
    """How a cluster chooses among its endpoints."""
    balancer = policy.get("loadBalancer") or {}
    by = balancer.get("consistentHash")
    if by is None:
        return {"lb_policy": _BALANCERS[balancer.get("simple", "UNSPECIFIED")]}
    if by.get("maglev") is not None:
        size = by["maglev"].get("tableSize")
        return {"lb_policy": "MAGLEV", **({"maglev_lb_config": {"table_size": size}} if size else {})}
    ring = (by.get("ringHash") or {}).get("minimumRingSize") or by.get("minimumRingSize") or 1024
    return {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": ring}}


_BALANCERS: Final = {
    "UNSPECIFIED": "LEAST_REQUEST", "LEAST_REQUEST": "LEAST_REQUEST", "LEAST_CONN": "LEAST_REQUEST",
    "ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM",
}  # fmt: skip


def outlier_detection(policy: Policy) -> dict[str, Any]:
    """istiod applyOutlierDetection: ejection by errors only, enforced always."""
    found: dict[str, Any] = {
        "enforcing_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
    }
    for key, name, default in (
        ("consecutive5xxErrors", "consecutive_5xx", 5),
        ("consecutiveGatewayErrors", "consecutive_gateway_failure", None),
    ):
        errors = policy.get(key, default)
        if errors is not None:
            found[name] = errors
            found[f"enforcing_{name}"] = 100 if errors > 0 else 0
    for key, name in (("interval", "interval"), ("baseEjectionTime", "base_ejection_time")):
        if policy.get(key):
            found[name] = policy[key]
    if policy.get("maxEjectionPercent"):
        found["max_ejection_percent"] = policy["maxEjectionPercent"]
    if policy.get("splitExternalLocalOriginErrors"):
        local = policy.get("consecutiveLocalOriginFailures", 5)
        found.update(
            split_external_local_origin_errors=True,
            consecutive_local_origin_failure=local,
            enforcing_consecutive_local_origin_failure=100 if local > 0 else 0,
            enforcing_local_origin_success_rate=0,
        )
    return found
