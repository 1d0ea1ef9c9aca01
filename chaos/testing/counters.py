"""What the proxies of the shop in memory count, and what was scraped of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from zlib import crc32

from chaos.istio.hosts import placed, service_of
from chaos.values.questions import Durations, Edges, End, Question, Requests, Side
from chaos.values.series import Series

Counted = Requests | Durations
Labels = tuple[tuple[str, str], ...]


class Counters:
    """Istio's counters and histograms of requests.

    Args:
        namespace: Of all callers that do not have one in their name.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._counters: dict[tuple[Question, Labels], tuple[int, list[tuple[float, float]]]] = {}

    def count(
        self,
        question: Counted,
        number: int,
        *,
        caller: str,
        pod: str,
        code: str,
        flags: str = "-",
        grpc: str = "",
    ) -> None:
        """So many requests more of a workload, which the proxy of a pod counts."""
        home, name = placed(caller, self._namespace)
        labels = {
            "job": "istio-proxies", "instance": pod, "pod": pod,
            "reporter": "destination" if question.side is Side.CALLED else "source",
            "source_workload": name, "source_workload_namespace": home, "grpc_response_status": grpc,
            "response_code": code, "response_flags": flags, "destination_service": question.host, **_server(question.host, flags),
        }  # fmt: skip
        key = (question, tuple(labels.items()))
        if number or key in self._counters:
            total, samples = self._counters.get(key, (0, []))
            self._counters[key] = (total + number, samples)

    def scrape(self, at: float, *, dark: Collection[str], every: float, staggered: bool) -> None:
        """Samples of this moment, but for pods that are not scraped: of all every so many seconds, or, staggered, of each at its own."""
        for (_, labels), (total, samples) in self._counters.items():
            instance = dict(labels)["instance"]
            turn = crc32(instance.encode()) if staggered else 0
            if instance not in dark and (at + turn) % every == 0:
                samples.append((at, float(total)))

    def series(self, question: Question, *, since: float, until: float) -> Sequence[Series]:
        """The samples between two moments."""
        found = []
        for (asked, labels), (_, samples) in self._counters.items():
            is_meant = _is_part(asked, labels, question) if isinstance(question, Edges) else asked == question
            kept = tuple(sample for sample in samples if since < sample[0] <= until) if is_meant else ()
            if kept:
                found.append(Series(labels=dict(labels), samples=kept))
        return found

    @property
    def scraped(self) -> bool:
        """Whether anything was."""
        return any(samples for _, samples in self._counters.values())


def _is_part(asked: Question, labels: Labels, edges: Edges) -> bool:
    """Whether requests are of such edges."""
    if not isinstance(asked, Requests) or asked.side is not Side.CALLERS:
        return False
    caller = dict(labels)["source_workload_namespace"]
    return edges.namespace == ((service_of(asked.host) or ("", ""))[0] if edges.end is End.SERVICE else caller)


def _server(host: str, flags: str) -> dict[str, str]:
    """The labels of the workload that answered at a host, which has its Service's name; where a proxy answered in its place, it is unknown."""
    home, name = service_of(host) or ("unknown", "unknown")
    if "FI" in flags:
        home, name = "unknown", "unknown"
    return {"destination_workload": name, "destination_workload_namespace": home}
