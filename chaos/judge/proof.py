"""Whether the faults provably hit real traffic at its declared share, and nobody else's."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from chaos.expectations.confidence import interval
from chaos.expectations.counting import Counter
from chaos.expectations.evidence import Window
from chaos.faults.fault import Fault, felt_by
from chaos.faults.kind import Kind
from chaos.faults.target import Target
from chaos.istio.metrics import caller_of
from chaos.judge.alpha import share_of_confidence
from chaos.judge.facts import Facts
from chaos.model.experiment import Experiment
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import Proof, ShareProof, TargetProof
from chaos.values.answers import Tally
from chaos.values.questions import Question

_LATE: Final = 1.0
"""Seconds within which requests that drew a delay, and were held back for it, are answered once they are sent on."""
_KNOWN: Final = 0.5
"""Least part of the declared share at which the counted one's interval may begin."""


def is_faulted(series: Counter, injection: Injection) -> bool:
    """Whether its requests felt an injected fault, ours or somebody else's."""
    return bool(felt_by(series.labels, injection.fault.kinds))


def is_declared(injection: Injection, caller: str) -> bool:
    """Whether a caller is in the declared scope: one of those that were declared, or any of the target's namespace.

    Without declared callers those are known that called in the last hour, and others may begin to.
    """
    if injection.target.callers and injection.callers:
        return caller in {f"{one.namespace}/{one.workload}" for one in injection.callers}
    return caller.startswith(f"{injection.target.namespace}/")


def judge_proof(facts: Facts, now: float) -> Proof:
    """The proof as it stands.

    Envoy counts a request when it ends, so a delayed one is counted up to ``fixedDelay`` later than others that came with
    it. The shares are therefore taken over requests that ended after one ``fixedDelay`` of the fault: from then on, as
    many delayed requests come in late at the window's start as go missing at its end.
    """
    window = facts.injected(now)
    if window is None:
        return Proof()
    seen = next((look for look in reversed(facts.proxies) if look.at <= window.end and look.of), None)
    return Proof(
        targets=tuple(_at(facts, one, window, now) for one in facts.plan.injections),
        proxies=f"{seen.having} of {seen.of}" if seen else "",
    )


def _at(facts: Facts, injection: Injection, window: Window, now: float) -> TargetProof:
    begun = window.start
    # Nobody faulted the target before, so what declared callers felt since the scrape before that moment was this fault, too.
    earlier = felt(facts, injection, Window(begun - facts.evidence.scrape_interval, now))
    declared = {caller: n for caller, n in earlier.items() if is_declared(injection, caller)}
    by_caller = {**felt(facts, injection, Window(begun, now)), **declared}
    return TargetProof(
        target=str(injection.target),
        shares=tuple(
            share for part in _parts(facts, injection, window.end) for share in _shares(facts, injection, part)
        ),
        by_caller=dict(sorted(by_caller.items())),
        outside={
            caller: n
            for caller, n in by_caller.items()
            if not is_declared(injection, caller) and caller not in facts.unclear
        },
    )


@dataclass(frozen=True)
class _Part:
    """A part of a fault's time, with the fault as it was then; stage 0 is all of a fault that has no stages."""

    stage: int
    fault: Fault
    window: Window


def _parts(facts: Facts, injection: Injection, end: float) -> Iterator[_Part]:
    """The parts whose shares are to be proven; nothing is counted in a stage that did not begin."""
    begin, delay = facts.marks.get(Mark.FAULT_FROM), injection.fault.held.total_seconds()
    if begin is None:
        return
    if not injection.fault.course:
        yield _Part(0, injection.fault, Window(begin + delay, end))
    seen = {one.number: one for one in facts.stages if one.target == str(injection.target)}
    for number, stage in enumerate(injection.fault.course, 1):
        found = seen.get(number)
        since = found.since if found is not None and found.since is not None else end
        until = found.until if found is not None and found.until is not None else end
        yield _Part(
            number, injection.fault.at(stage), Window(since + delay + (_LATE if stage.off else 0), min(until, end))
        )


def course_is_over(facts: Facts, now: float) -> bool:
    """Whether every stage of every fault has lasted as long as it was to."""
    for one in facts.plan.injections:
        course = one.fault.course
        last = next(
            (seen for seen in facts.stages if (seen.target, seen.number) == (str(one.target), len(course))), None
        )
        if course and (last is None or last.since is None or now < last.since + course[-1].lasts.total_seconds()):
            return False
    return True


