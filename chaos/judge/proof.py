"""Whether the fault provably hit real traffic at its declared share, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from chaos.expectations.confidence import interval
from chaos.expectations.counting import Counter
from chaos.expectations.evidence import Window
from chaos.faults.fault import felt_by
from chaos.faults.kind import Kind
from chaos.judge.alpha import longest_delay, share_of_confidence
from chaos.judge.facts import Facts
from chaos.model.experiment import Experiment
from chaos.model.history import Mark
from chaos.model.plan import Plan
from chaos.model.verdict import Proof, ShareProof
from chaos.values.answers import Tally

_KNOWN: Final = 0.5
"""Least part of the declared share at which the counted one's interval may begin."""


def is_faulted(series: Counter, facts: Facts) -> bool:
    """Whether its requests felt an injected fault, ours or somebody else's."""
    return bool(felt_by(series.labels, facts.experiment.kinds))


def caller_of(series: Counter) -> str:
    """``namespace/workload`` of the caller."""
    labels = series.labels
    return f"{labels.get('source_workload_namespace', 'unknown')}/{labels.get('source_workload', 'unknown')}"


def is_declared(plan: Plan, caller: str) -> bool:
    """Whether a caller is in the declared scope: one of the plan's, or any of the target's namespace without such."""
    if plan.callers:
        return caller in {f"{one.namespace}/{one.workload}" for one in plan.callers}
    return caller.startswith(f"{plan.experiment.target.namespace}/")


def judge_proof(facts: Facts, now: float) -> Proof:
    """The proof as it stands.

    Envoy counts a request when it ends, so a delayed one is counted up to ``fixedDelay`` later than others that came with
    it. The shares are therefore taken over requests that ended after one ``fixedDelay`` of the fault: from then on, as
    many delayed requests come in late at the window's start as go missing at its end.
    """
    injected = facts.marks.get(Mark.INJECT_SENT)
    if injected is None:
        return Proof()
    end = min(now, facts.marks.get(Mark.RESTORE_SENT, now))
    by_caller: dict[str, int] = {}
    for series, events in counted(facts, injected, now):
        if is_faulted(series, facts):
            by_caller[caller_of(series)] = by_caller.get(caller_of(series), 0) + events
    outside = {caller: n for caller, n in by_caller.items() if n and not is_declared(facts.plan, caller)}
    seen = next((look for look in reversed(facts.proxies) if look.at <= end and look.of), None)
    begin = facts.marks.get(Mark.FAULT_FROM)
    shares: tuple[ShareProof, ...] = ()
    if begin is not None:
        shares = tuple(_shares(facts, Window(begin + longest_delay(facts.experiment), end)))
    return Proof(
        shares=shares,
        by_caller={caller: n for caller, n in sorted(by_caller.items()) if n},
        outside=outside,
        proxies=f"{seen.having} of {seen.of}" if seen else "",
        complete=bool(shares) and all(share.proven or share.off for share in shares),
    )


def _shares(facts: Facts, window: Window) -> Iterator[ShareProof]:
    experiment = facts.experiment
    mine = [
        (series.labels, events)
        for series, events in counted(facts, window.start, window.end)
        if is_declared(facts.plan, caller_of(series))
    ]
    for kind in experiment.kinds:
        hit = sum(events for labels, events in mine if kind.felt(labels))
        drawn = sum(events for labels, events in mine if kind.drawn(labels))
        yield _share(kind, Tally(good=hit, total=drawn), experiment)


def _share(kind: Kind, tally: Tally, experiment: Experiment) -> ShareProof:
    """With a narrowed scope the metrics can't tell how many requests were in it: the share can only be too high."""
    declared, target = kind.percentage / 100, experiment.target
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


def counted(facts: Facts, start: float, end: float) -> Iterator[tuple[Counter, int]]:
    """The requests towards the target between two moments, series by series."""
    return ((one, found.events) for one, found in facts.evidence.counted(facts.requests, Window(start, end)))


def faults_before(facts: Facts, now: float) -> int:
    """Faults that were counted on the target before ours: somebody else's, beside which ours can't be told apart."""
    begin = facts.marks.get(Mark.BASELINE_FROM)
    end = facts.marks.get(Mark.INJECT_SENT, facts.marks.get(Mark.BASELINE_UNTIL, now))
    if begin is None:
        return 0
    return sum(events for series, events in counted(facts, begin, end) if is_faulted(series, facts))
