"""What of a traffic policy becomes of a cluster (istiod ``cluster_traffic_policy.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaos.lab.istio.durations import protobuf, whole_seconds

Policy = Mapping[str, Any]
NO_LIMIT: Final = 4_294_967_295
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def balancing(policy: Policy) -> dict[str, Any]:
    """How a cluster chooses among its endpoints (istiod applyLoadBalancer, ApplyRingHashLoadBalancer)."""
    balancer = policy.get("loadBalancer") or {}
    by = balancer.get("consistentHash")
    if by is None:
        return {"lb_policy": _BALANCERS[balancer.get("simple", "UNSPECIFIED")]}
    if by.get("maglev") is not None:
        size = by["maglev"].get("tableSize")
        return {"lb_policy": "MAGLEV", **({"maglev_lb_config": {"table_size": size}} if size else {})}
    ring = (
        by["ringHash"].get("minimumRingSize") if by.get("ringHash") is not None else by.get("minimumRingSize") or 1024
    )
    return {"lb_policy": "RING_HASH", **({"ring_hash_lb_config": {"minimum_ring_size": ring}} if ring else {})}


_BALANCERS: Final = {
    "UNSPECIFIED": "LEAST_REQUEST", "LEAST_REQUEST": "LEAST_REQUEST", "LEAST_CONN": "LEAST_REQUEST",
    "ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM",
}  # fmt: skip


def thresholds(policy: Policy) -> dict[str, Any]:
    """The pool's limits; 0 is none, as is what is left out (istiod applyConnectionPool)."""
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    return {
        "max_connections": tcp.get("maxConnections") or NO_LIMIT,
        "max_pending_requests": http.get("http1MaxPendingRequests") or NO_LIMIT,
        "max_requests": http.get("http2MaxRequests") or NO_LIMIT,
        "max_retries": http.get("maxRetries") or NO_LIMIT,
        "track_remaining": True,
    }


def connections(policy: Policy, *, http2: bool, detected: bool = False) -> dict[str, Any]:
    """How a cluster's connections are made and how long they live.

    Args:
        policy: The cluster's.
        http2: Whether the port speaks HTTP/2.
        detected: Whether the port's protocol is that of the client: Istio detects it.
    """
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    found: dict[str, Any] = {"connect_timeout": protobuf(tcp.get("connectTimeout") or "10s")}
    if tcp.get("tcpKeepalive") is not None:
        found["upstream_connection_options"] = {"tcp_keepalive": _keepalive(tcp["tcpKeepalive"])}
    options = http_options(http, tcp, http2=http2 or (upgraded(policy) and not detected), detected=detected)
    if options:
        found["typed_extension_protocol_options"] = {_HTTP_OPTIONS: options}
    return found


def upgraded(policy: Policy) -> bool:
    """Whether the policy makes HTTP/2 of HTTP/1.1 (istiod shouldH2Upgrade)."""
    return ((policy.get("connectionPool") or {}).get("http") or {}).get("h2UpgradePolicy") == "UPGRADE"


def _keepalive(wanted: Policy) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.get("probes"):
        found["keepalive_probes"] = wanted["probes"]
    for key, name in (("time", "keepalive_time"), ("interval", "keepalive_interval")):
        if wanted.get(key):
            found[name] = whole_seconds(wanted[key])
    return found


def http_options(http: Policy, tcp: Policy, *, http2: bool, detected: bool = False) -> dict[str, Any] | None:
    """Envoy's options for HTTP to a cluster; ``None`` where its defaults do."""
    common: dict[str, Any] = {}
    idle = http.get("idleTimeout") or tcp.get("idleTimeout")
    if idle:
        common["idle_timeout"] = protobuf(idle)
    if http.get("maxRequestsPerConnection"):
        common["max_requests_per_connection"] = http["maxRequestsPerConnection"]
    if tcp.get("maxConnectionDuration"):
        common["max_connection_duration"] = protobuf(tcp["maxConnectionDuration"])
    if not common and not http2 and not detected:
        return None
    options: dict[str, Any] = {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}"}
    streams = {"max_concurrent_streams": http["maxConcurrentStreams"]} if http.get("maxConcurrentStreams") else {}
    if http2:
        options["explicit_http_config"] = {"http2_protocol_options": streams}
    elif detected:
        options["use_downstream_protocol_config"] = {"http_protocol_options": {}, "http2_protocol_options": {}}
    else:
        options["explicit_http_config"] = {"http_protocol_options": {}}
    if common:
        options["common_http_protocol_options"] = common
    return options


def ejection(policy: Policy) -> dict[str, Any]:
    """Outlier detection, by errors only and enforced always; Envoy's defaults where it says nothing.

    istiod applyOutlierDetection. With it, Envoy goes on to send to the healthy however few they are.
    """
    wanted = policy.get("outlierDetection")
    if wanted is None:
        return {}
    found: dict[str, Any] = {"enforcing_success_rate": 0}
    for key, name in (
        ("consecutive5xxErrors", "consecutive_5xx"), ("consecutiveGatewayErrors", "consecutive_gateway_failure"),
    ):  # fmt: skip
        if wanted.get(key) is not None:
            found[name] = wanted[key]
            found[f"enforcing_{name}"] = 100 if wanted[key] > 0 else 0
    for key, name in (("interval", "interval"), ("baseEjectionTime", "base_ejection_time")):
        if wanted.get(key):
            found[name] = protobuf(wanted[key])
    if wanted.get("maxEjectionPercent"):
        found["max_ejection_percent"] = wanted["maxEjectionPercent"]
    if wanted.get("splitExternalLocalOriginErrors"):
        found["split_external_local_origin_errors"] = True
        if wanted.get("consecutiveLocalOriginFailures"):
            found["consecutive_local_origin_failure"] = wanted["consecutiveLocalOriginFailures"]
            found["enforcing_consecutive_local_origin_failure"] = 100
        found["enforcing_local_origin_success_rate"] = 0
    return {
        "outlier_detection": found,
        "common_lb_config": {"healthy_panic_threshold": {"value": wanted.get("minHealthPercent") or 0}},
    }
