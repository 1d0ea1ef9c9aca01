"""Istio's standard metrics: what is a fact about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BUCKETS_MS: Final = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
    300_000, 600_000, 1_800_000, 3_600_000,
)  # fmt: skip
"""Upper bounds in milliseconds of Istio's request duration histogram (Envoy histogram_impl.cc defaultBuckets)."""


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
