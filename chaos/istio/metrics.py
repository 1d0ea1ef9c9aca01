"""Istio's standard metrics: what is a fact about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BUCKETS_MS: Final = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
    300_000, 600_000, 1_800_000, 3_600_000,
)  # fmt: skip
"""Upper bounds in milliseconds of Istio's request duration histogram (Envoy histogram_impl.cc defaultBuckets)."""


FLAGS: Final[Mapping[str, str]] = {
    "DC": "the client went away", "DF": "the name was not resolved", "DI": "delayed by an injected fault",
    "DO": "dropped by overload", "DPE": "the client broke the protocol", "DR": "the client reset its stream",
    "DT": "the connection or stream lasted too long", "FI": "aborted by an injected fault", "IH": "a header was not valid",
    "LH": "the own health check failed", "LR": "reset by the proxy itself", "NC": "no such cluster", "NFCF": "no filter configuration",
    "NR": "no route", "OM": "the overload manager ended it", "RL": "rate limited", "RLSE": "the rate limit service failed",
    "SI": "idle for too long", "UAEX": "denied by external authorization", "UC": "the connection to the service ended",
    "UF": "no connection to the service", "UH": "no healthy replica", "UMSDR": "the stream lasted too long",
    "UO": "no room in the connection pool (circuit breaker)", "UPE": "the service broke the protocol", "UR": "the service reset the stream",
    "URX": "all retries, or connection attempts, were used", "UT": "no answer within the time-out",
}  # fmt: skip
"""Envoy's response flags (``source/common/stream_info/utility.h``)."""
INJECTED: Final = frozenset({"FI", "DI"})
"""Flags of injected faults."""


_POD: Final = ("pod", "pod_name", "kubernetes_pod_name", "exported_pod")
"""Labels by which the usual configurations of Prometheus name a pod."""
_PORTS: Final = ("15020", "15090")


def caller_of(labels: Mapping[str, str]) -> str:
    """``namespace/workload`` of whoever sent the requests that a series counts."""
    return f"{labels.get('source_workload_namespace', 'unknown')}/{labels.get('source_workload', 'unknown')}"


def server_of(labels: Mapping[str, str]) -> str | None:
    """``namespace/workload`` of whoever answered the requests that a series counts; ``None`` where no workload did, or none is known."""
    name = labels.get("destination_workload", "unknown")
    return None if name == "unknown" else f"{labels.get('destination_workload_namespace', 'unknown')}/{name}"


def is_unknown(labels: Mapping[str, str]) -> bool:
    """Whether the caller of the requests that a series counts has no proxy, so that nothing is known of it."""
    return labels.get("source_workload", "unknown") == "unknown"


def counted_at(labels: Mapping[str, str]) -> str:
    """The host to which a route sent the requests that a series counts, whatever their callers asked for."""
    return labels.get("destination_service", "")


def replica_of(labels: Mapping[str, str]) -> str:
    """The pod whose proxy counted; its address where Prometheus does not add the pod's name."""
    return labels.get("pod") or labels.get("instance", "")


def process_of(labels: Mapping[str, str]) -> str:
    """The proxy that counted, whoever scraped it: by its pod, else by its address; empty where neither is known.

    Its port tells nothing where it is one of Istio's two for the same counters: 15090 of Envoy, 15020 of the agent.
    """
    own = "source" if labels.get("reporter") == "source" else "destination"
    pod = next((labels[name] for name in _POD if name in labels), "")
    instance = labels.get("exported_instance") or labels.get("instance", "")
    host, _, port = instance.rpartition(":")
    name = pod or (host if port in _PORTS else instance)
    return (
        "/".join((labels.get(f"{own}_cluster", ""), labels.get(f"{own}_workload_namespace", ""), name)) if name else ""
    )


def flags_of(labels: Mapping[str, str]) -> frozenset[str]:
    """Envoy's response flags of the requests that a series counts.

    They are joined by commas in the order in which they were set: ``DI,FI``, ``DI,DC``.
    """
    return frozenset(labels.get("response_flags", "-").split(","))


def status_of(labels: Mapping[str, str]) -> str:
    """How the requests that a series counts were answered: ``404``, ``gRPC 14`` (an HTTP 200), or ``none``."""
    grpc, code = labels.get("grpc_response_status", ""), labels.get("response_code", "0")
    if grpc not in ("", "0"):
        return f"gRPC {grpc}"
    return "none" if code == "0" else code
