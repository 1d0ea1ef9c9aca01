"""Violations that the system did not cause: the load generator was not well, or others called or injected faults, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from chaos.expectations.confidence import decide
from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind
from chaos.expectations.share import ShareOfGood
from chaos.istio.hosts import short
from chaos.istio.metrics import INJECTED, caller_of, flags_of
from chaos.judge.alpha import share_of_confidence
from chaos.judge.calls import Calls, asked_of_calls, counted_once, hosts_asked
from chaos.judge.facts import Facts
from chaos.judge.others import NOTICED, others_since
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode, RemovalResult
from chaos.values.answers import Answer, ExpectationResult

Edge = tuple[str, str]
"""A caller, as ``namespace/workload``, and a host."""


def excuses(
    facts: Facts, results: Iterable[ExpectationResult], removed: RemovalResult | None, now: float, *, starved: bool
) -> Mapping[str, Reason | None]:
    """The expectations and guardrails of which a violation says nothing against the system, by their titles, with the reason of those that have one of their own.

    A load generator that was not well itself says nothing by its counts or by rates that follow its own; nor does the lab, whose
    shop runs beside it.
    """
    kinds = facts.experiment.every
    by_load = [one.title for one in kinds if facts.environment.lab or one.counted_by_load or one.follows_load]
    return {
        **dict.fromkeys(by_load if starved else ()),
        **others_since(facts, now, removed),
        **_broken_by_others(facts, results, now),
    }


def _broken_by_others(facts: Facts, results: Iterable[ExpectationResult], now: float) -> Mapping[str, Reason]:
    """What faults of somebody else at other services may have broken: that is not known to be this run's doing."""
    kinds = {one.title: one for one in facts.experiment.every}
    found: dict[str, Reason] = {}
    for result in results:
        one = kinds[result.title]
        suffers = result.answer is Answer.VIOLATED and one.may_suffer(result)
        window = facts.restored(now) if result.phase == "recovery" else facts.injected(now)
        if window is None or not suffers:
            continue
        hits = _hits(facts, one, window)
        if hits and not _violated_without(facts, one, result, window, sum(hits.values())):
            namespace = facts.namespace
            told = ", ".join(
                f"{number} requests of {caller.removeprefix(f'{namespace}/')} to {short(host, namespace)}"
                for (caller, host), number in hits.items()
            )
            found[result.title] = Reason(
                code=ReasonCode.FOREIGN_FAULT,
                message=f"a fault that is not from this run hit {told} {result.when}, so it may be the cause of this: {result.sentence}",
                hint="find that fault: `chaosctl status` lists those of other runs, and `kubectl get virtualservices -A -o yaml` has the others (look for "
                "`fault:`). End it, or let experiments whose services need each other run one after the other, and run again",
            )
    return found


def _hits(facts: Facts, one: Kind, window: Window) -> Mapping[Edge, int]:
    """Faulted requests, but for those to the targets, which what an expectation counts needs."""
    calls = Calls.of(facts, Window(facts.marks.get(Mark.LOAD_STARTED, window.start), window.end))
    if calls is None:
        return {}
    namespace = facts.namespace
    targets = hosts_asked(facts, (found.host for found in facts.plan.injections))
    counted = hosts_asked(facts, one.hosts(namespace))
    hits = Counter[Edge]()
    for series, events in counted_once(facts, asked_of_calls(facts), window):
        edge = caller_of(series.labels), series.labels.get("destination_service", "")
        if events and INJECTED & flags_of(series.labels) and edge[1] not in targets:
            way = calls.upstream({edge[0]})
            if not counted or edge[1] in counted or any(calls.meet(calls.answering(host), way) for host in counted):
                hits[edge] += events
    return hits


def _violated_without(facts: Facts, one: Kind, result: ExpectationResult, window: Window, hits: int) -> bool:
    """Whether it were violated, too, if each of these requests had made a good answer bad."""
    if not isinstance(one, ShareOfGood):
        return hits <= NOTICED * result.tally.total
    tally = one.tally(facts.evidence, window, facts.namespace)
    good = min(tally.total, tally.good + hits)
    return decide(good, tally.total, result.bound, confidence=share_of_confidence(facts.experiment)) is Answer.VIOLATED
