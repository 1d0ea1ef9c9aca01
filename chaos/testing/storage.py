"""How the samples of the shop in memory are stored and found: late, several times, or without some of their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chaos.testing.traffic import BOUNDS, Traffic
from chaos.values.held import LABELS, Held
from chaos.values.questions import Durations, Edges, End, Question, Requests
from chaos.values.series import Series


@dataclass(frozen=True)
class Copy:
    """One of several copies of each series.

    Args:
        labels: Labels that only this copy has; ``{instance}`` stands for a label of the series.
        shift: Seconds by which its samples are later, as those of another scraper are.
    """

    labels: Mapping[str, str]
    shift: float = 0.0


REPLICAS: Final = (Copy({"prometheus_replica": "a"}), Copy({"prometheus_replica": "b"}, shift=0.4))
"""A pair of Prometheus servers, whose replica label nobody takes out."""
TWO_JOBS: Final = (
    Copy({"job": "kubernetes-pods", "instance": "{instance}:15020"}),
    Copy({"job": "envoy-stats", "instance": "{instance}:15090"}, shift=0.3),
)
"""Proxies that are scraped by annotation and by a PodMonitor."""
FEDERATED: Final = (
    Copy({}),
    Copy({"job": "federate", "exported_job": "{job}", "exported_instance": "{instance}", "instance": "other:9090"}),
)
"""A server that also reads from another one which scrapes the same proxies."""


@dataclass
class Storage:
    """How samples are stored after a scrape: how late, how often, with which labels. Fields may be set at any moment.

    Args:
        lag: Seconds until a sample can be read.
        copies: What each series is stored as.
        without_labels: Labels that no series has, so that nothing is found by them.
        without_buckets: Values of ``le`` that no series has.
    """

    lag: float = 0.0
    copies: Sequence[Copy] = (Copy({}),)
    without_labels: Sequence[str] = field(default=())
    without_buckets: Sequence[float] = field(default=())

    def find(self, traffic: Traffic, question: Question, *, seconds: float, at: float, now: float) -> Sequence[Series]:
        """The samples of the seconds up to a moment that can be read now."""
        if set(_found_by(question)) & set(self.without_labels):
            return []
        if isinstance(question, Durations) and question.within in self.without_buckets:
            return []
        until = min(at, now - self.lag)
        latest = max((copy.shift for copy in self.copies), default=0.0)
        stored = traffic.series(question, seconds=seconds + latest + at - until, at=until)
        return [
            found for one in stored for copy in self.copies if (found := self._copied(one, copy, at - seconds, until))
        ]

    def held(self, traffic: Traffic) -> Held:
        """What there is of the metrics."""
        return Held(
            requests=traffic.counted,
            labels=frozenset(LABELS if traffic.counted else ()) - set(self.without_labels),
            bounds=frozenset(BOUNDS if traffic.counted else ()) - set(self.without_buckets),
        )

    def _copied(self, one: Series, copy: Copy, since: float, until: float) -> Series | None:
        samples = tuple((at + copy.shift, value) for at, value in one.samples if since < at + copy.shift <= until)
        own = {name: value.format_map(one.labels) for name, value in copy.labels.items()}
        labels = {name: value for name, value in {**one.labels, **own}.items() if name not in self.without_labels}
        return Series(labels=labels, samples=samples) if samples else None


def _found_by(question: Question) -> Iterator[str]:
    """The labels by which the series of a question are found."""
    if isinstance(question, Requests | Durations):
        yield from ("reporter", "destination_service")
    if isinstance(question, Edges):
        yield "reporter"
        yield "source_workload_namespace" if question.end is End.CALLER else "destination_service_namespace"
