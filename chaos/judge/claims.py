"""What became of one claim in one window: exact counts, their interval, the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.expectations.claim import Bound, Claim, Expectation
from chaos.expectations.confidence import decide, interval
from chaos.expectations.counting import Scrapes, count, count_pair, is_gone, last_scrape
from chaos.istio.hosts import service_fqdn
from chaos.judge.evidence import buckets_key, durations_key, milliseconds, promql_key, requests_key
from chaos.judge.load import longest_wait, overdue
from chaos.model.experiment import Experiment
from chaos.model.history import History, Mark
from chaos.values.answers import Answer, ClaimResult, Interval, Tally
from chaos.values.series import Recorded, Series

PHASES: Final = ("baseline", "fault", "recovery")
_LOOKS: Final = 3
"""Looks that a promql claim must be true at, and none false, before it holds."""
_GUARDRAILS: Final = 0.1
"""Share of the doubt that goes to the guardrails."""
_SECOND: Final = 1.0
"""Seconds; what the load generator's numbers can tell apart."""
_FIRST: Final = 0.8
"""Part of the doubt for callers that do not wait longer than the declared delay."""
_EDGE: Final = 1e-4
"""A relative bound is kept this far from 0 and 1, where nothing could be decided."""


@dataclass(frozen=True)
class Window:
    """From when to when, on Prometheus' clock."""

    start: float
    end: float


def share_of_confidence(experiment: Experiment) -> float:
    """The confidence of one decision, so that all of a verdict together are wrong at most as often as declared.

    The doubt is shared equally (Bonferroni) among the expectations in each of three phases and the kinds of fault to be proven,
    after a tenth of it has gone to the guardrails: see :func:`confidence_of_guardrail`.
    """
    statistical = sum(claim.promql is None for claim in experiment.steady_state)
    part = 1 - _GUARDRAILS if experiment.guardrails else 1.0
    return 1 - (1 - experiment.confidence) * part / (statistical * len(PHASES) + len(experiment.kinds))


def confidence_of_guardrail(experiment: Experiment) -> float:
    """The confidence with which one guardrail is decided; their bounds are far away, so a small share serves them."""
    return 1 - (1 - experiment.confidence) * _GUARDRAILS / max(1, len(experiment.guardrails))


def longest_delay(experiment: Experiment) -> float:
    """Seconds by which a faulted request may be counted later than others that came with it."""
    return max(kind.held.total_seconds() for kind in experiment.kinds)


def judge_claim(history: History, claim: Claim, phase: str, window: Window, *, confidence: float) -> ClaimResult:
    """One claim in one window.

    A bound that is relative to the baseline takes the baseline's observed share less the margin.
    """
    bound = _bound(claim, phase)
    found = _finding(history, claim, phase, window, confidence)
    counted = found.tally
    if claim.promql is not None:
        share = counted.share or 0.0
        shown = Interval(low=share, high=share, confidence=confidence)
        expected = f"{claim.promql} is true at every look"
    else:
        shown = interval(counted.good, counted.total, confidence=found.confidence)
        expected = f"at least {bound} of events {claim.good}"
    return ClaimResult(
        title=claim.title,
        phase=phase,
        expected=expected,
        bound=_resolve(history, claim, bound),
        tally=counted,
        interval=shown,
        answer=found.answer,
    )


def answer_only(history: History, claim: Claim, phase: str, window: Window, *, confidence: float) -> Answer:
    """As :func:`judge_claim`, without the interval, which is what takes time."""
    return _finding(history, claim, phase, window, confidence).answer


@dataclass(frozen=True)
class _Finding:
    """An answer, the events that it rests on, and the confidence with which they were asked."""

    answer: Answer
    tally: Tally
    confidence: float


