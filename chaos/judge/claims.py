"""What became of one claim in one window: exact counts, their interval, the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.judge.confidence import decide, interval
from chaos.judge.counting import count, last_sample, scrapes_of
from chaos.judge.evidence import buckets_key, durations_key, milliseconds, promql_key, requests_key
from chaos.model.experiment import Bound, Claim, Expectation, Experiment
from chaos.model.history import History, Mark, Recorded, Series
from chaos.model.istio import service_fqdn
from chaos.model.verdict import Answer, ClaimResult, Interval, Tally

PHASES: Final = ("baseline", "fault", "recovery")
_LOOKS: Final = 3
"""Looks that a promql claim must be true at, and none false, before it holds."""
_EDGE: Final = 1e-4
"""A relative bound is kept this far from 0 and 1, where nothing could be decided."""


@dataclass(frozen=True)
class Window:
    """From when to when, on Prometheus' clock."""

    start: float
    end: float


def share_of_confidence(experiment: Experiment) -> float:
    """The confidence of one decision, so that all of a verdict together are wrong at most as often as declared.

    The doubt is shared equally (Bonferroni) among the expectations in each of three phases, the two halves of the proof,
    and the guardrails.
    """
    decisions = len(experiment.steady_state) * len(PHASES) + 2 + len(experiment.guardrails)
    return 1 - (1 - experiment.confidence) / decisions


def judge_claim(history: History, claim: Claim, phase: str, window: Window, *, confidence: float) -> ClaimResult:
    """One claim in one window.

    A phase's bound that is relative to the baseline takes the baseline's observed share less the margin.
    """
    bound = _bound(history, claim, phase)
    resolved = _resolve(history, claim, bound)
    counted = tally(history, claim, window)
    if claim.promql is not None:
        answer = _looks(counted)
        share = counted.share or 0.0
        shown = Interval(low=share, high=share, confidence=confidence)
        expected = f"{claim.promql} is true at every look"
    else:
        answer = decide(counted.good, counted.total, resolved, confidence=confidence)
        shown = interval(counted.good, counted.total, confidence=confidence)
        expected = f"at least {bound} of events {claim.good}"
    return ClaimResult(
        title=claim.title,
        phase=phase,
        expected=expected,
        bound=resolved,
        tally=counted,
        interval=shown,
        answer=answer,
    )


def answer_only(history: History, claim: Claim, phase: str, window: Window, *, confidence: float) -> Answer:
    """As :func:`judge_claim`, without the interval, which is what takes time."""
    counted = tally(history, claim, window)
    if claim.promql is not None:
        return _looks(counted)
    resolved = _resolve(history, claim, _bound(history, claim, phase))
    return decide(counted.good, counted.total, resolved, confidence=confidence)


def tally(history: History, claim: Claim, window: Window) -> Tally:
    """Good and all events of a claim in a window."""
    if claim.promql is not None:
        recorded = history.find(promql_key(claim.title))
        values = [v for s in (recorded.series if recorded else ()) for at, v in s.samples if _inside(at, window)]
        return Tally(good=sum(value > 0 for value in values), total=len(values))
    if claim.source == "client":
        return _client(history, claim, window)
    assert claim.good is not None and claim.service is not None  # noqa: S101, PT018 - the model has seen to it
    host = service_fqdn(claim.service, history.plan.experiment.target.namespace)
    if claim.good.within is None:
        return _by_status(history, claim, host, window)
    return _by_duration(history, claim, host, window)


def _bound(history: History, claim: Claim, phase: str) -> Bound:
    del history
    if isinstance(claim, Expectation):
        return claim.bound_in(phase)
    return getattr(claim, "at_least", Bound(share=1.0))


def _resolve(history: History, claim: Claim, bound: Bound) -> float:
    if not bound.relative:
        return bound.share
    start, end = history.marks.get(Mark.BASELINE_FROM), history.marks.get(Mark.BASELINE_UNTIL)
    if start is None or end is None:
        return 1 - _EDGE
    share = tally(history, claim, Window(start, end)).share
    return min(1 - _EDGE, max(_EDGE, (share if share is not None else 1.0) - bound.share))


def _looks(counted: Tally) -> Answer:
    if counted.good < counted.total:
        return Answer.VIOLATED
    return Answer.HOLDS if counted.total >= _LOOKS else Answer.UNDECIDED


def _inside(at: float, window: Window) -> bool:
    return window.start <= at <= window.end


def _is_good_status(claim: Claim, series: Series) -> bool:
    """By status; a gRPC answer with an error is HTTP 200 and still not good."""
    assert claim.good is not None  # noqa: S101 - the model has seen to it
    code = series.labels.get("response_code", "0")
    if claim.good.status is not None and series.labels.get("grpc_response_status", "") not in ("", "0"):
        return False
    return claim.good.status_is_good(int(code) if code.isdigit() else 0)


def _by_status(history: History, claim: Claim, host: str, window: Window) -> Tally:
    recorded = history.find(requests_key(host))
    if recorded is None:
        return Tally()
    scrapes = scrapes_of(history.recorded)
    good = total = 0
    lower = False
    for series in recorded.series:
        counted = count(series, window.start, window.end, scrapes=scrapes, interval=history.environment.scrape_interval)
        total += counted.events
        lower |= counted.lower_bound
        if counted.events and _is_good_status(claim, series):
            good += counted.events
    return Tally(good=good, total=total, lower_bound=lower)


def _by_duration(history: History, claim: Claim, host: str, window: Window) -> Tally:
    """Histograms trail their counters, so the window starts later; a pair ends at a scrape that both have."""
    assert claim.good is not None and claim.good.within is not None  # noqa: S101, PT018 - the caller has seen to it
    buckets = history.find(buckets_key(host, milliseconds(claim.good.within)))
    durations = history.find(durations_key(host))
    if buckets is None or durations is None:
        return Tally()
    start = window.start + history.environment.histogram_lag
    interval_ = history.environment.scrape_interval
    scrapes = scrapes_of(history.recorded)
    good = total = 0
    lower = False
    for bucket, duration in _pairs(buckets, durations):
        # Asked for one after the other: a scrape may have come between, and what only one has seen counts for neither.
        end = min(window.end, last_sample(duration), last_sample(bucket) if bucket is not None else window.end)
        counted = count(duration, start, end, scrapes=scrapes, interval=interval_)
        total += counted.events
        lower |= counted.lower_bound
        if bucket is not None and counted.events and _is_good_status(claim, duration):
            good += min(counted.events, count(bucket, start, end, scrapes=scrapes, interval=interval_).events)
    return Tally(good=good, total=total, lower_bound=lower)


def _pairs(buckets: Recorded, durations: Recorded) -> Iterator[tuple[Series | None, Series]]:
    def key(series: Series) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((k, v) for k, v in series.labels.items() if k not in ("le", "__name__")))

    by_key = {key(series): series for series in buckets.series}
    for series in durations.series:
        yield by_key.get(key(series)), series


def _client(history: History, claim: Claim, window: Window) -> Tally:
    assert claim.good is not None  # noqa: S101 - the model has seen to it
    within = milliseconds(claim.good.within) if claim.good.within is not None else None
    good = total = 0
    for second in history.seconds(window.start, window.end):
        for cell in second.cells:
            if claim.request is not None and cell.request != claim.request:
                continue
            total += cell.count
            if claim.good.status_is_good(cell.status):
                good += sum(n for took, n in cell.latencies.items() if within is None or took <= within)
    return Tally(good=good, total=total)
