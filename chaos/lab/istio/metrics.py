"""Istio's standard metrics from stock Envoy: a stats access logger with Istio's labels, and the relabelling that it needs.

Label values: istio/proxy ``istio_stats.cc``; bucket bounds: Envoy ``histogram_impl.cc`` defaultBuckets.
"""

from __future__ import annotations

from typing import Any, Final

from chaos.istio.metrics import BUCKETS_MS
from chaos.istio.workloads import canonical_revision
from chaos.lab.istio.proxy import Proxy

CLUSTER_ID: Final = "Kubernetes"
PEER: Final = "lab.peer"
"""Namespace of the dynamic metadata that holds who called."""
PEER_HEADERS: Final = {
    name: f"x-lab-peer-{name.replace('_', '-')}"
    for name in ("workload", "workload_namespace", "app", "version", "canonical_service", "canonical_revision")
}
"""By label, the header by which a sidecar tells the next one who it is; taken off before the application sees it."""
_UNKNOWN: Final = "unknown"


def identity(proxy: Proxy) -> dict[str, str]:
    """What a workload is called in metrics, by label without its ``source_`` or ``destination_``."""
    return {
        "workload": proxy.workload,
        "workload_namespace": proxy.namespace,
        "app": proxy.app or _UNKNOWN,
        "version": proxy.version or _UNKNOWN,
        "canonical_service": proxy.identity,
        "canonical_revision": canonical_revision(proxy.labels),
    }


def access_log(proxy: Proxy, *, reporter: str, mutual: bool = False) -> dict[str, Any]:
    """The logger of one direction: ``source`` for outbound and gateways, ``destination`` for inbound.

    ``mutual``: its connections are those with mutual TLS, which the destination alone can tell.
    """
    if reporter == "source":
        own, other = "source", "destination"
        peer = {name: f"%METADATA(UPSTREAM_HOST:istio:{name})%" for name in PEER_HEADERS}
        other_cluster = "%METADATA(UPSTREAM_HOST:istio:cluster)%"
        principals = {own: "%UPSTREAM_LOCAL_URI_SAN%", other: "%UPSTREAM_PEER_URI_SAN%"}
    else:
        own, other = "destination", "source"
        peer = {name: f"%DYNAMIC_METADATA({PEER}:{name})%" for name in PEER_HEADERS}
        other_cluster = f"%DYNAMIC_METADATA({PEER}:cluster)%"
        principals = {own: "%DOWNSTREAM_LOCAL_URI_SAN%", other: "%DOWNSTREAM_PEER_URI_SAN%"}
    tags = {
        "reporter": reporter,
        **{f"{own}_{name}": value for name, value in identity(proxy).items()},
        f"{own}_cluster": CLUSTER_ID,
        f"{own}_principal": principals[own],
        **{f"{other}_{name}": value for name, value in peer.items()},
        f"{other}_cluster": other_cluster,
        f"{other}_principal": principals[other],
        "destination_service": "%METADATA(CLUSTER:istio:host)%",
        "destination_service_name": "%METADATA(CLUSTER:istio:name)%",
        "destination_service_namespace": "%METADATA(CLUSTER:istio:namespace)%",
        "request_protocol": "%PROTOCOL%",
        "response_code": "%RESPONSE_CODE%",
        "grpc_response_status": "%GRPC_STATUS_NUMBER%",
        "response_flags": "%RESPONSE_FLAGS%",
        "connection_security_policy": _UNKNOWN if reporter == "source" else "mutual_tls" if mutual else "none",
    }
    # A label of a pod may be empty, a tag of Envoy's may not.
    listed = [{"name": name, "value_format": value or _UNKNOWN} for name, value in tags.items()]
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": "istio"},
            "counters": [{"stat": {"name": "requests_total", "tags": listed}, "value_fixed": 1}],
            "histograms": [
                {
                    "stat": {"name": "request_duration_milliseconds", "tags": listed},
                    "unit": "Milliseconds",
                    "value_format": "%DURATION%",
                }
            ],
        },
    }


def stats_config() -> dict[str, Any]:
    """Which stats an Envoy keeps, and Istio's bucket bounds."""
    patterns = [
        {"prefix": "istio"}, {"prefix": "cluster_manager"}, {"prefix": "listener_manager"}, {"prefix": "server"},
        {"suffix": "rbac.allowed"}, {"suffix": "rbac.denied"}, {"suffix": "update_rejected"}, {"suffix": "update_success"},
        {"exact": "cluster.xds-grpc.upstream_rq_active"},  # Istio keeps all of this cluster's
        {"safe_regex": {"regex": r"vhost\..*\.route\..*"}},  # of routes with a statPrefix, as Istio from 1.23 on
    ]  # fmt: skip
    return {
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
        "histogram_bucket_settings": [{"match": {"prefix": "istio"}, "buckets": list(BUCKETS_MS)}],
    }


def metric_relabel_configs() -> list[dict[str, Any]]:
    """What Prometheus has to correct: the name's prefix, ``unknown`` for what is not known, protocol names."""
    peers = [
        f"{side}_{name}" for side in ("source", "destination") for name in (*PEER_HEADERS, "cluster", "principal") if name != "canonical_revision"
    ]  # fmt: skip
    services = ["destination_service", "destination_service_name", "destination_service_namespace"]
    rules: list[dict[str, Any]] = [
        {"source_labels": ["__name__"], "regex": "envoy_(istio_.+)", "target_label": "__name__", "replacement": "$1"}
    ]
    rules += [_when_empty(label, _UNKNOWN) for label in (*peers, *services)]
    rules += [_when_empty(f"{side}_canonical_revision", "latest") for side in ("source", "destination")]
    rules += [
        {"source_labels": ["grpc_response_status"], "regex": "-", "target_label": "grpc_response_status", "replacement": ""},
        {"source_labels": ["__name__", "request_protocol"], "regex": "istio_.+;(HTTP/.*|-)?", "target_label": "request_protocol", "replacement": "http"},
        {"source_labels": ["__name__", "grpc_response_status"], "regex": "istio_.+;.+", "target_label": "request_protocol", "replacement": "grpc"},
        {"source_labels": ["__name__", "response_flags"], "regex": "istio_.+;", "target_label": "response_flags", "replacement": "-"},
    ]  # fmt: skip
    return rules


def _when_empty(label: str, value: str) -> dict[str, Any]:
    return {"source_labels": ["__name__", label], "regex": "istio_.+;-?", "target_label": label, "replacement": value}
