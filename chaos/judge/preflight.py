"""What the metrics can't show of an experiment, known before a run or in its baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chaos.expectations.evidence import Evidence
from chaos.judge.beforehand import cannot_decide
from chaos.judge.questions import needed
from chaos.model.plan import Plan
from chaos.values.held import LABELS, Held
from chaos.values.quantities import format_number
from chaos.values.questions import Durations, Question, Requests
from chaos.values.remarks import Refusal, Warn

_LATE: Final = 5.0
"""Seconds more than two scrape intervals by which the newest sample of a mesh may be old that is read at once."""
_USES: Final = {
    "reporter": "the harness knows which proxy counted",
    "destination_service": "it finds the requests of a service",
    "source_workload": "it distinguishes callers",
    "source_workload_namespace": "it distinguishes callers",
    "response_code": "it distinguishes good answers from bad ones",
    "response_flags": "it counts injected faults",
}


@dataclass(frozen=True)
class Sampled:
    """What recent samples show.

    Args:
        interval: Seconds between two samples of a proxy; ``None`` where nobody counted anything yet.
        age: Seconds since the newest sample of all; ``None`` likewise.
        copies: By what copies of series differ from those that count.
    """

    interval: float | None = None
    age: float | None = None
    copies: tuple[str, ...] = ()


def counted_by(plan: Plan) -> tuple[Requests, ...]:
    """The questions for the requests of every service that the experiment is about."""
    asked = (one for one in needed(plan) if isinstance(one, Requests | Durations))
    return tuple(dict.fromkeys(Requests(host=one.host, side=one.side) for one in asked))


def sampled(evidence: Evidence, now: float) -> Sampled:
    """What the samples of the last minutes show about their scrapes and their storage."""
    newest = max((times[-1] for times in evidence.scrapes.values()), default=None)
    return Sampled(
        interval=evidence.scrapes.interval(evidence.scrapes),
        age=None if newest is None else now - newest,
        copies=tuple(evidence.copies.told),
    )


def lacking(questions: Iterable[Question], held: Held) -> Iterator[Refusal]:
    """What the metrics lack for these questions; nothing as long as nothing was counted, since nothing is known then."""
    if not held.requests:
        return
    for label in LABELS:
        if label not in held.labels:
            yield cannot_decide(
                label,
                f"no series of istio_requests_total has the label {label}, by which {_USES[label]}",
                "keep the label: look for it in the metric_relabel_configs of the scrape jobs (metricRelabelings of PodMonitors), and "
                "in Telemetry resources (tagOverrides)",
            )
    bounds = dict.fromkeys(one.within for one in questions if isinstance(one, Durations) and one.within is not None)
    for bound in bounds:
        if bound not in held.bounds:
            there = ", ".join(f"{one:g}" for one in sorted(held.bounds)) or "none"
            yield cannot_decide(
                f"{bound:g}",
                f'no histogram istio_request_duration_milliseconds has the bucket le="{bound:g}"; there are: {there}',
                "expect an answer within one of these, or from: client; or keep the bucket, where metric_relabel_configs drop it or "
                "the annotation sidecar.istio.io/statsHistogramBuckets names others"
                if held.bounds
                else "expect answers in time from: client; or keep classic histograms: where the scrape job makes native ones of them "
                "(convert_classic_histograms_to_nhcb), set always_scrape_classic_histograms",
            )


def remarks(found: Sampled, interval: float) -> Iterator[Warn]:
    """What the reader of a plan should know of the samples."""
    if found.age is not None and found.age > 2 * interval + _LATE:
        yield Warn(
            code="samples-late",
            message=f"the newest samples are {found.age:.0f} s old, though proxies are scraped every {format_number(interval, 3)} s: guardrails act "
            "as much later, and each phase waits as much longer; if nothing newer comes, Prometheus no longer scrapes the proxies",
        )
    if found.copies:
        yield Warn(
            code="counted-twice",
            message=f"the proxies' metrics are scraped or stored more than once ({'; '.join(found.copies)}): these copies are not "
            "counted; PromQL of your own (promql, alerts) may count them",
        )
