"""Recorded samples of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """Base of recorded data."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Series(Fact):
    """Raw samples of one series: ``(time, value)`` as Prometheus scraped them, in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def source(self) -> tuple[str, str]:
        """The scraped process it comes from: ``(job, instance)``."""
        return self.labels.get("job", ""), self.labels.get("instance", "")


class QueryKind(StrEnum):
    """What a recorded query counts."""

    REQUESTS = "requests"
    """``istio_requests_total`` towards a service."""
    BUCKETS = "buckets"
    """``istio_request_duration_milliseconds_bucket`` at one bound towards a service."""
    DURATIONS = "durations"
    """``istio_request_duration_milliseconds_count`` towards a service."""
    PROMQL = "promql"
    """A claim's own comparison: one sample a look, 1 where it held and 0 where not."""


class Recorded(Fact):
    """One query and all samples that it gave.

    Args:
        key: What the judge asks for, e.g. ``requests:order-svc.staging.svc.cluster.local``.
        query: The PromQL selector or comparison as sent.
    """

    key: str
    kind: QueryKind
    query: str
    series: tuple[Series, ...] = ()