def ends_off(facts: Facts) -> bool:
    """Whether no fault is there any more once all stages are over."""
    return all(one.fault.ends_off for one in facts.plan.injections)


def _shares(facts: Facts, injection: Injection, part: _Part) -> Iterator[ShareProof]:
    window = part.window
    mine = [
        (series.labels, events)
        for series, events in counted(facts, injection, Window(window.start, max(window.start, window.end)))
        if is_declared(injection, caller_of(series.labels))
    ]
    experiment = facts.experiment
    for kind in part.fault.kinds:
        hit = sum(events for labels, events in mine if kind.felt(labels))
        drawn = sum(events for labels, events in mine if kind.drawn(labels))
        share = _share(kind, Tally(good=hit, total=drawn), injection.target, experiment)
        yield share.model_copy(update={"stage": part.stage})
    if not part.fault.kinds:
        hit = sum(events for labels, events in mine if felt_by(labels, injection.fault.kinds))
        yield _none(
            Tally(good=hit, total=sum(events for _, events in mine)), part.stage, share_of_confidence(experiment)
        )


def _none(tally: Tally, stage: int, confidence: float) -> ShareProof:
    """Of a stage that is off: requests were counted, and none of them felt a fault."""
    return ShareProof(
        kind="off",
        flag="",
        stage=stage,
        declared=0.0,
        tally=tally,
        interval=interval(tally.good, tally.total, confidence=confidence),
        proven=tally.total > 0 and not tally.good,
        off=tally.good > 0,
    )


def _share(kind: Kind, tally: Tally, target: Target, experiment: Experiment) -> ShareProof:
    """With a narrowed scope the metrics can't tell how many requests were in it: the share can only be too high."""
    declared = kind.percentage / 100
    narrowed = bool(target.match) or target.only_our_load
    confidence = share_of_confidence(experiment)
    found = interval(tally.good, tally.total, confidence=confidence)
    off = found.low > declared or (found.high < declared and not narrowed)
    needed = max(experiment.min_faulted, fewest(1.0 if narrowed else declared, confidence))
    return ShareProof(
        kind=kind.key,
        flag=kind.flag,
        declared=declared,
        tally=tally,
        interval=found,
        proven=tally.good >= needed and not off,
        off=off,
        needed=needed,
    )


@cache
def fewest(declared: float, confidence: float) -> int:
    """Faulted requests from which on a share is known well enough to say that it agrees with the declared one.

    That is where the interval of as many requests, if exactly the declared share of them is faulted, begins above half
    of it. One of one, or 2 of 134, agree with almost anything.
    """
    few = 1
    while interval(few, round(few / declared), confidence=confidence).low < declared * _KNOWN:
        few += 1
    return few


def counted(facts: Facts, injection: Injection, window: Window) -> Iterator[tuple[Counter, int]]:
    """The requests towards a target in a window, series by series."""
    return ((one, found.events) for one, found in facts.evidence.counted(injection.requests, window))


def sent(facts: Facts, question: Question, window: Window) -> Mapping[str, int]:
    """Requests in a window by ``namespace/workload`` of their callers; 0 of all others."""
    found = collections.Counter[str]()
    for one, rise in facts.evidence.counted(question, window):
        if rise.events:
            found[caller_of(one.labels)] += rise.events
    return found


def felt(facts: Facts, injection: Injection, window: Window) -> Mapping[str, int]:
    """The same of the requests towards a target that felt an injected fault, ours or somebody else's."""
    found = collections.Counter[str]()
    for series, events in counted(facts, injection, window):
        if events and is_faulted(series, injection):
            found[caller_of(series.labels)] += events
    return found


def faults_before(facts: Facts, now: float) -> int:
    """Faults that were counted on the targets before ours: somebody else's, from which ours can't be distinguished."""
    begin = facts.marks.get(Mark.BASELINE_FROM)
    end = facts.marks.get(Mark.INJECT_SENT, facts.marks.get(Mark.BASELINE_UNTIL, now))
    if begin is None:
        return 0
    return sum(n for one in facts.plan.injections for n in felt(facts, one, Window(begin, end)).values())
