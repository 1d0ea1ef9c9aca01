"""Whether the fault provably hit real traffic at its declared share, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.expectations.confidence import interval
from chaos.expectations.counting import Scrapes, count
from chaos.faults.fault import felt_by
from chaos.faults.kind import Kind
from chaos.judge.claims import Window, longest_delay, share_of_confidence
from chaos.judge.evidence import requests_key
from chaos.model.experiment import Experiment
from chaos.model.history import History, Mark
from chaos.model.verdict import Proof, ShareProof
from chaos.values.answers import Tally
from chaos.values.series import Series


def is_faulted(series: Series, history: History) -> bool:
    """Whether its requests felt an injected fault, ours or somebody else's."""
    return bool(felt_by(series.labels, history.plan.experiment.kinds))


def caller_of(series: Series) -> str:
    """``namespace/workload`` of the caller."""
    labels = series.labels
    return f"{labels.get('source_workload_namespace', 'unknown')}/{labels.get('source_workload', 'unknown')}"


def is_declared(history: History, caller: str) -> bool:
    """Whether a caller is in the declared scope: one of the plan's, or any of the target's namespace without such."""
    plan = history.plan
    if plan.callers:
        return caller in {f"{one.namespace}/{one.workload}" for one in plan.callers}
    return caller.startswith(f"{plan.experiment.target.namespace}/")


def judge_proof(history: History, now: float) -> Proof:
    """The proof as it stands.

    Envoy counts a request when it ends, so a delayed one is counted up to ``fixedDelay`` later than others that came with
    it. The shares are therefore taken over requests that ended after one ``fixedDelay`` of the fault: from then on, as
    many delayed requests come in late at the window's start as go missing at its end.
    """
    injected = history.marks.get(Mark.INJECT_SENT)
    if injected is None:
        return Proof()
    end = min(now, history.marks.get(Mark.RESTORE_SENT, now))
    by_caller: dict[str, int] = {}
    for series, events in counted(history, injected, now):
        if is_faulted(series, history):
            by_caller[caller_of(series)] = by_caller.get(caller_of(series), 0) + events
    outside = {caller: n for caller, n in by_caller.items() if n and not is_declared(history, caller)}
    seen = next((look for look in reversed(history.proxies) if look.at <= end and look.of), None)
    begin = history.marks.get(Mark.FAULT_FROM)
    shares: tuple[ShareProof, ...] = ()
    if begin is not None:
        shares = tuple(_shares(history, Window(begin + longest_delay(history.plan.experiment), end)))
    return Proof(
        shares=shares,
        by_caller={caller: n for caller, n in sorted(by_caller.items()) if n},
        outside=outside,
        proxies=f"{seen.having} of {seen.of}" if seen else "",
        complete=bool(shares) and all(share.proven or share.off for share in shares),
    )


def _shares(history: History, window: Window) -> Iterator[ShareProof]:
    experiment = history.plan.experiment
    mine = [
        (series.labels, events)
        for series, events in counted(history, window.start, window.end)
        if is_declared(history, caller_of(series))
    ]
    for kind in experiment.kinds:
        hit = sum(events for labels, events in mine if kind.felt(labels))
        drawn = sum(events for labels, events in mine if kind.drawn(labels))
        yield _share(kind, Tally(good=hit, total=drawn), experiment)


def _share(kind: Kind, tally: Tally, experiment: Experiment) -> ShareProof:
    """With a narrowed scope the metrics can't tell how many requests were in it: the share can only be too high."""
    declared, target = kind.percentage / 100, experiment.target
    narrowed = bool(target.match) or target.only_our_load
    found = interval(tally.good, tally.total, confidence=share_of_confidence(experiment))
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


def counted(history: History, start: float, end: float) -> Iterator[tuple[Series, int]]:
    """The requests towards the target between two moments, series by series."""
    recorded = history.find(requests_key(history.plan.host))
    if recorded is None:
        return
    scrapes = Scrapes((recorded,))
    for series in recorded.series:
        found = count(series, start, end, scrapes=scrapes, interval=history.environment.scrape_interval)
        yield series, found.events


def faults_before(history: History, now: float) -> int:
    """Faults that were counted on the target before ours: somebody else's, beside which ours can't be told apart."""
    begin = history.marks.get(Mark.BASELINE_FROM)
    end = history.marks.get(Mark.INJECT_SENT, history.marks.get(Mark.BASELINE_UNTIL, now))
    if begin is None:
        return 0
    return sum(events for series, events in counted(history, begin, end) if is_faulted(series, history))
