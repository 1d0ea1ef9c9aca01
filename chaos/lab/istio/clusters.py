"""Services and DestinationRules to Envoy clusters, named as istiod names them: ``outbound|8080|v1|host``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.virtual_services import Object
from chaos.lab.istio import tls
from chaos.lab.istio.durations import nanoseconds
from chaos.lab.istio.metrics import CLUSTER_ID
from chaos.lab.istio.pieces import address, endpoints
from chaos.lab.istio.policies import balancing, outlier_detection, policy_for
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot

_NO_LIMIT: Final = 4_294_967_295
_TYPE: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster_name(port: int, subset: str, host: str) -> str:
    """istiod ``pilot/pkg/model/service.go`` BuildSubsetKey."""
    return f"outbound|{port}|{subset}|{host}"


def clusters(proxy: Proxy, snapshot: Snapshot, *, whole: Snapshot | None = None) -> list[dict[str, Any]]:
    """All clusters of one proxy; what it serves itself is looked up in the ``whole`` mesh, whatever it sees of it."""
    found = list(snapshot.once(("clusters", proxy.namespace), lambda: _to_services(snapshot, proxy.namespace)))
    for number, real in proxy.inbound.items():
        at = _service_at(proxy, number, whole or snapshot)
        found.append(_inbound(proxy, number, real, at[0] if at else None, http2=bool(at and at[1].is_http2)))
    return found


def _to_services(snapshot: Snapshot, namespace: str) -> list[dict[str, Any]]:
    """Those that all proxies of a namespace share which see the same of the mesh."""
    return [
        cluster
        for service in (*snapshot.services, *snapshot.extra)
        for port in service.ports
        for cluster in _outbound(service, port, snapshot.destination_rule(service.host, namespace))
    ]


def _outbound(service: Service, port: Port, rule: Object | None) -> Iterator[dict[str, Any]]:
    spec: Mapping[str, Any] = rule["spec"] if rule else {}
    behind = service.endpoints.get(port.number, ())
    yield _cluster(service, port, "", behind, policy_for(rule, "", port.number))
    for subset in spec.get("subsets") or ():
        labels = subset.get("labels") or {}
        chosen = tuple(one for one in behind if labels.items() <= one.labels.items())
        yield _cluster(service, port, subset["name"], chosen, policy_for(rule, subset["name"], port.number))


def _cluster(
    service: Service, port: Port, subset: str, behind: tuple[Endpoint, ...], policy: Mapping[str, Any]
) -> dict[str, Any]:
    name = cluster_name(port.number, subset, service.host)
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    cluster: dict[str, Any] = {
        "@type": _TYPE,
        "name": name,
        "type": "STATIC",
        "connect_timeout": tcp.get("connectTimeout", "10s"),
        **balancing(policy),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [_endpoint(one) for one in behind]}]},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": tcp.get("maxConnections", _NO_LIMIT),
                    "max_pending_requests": http.get("http1MaxPendingRequests", _NO_LIMIT),
                    "max_requests": http.get("http2MaxRequests", _NO_LIMIT),
                    "max_retries": http.get("maxRetries", _NO_LIMIT),
                    "track_remaining": True,
                }
            ]
        },
        "common_lb_config": {"healthy_panic_threshold": {}},
        "metadata": {
            "filter_metadata": {
                "istio": {"host": service.host, "name": service.name, "namespace": service.namespace, "subset": subset}
            }
        },
    }
    if tcp.get("tcpKeepalive") is not None:
        cluster["upstream_connection_options"] = {"tcp_keepalive": _keepalive(tcp["tcpKeepalive"])}
    http2 = port.is_http2 or http.get("h2UpgradePolicy") == "UPGRADE"
    cluster.update(_security(policy.get("tls") or {}, name, behind, http2=http2))
    options = _http_options(http, tcp, http2=http2)
    if options:
        cluster["typed_extension_protocol_options"] = {_HTTP_OPTIONS: options}
    if policy.get("outlierDetection"):
        cluster["outlier_detection"] = outlier_detection(policy["outlierDetection"])
        cluster["common_lb_config"]["healthy_panic_threshold"] = {
            "value": policy["outlierDetection"].get("minHealthPercent", 0)
        }
    return cluster


def _security(policy: Mapping[str, Any], name: str, behind: Sequence[Endpoint], *, http2: bool) -> dict[str, Any]:
    """How a cluster's connections are secured: as the rule says, else mutual TLS where the endpoint takes it."""
    _, port, subset, host = name.split("|")
    sni = f"outbound_.{port}_.{subset}_.{host}"
    identities = sorted({one.uri for one in behind if one.uri})
    mode = policy.get("mode")
    if mode == "DISABLE":
        return {}
    if mode == "SIMPLE":
        return {"transport_socket": tls.simple_upstream(policy, sni=host, http2=http2)}
    if mode == "ISTIO_MUTUAL":
        wanted = policy.get("subjectAltNames") or identities
        return {"transport_socket": tls.mutual_upstream(wanted, sni=policy.get("sni") or sni, http2=http2)}
    return {"transport_socket_matches": tls.automatic(identities, sni=sni, http2=http2)} if identities else {}