def _finding(history: History, claim: Claim, phase: str, window: Window, confidence: float) -> _Finding:
    """Violated by all events of a window, as soon as that is sure; held by those after the slow ones have come in.

    Events are counted when they end, so the first events of a fault are the fast ones. Each way has its own half of the
    doubt, so each may have its own window. Requests that hang beyond all that was seen may become good or bad events
    (:func:`chaos.judge.load.overdue`): neither way is an answer until it would stand whatever becomes of them.
    """
    counted = tally(history, claim, window)
    if claim.promql is not None:
        return _Finding(_looks(counted), counted, confidence)
    bound = _resolve(history, claim, _bound(claim, phase))
    if decide(counted.good, counted.total, bound, confidence=confidence) is Answer.VIOLATED:
        open_ = overdue(history, window.start, window.end, rest=_rest(bound))
        if decide(counted.good + open_, counted.total + open_, bound, confidence=confidence) is Answer.VIOLATED:
            return _Finding(Answer.VIOLATED, counted, confidence)
    settled = counted
    if phase == "fault":
        late, part = _settling(history, window, bound)
        confidence = 1 - (1 - confidence) * part
        settled = tally(history, claim, Window(window.start + late, window.end)) if late else counted
    answer = decide(settled.good, settled.total, bound, confidence=confidence)
    if answer is Answer.HOLDS:
        open_ = overdue(history, window.start, window.end, rest=_rest(bound))
        answer = decide(settled.good, settled.total + open_, bound, confidence=confidence)
    return _Finding(
        Answer.HOLDS if answer is Answer.HOLDS else Answer.UNDECIDED, settled if settled.total else counted, confidence
    )


def _rest(bound: float) -> float:
    """A quarter of the events that may be bad: so few that it does not matter when they come."""
    return (1 - bound) / 4


def _settling(history: History, window: Window, bound: float) -> tuple[float, float]:
    """Seconds after which as many slow events come in at a window's start as are missing at its end; its part of doubt.

    That is the declared delay; or, where the callers' own waits and retries take over a second more, the first doubling
    that all answers keep but a quarter of those that may be bad. The doubt is shared among the doublings, for the choice
    among them follows from what was seen.
    """
    declared = longest_delay(history.plan.experiment)
    slow = longest_wait(history, window.start, window.end, rest=_rest(bound))
    late, part = declared + _SECOND, 1 - _FIRST
    if slow <= late:
        return declared, _FIRST
    while late < slow:
        late, part = 2 * late, part / 2
    return late, part


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


def _bound(claim: Claim, phase: str) -> Bound:
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
    scrapes, every = Scrapes(history.recorded), history.environment.scrape_interval
    until = min(window.end, last_scrape(recorded))
    good = total = 0
    lower = False
    for series in recorded.series:
        counted = count(series, window.start, window.end, scrapes=scrapes, interval=every)
        total += counted.events
        lower |= counted.lower_bound or (counted.events > 0 and is_gone(series, until, every))
        if counted.events and _is_good_status(claim, series):
            good += counted.events
    return Tally(good=good, total=total, lower_bound=lower)


def _by_duration(history: History, claim: Claim, host: str, window: Window) -> Tally:
    """Histograms trail their counters, so the window starts later."""
    assert claim.good is not None and claim.good.within is not None  # noqa: S101, PT018 - the caller has seen to it
    buckets = history.find(buckets_key(host, milliseconds(claim.good.within)))
    durations = history.find(durations_key(host))
    if buckets is None or durations is None:
        return Tally()
    scrapes, every = Scrapes(history.recorded), history.environment.scrape_interval
    start = window.start + history.environment.histogram_lag
    until = min(window.end, last_scrape(durations))
    good = total = 0
    lower = False
    for bucket, whole in _pairs(buckets, durations):
        within, counted = count_pair(bucket, whole, start, window.end, scrapes=scrapes, interval=every)
        total += counted.events
        lower |= counted.lower_bound or (counted.events > 0 and is_gone(whole, until, every))
        if counted.events and _is_good_status(claim, whole):
            good += min(counted.events, within.events)
    return Tally(good=good, total=total, lower_bound=lower)


def _pairs(buckets: Recorded, durations: Recorded) -> Iterator[tuple[Series, Series]]:
    """Each histogram with its bucket; one whose bucket was not recorded can't tell what was in time."""

    def key(series: Series) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((k, v) for k, v in series.labels.items() if k not in ("le", "__name__")))

    by_key = {key(series): series for series in buckets.series}
    for series in durations.series:
        bucket = by_key.get(key(series))
        if bucket is not None:
            yield bucket, series


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
