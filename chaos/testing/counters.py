"""What the proxies of the shop in memory count, and what was scraped of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from zlib import crc32

from chaos.istio.hosts import placed, service_of
from chaos.values.questions import Durations, Edges, End, Question, Requests, Side
from chaos.values.series import Series

Counted = Requests | Durations
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Counter:
    """What was counted so far, and what was scraped of it."""

    total: int
    samples: list[tuple[float, float]] = field(default_factory=list)


class Counters:
    """Istio's counters and histograms of requests.

    Args:
        namespace: Of all callers that do not have one in their name.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._counters: dict[Question, dict[Labels, _Counter]] = {}

    def count(
        self,
        numbers: Sequence[tuple[Counted, int]],
        *,
        caller: str,
        pod: str,
        code: str,
        flags: str = "-",
        grpc: str = "",
    ) -> None:
        """Requests more of a workload, which the proxy of a pod counts: for each question, all of one host and side, how many."""
        of = numbers[0][0]
        labels = _labels(of.host, of.side, placed(caller, self._namespace), pod, code, flags, grpc)
        for question, number in numbers:
            counters = self._counters.get(question)
            if counters is None:
                counters = self._counters[question] = {}
            known = counters.get(labels)
            if known is not None:
                known.total += number
            elif number:
                counters[labels] = _Counter(number)

    def scrape(self, at: float, *, dark: Collection[str], every: float, staggered: bool) -> None:
        """Samples of this moment, but for pods that are not scraped: of all every so many seconds, or, staggered, of each at its own."""
        for counters in self._counters.values():
            for labels, one in counters.items():
                instance = dict(labels)["instance"]
                turn = crc32(instance.encode()) if staggered else 0
                if instance not in dark and (at + turn) % every == 0:
                    one.samples.append((at, float(one.total)))

    def series(self, question: Question, *, since: float, until: float) -> Sequence[Series]:
        """The samples between two moments."""
        if isinstance(question, Edges):
            meant = [
                one
                for asked, each in self._counters.items()
                for one in each.items()
                if _is_part(asked, one[0], question)
            ]
        else:
            meant = list(self._counters.get(question, {}).items())
        found = []
        for labels, counter in meant:
            kept = tuple(sample for sample in counter.samples if since < sample[0] <= until)
            if kept:
                found.append(Series(labels=dict(labels), samples=kept))
        return found

    @property
    def scraped(self) -> bool:
        """Whether anything was."""
        return any(one.samples for counters in self._counters.values() for one in counters.values())


def _is_part(asked: Question, labels: Labels, edges: Edges) -> bool:
    """Whether requests are of such edges."""
    if not isinstance(asked, Requests) or asked.side is not Side.CALLERS:
        return False
    caller = dict(labels)["source_workload_namespace"]
    return edges.namespace == ((service_of(asked.host) or ("", ""))[0] if edges.end is End.SERVICE else caller)


@cache
def _labels(host: str, side: Side, caller: tuple[str, str], pod: str, code: str, flags: str, grpc: str) -> Labels:
    """What a proxy tells requests apart by.

    The workload that answered has its Service's name; where a proxy answered in its place, it is unknown.
    """
    answered = None if "FI" in flags else service_of(host)
    there, server = answered or ("unknown", "unknown")
    home, name = caller
    return (
        ("job", "istio-proxies"), ("instance", pod), ("pod", pod), ("reporter", "destination" if side is Side.CALLED else "source"),
        ("source_workload", name), ("source_workload_namespace", home), ("grpc_response_status", grpc), ("response_code", code),
        ("response_flags", flags), ("destination_service", host), ("destination_workload", server), ("destination_workload_namespace", there),
    )  # fmt: skip
