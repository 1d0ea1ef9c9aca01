"""Whether the faults provably hit real traffic at its declared share, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.expectations.confidence import interval
from chaos.expectations.counting import Counter
from chaos.expectations.evidence import Window
from chaos.faults.fault import felt_by
from chaos.faults.kind import Kind
from chaos.faults.target import Target
from chaos.judge.alpha import longest_delay, share_of_confidence
from chaos.judge.facts import Facts
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import Proof, ShareProof, TargetProof
from chaos.values.answers import Tally


def is_faulted(series: Counter, injection: Injection) -> bool:
    """Whether its requests felt an injected fault, ours or somebody else's."""
    return bool(felt_by(series.labels, injection.fault.kinds))


def caller_of(series: Counter) -> str:
    """``namespace/workload`` of the caller."""
    labels = series.labels
    return f"{labels.get('source_workload_namespace', 'unknown')}/{labels.get('source_workload', 'unknown')}"


def is_declared(injection: Injection, caller: str) -> bool:
    """Whether a caller is in the declared scope: one of those that are known, or any of the target's namespace without such."""
    if injection.callers:
        return caller in {f"{one.namespace}/{one.workload}" for one in injection.callers}
    return caller.startswith(f"{injection.target.namespace}/")


def judge_proof(facts: Facts, now: float) -> Proof:
    """The proof as it stands.

    Envoy counts a request when it ends, so a delayed one is counted up to ``fixedDelay`` later than others that came with
    it. The shares are therefore taken over requests that ended after one ``fixedDelay`` of the fault: from then on, as
    many delayed requests come in late at the window's start as go missing at its end.
    """
    if Mark.INJECT_SENT not in facts.marks:
        return Proof()
    end = min(now, facts.marks.get(Mark.RESTORE_SENT, now))
    seen = next((look for look in reversed(facts.proxies) if look.at <= end and look.of), None)
    return Proof(
        targets=tuple(_at(facts, one, end, now) for one in facts.plan.injections),
        proxies=f"{seen.having} of {seen.of}" if seen else "",
    )


def _at(facts: Facts, injection: Injection, end: float, now: float) -> TargetProof:
    by_caller: dict[str, int] = {}
    for series, events in counted(facts, injection, facts.marks[Mark.INJECT_SENT], now):
        if is_faulted(series, injection):
            by_caller[caller_of(series)] = by_caller.get(caller_of(series), 0) + events
    begin = facts.marks.get(Mark.FAULT_FROM)
    shares: tuple[ShareProof, ...] = ()
    if begin is not None:
        shares = tuple(_shares(facts, injection, Window(begin + longest_delay(facts.experiment), end)))
    return TargetProof(
        target=str(injection.target),
        shares=shares,
        by_caller={caller: n for caller, n in sorted(by_caller.items()) if n},
        outside={caller: n for caller, n in by_caller.items() if n and not is_declared(injection, caller)},
    )


def _shares(facts: Facts, injection: Injection, window: Window) -> Iterator[ShareProof]:
    mine = [
        (series.labels, events)
        for series, events in counted(facts, injection, window.start, window.end)
        if is_declared(injection, caller_of(series))
    ]
    confidence = share_of_confidence(facts.experiment)
    for kind in injection.fault.kinds:
        hit = sum(events for labels, events in mine if kind.felt(labels))
        drawn = sum(events for labels, events in mine if kind.drawn(labels))
        yield _share(kind, Tally(good=hit, total=drawn), injection.target, confidence)


def _share(kind: Kind, tally: Tally, target: Target, confidence: float) -> ShareProof:
    """With a narrowed scope the metrics can't tell how many requests were in it: the share can only be too high."""
    declared = kind.percentage / 100
    narrowed = bool(target.match) or target.only_our_load
    found = interval(tally.good, tally.total, confidence=confidence)
    off = found.low > declared or (found.high < declared and not narrowed)
    return ShareProof(
        kind=kind.key,
        flag=kind.flag,
        declared=declared,
        tally=tally,
        interval=found,
        proven=tally.good > 0 and not off,
        off=off,
    )


def counted(facts: Facts, injection: Injection, start: float, end: float) -> Iterator[tuple[Counter, int]]:
    """The requests towards a target between two moments, series by series."""
    return ((one, found.events) for one, found in facts.evidence.counted(injection.requests, Window(start, end)))


def faults_before(facts: Facts, now: float) -> int:
    """Faults that were counted on the targets before ours: somebody else's, beside which ours can't be told apart."""
    begin = facts.marks.get(Mark.BASELINE_FROM)
    end = facts.marks.get(Mark.INJECT_SENT, facts.marks.get(Mark.BASELINE_UNTIL, now))
    if begin is None:
        return 0
    return sum(
        events
        for one in facts.plan.injections
        for series, events in counted(facts, one, begin, end)
        if is_faulted(series, one)
    )
