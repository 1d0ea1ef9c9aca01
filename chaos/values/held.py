"""What a back end has of Istio's standard metrics: configurations of Prometheus and Telemetry resources may leave out a part."""

from __future__ import annotations

from typing import Final

from chaos.values.frozen import Frozen

LABELS: Final = (
    "reporter",
    "destination_service",
    "source_workload",
    "source_workload_namespace",
    "response_code",
    "response_flags",
)
"""Labels of ``istio_requests_total`` without which nothing can be decided."""


class Held(Frozen):
    """What is there, of any service.

    Args:
        requests: Whether there is a counter of requests at all.
        labels: Those of ``LABELS`` that any counter of requests has.
        bounds: Bounds in milliseconds of the buckets of any histogram of durations.
    """

    requests: bool
    labels: frozenset[str] = frozenset()
    bounds: frozenset[float] = frozenset()