def _endpoint(one: Endpoint) -> dict[str, Any]:
    known: dict[str, Any] = {"istio": {**one.identity, "cluster": CLUSTER_ID} if one.identity else {}}
    if one.mutual:
        known["envoy.transport_socket_match"] = {tls.MODE_KEY: tls.MODE_ISTIO}
    return {
        "endpoint": {"address": address(one.ip, one.port)},
        "metadata": {"filter_metadata": known},
        **({"load_balancing_weight": one.weight} if one.weight != 1 else {}),
    }


def _keepalive(wanted: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.get("probes"):
        found["keepalive_probes"] = wanted["probes"]
    for key, name in (("time", "keepalive_time"), ("interval", "keepalive_interval")):
        if wanted.get(key):
            found[name] = (nanoseconds(wanted[key]) or 0) // 10**9
    return found


def _http_options(http: Mapping[str, Any], tcp: Mapping[str, Any], *, http2: bool) -> dict[str, Any] | None:
    common: dict[str, Any] = {}
    if http.get("maxRequestsPerConnection"):
        common["max_requests_per_connection"] = http["maxRequestsPerConnection"]
    for source, key, name in (
        (tcp, "idleTimeout", "idle_timeout"),
        (http, "idleTimeout", "idle_timeout"),
        (tcp, "maxConnectionDuration", "max_connection_duration"),
    ):
        if source.get(key):
            common[name] = source[key]
    if not common and not http2:
        return None
    kind = "http2_protocol_options" if http2 else "http_protocol_options"
    protocol: dict[str, Any] = {}
    if http2 and http.get("maxConcurrentStreams"):
        protocol["max_concurrent_streams"] = http["maxConcurrentStreams"]
    options: dict[str, Any] = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {kind: protocol},
    }
    if common:
        options["common_http_protocol_options"] = common
    return options


def inbound_name(port: int) -> str:
    """The cluster of the application behind an inbound listener."""
    return f"inbound|{port}||"


def _service_at(proxy: Proxy, port: int, snapshot: Snapshot) -> tuple[Service, Port] | None:
    """The Service that this port of the proxy's pod is behind, and its port; the first of several, as istiod takes it."""
    for service in snapshot.services:
        for own in service.ports:
            if any(one.ip == proxy.ip and one.port == port for one in service.endpoints.get(own.number, ())):
                return service, own
    return None


def _inbound(proxy: Proxy, port: int, real: int, service: Service | None, *, http2: bool) -> dict[str, Any]:
    name = inbound_name(port)
    options = _http_options({}, {}, http2=http2)
    known = {"host": service.host, "name": service.name, "namespace": service.namespace} if service else {}
    return {
        "@type": _TYPE,
        "metadata": {"filter_metadata": {"istio": known}},
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        **({"typed_extension_protocol_options": {_HTTP_OPTIONS: options}} if options else {}),
        "load_assignment": {"cluster_name": name, "endpoints": endpoints(address(proxy.ip, real))},
        "circuit_breakers": {
            "thresholds": [{"max_connections": _NO_LIMIT, "max_pending_requests": _NO_LIMIT, "max_requests": _NO_LIMIT}]
        },
    }
