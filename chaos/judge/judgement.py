"""The verdict of a history: passed only if every part of the promise holds; what can't be told is inconclusive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from chaos.expectations.evidence import Window
from chaos.judge.aftermath import aftermath, left_behind
from chaos.judge.answers import with_statuses
from chaos.judge.callers import judge_callers
from chaos.judge.cascade import changed_edges
from chaos.judge.decisions import answer_of, known, recovery_of, results_of
from chaos.judge.excuses import excuses
from chaos.judge.facts import Facts
from chaos.judge.live import PhaseAnswer, baseline_answer, fault_answer, guardrails
from chaos.judge.load import judge_load
from chaos.judge.metrics import judge_metrics
from chaos.judge.on_the_way import with_last_seconds
from chaos.judge.passing import all_held, held_again
from chaos.judge.proof import faults_before
from chaos.judge.reach import out_of_reach
from chaos.judge.recovery import judge_recovery, with_relapse
from chaos.judge.removal import judge_removal, surely_there
from chaos.judge.tested import untested_after, untested_before, untested_during
from chaos.judge.troubles import broken, not_distributed, troubled, without_metrics
from chaos.judge.undecided import undecided, undecided_recovery
from chaos.judge.unproven import of_another_cause, outside, unproven
from chaos.judge.unscraped import judge_unscraped
from chaos.judge.unshown import unshown
from chaos.model.events import TroubleKind
from chaos.model.history import History, Mark
from chaos.model.verdict import (
    Outcome,
    Reason,
    ReasonCode,
    RecoveryResult,
    RemovalResult,
    Verdict,
    worst,
)
from chaos.values.answers import Answer, ExpectationResult

_UNFIT: Final = {code.value: code for code in (ReasonCode.CANNOT_BREAK, ReasonCode.CANNOT_DECIDE)}
"""Refusals of experiments that could show nothing, by their rule."""

_TRIPPED: Final = "find out why the system breaks that far; or begin with less: a smaller percentage, fewer callers, or target.onlyOurLoad"


def judge(history: History) -> Verdict:
    """The verdict, from the facts alone; the same for the live run and for its record."""
    found = _Found.of(history)
    facts, experiment = found.facts, history.plan.experiment
    reasons = list(without_metrics(dict.fromkeys(_reasons(found))))
    if not reasons:
        reasons = [all_held(history, found.during.proof, found.removed, found.after)]
    outcome = worst(reason.code.outcome for reason in reasons)
    passed = outcome is Outcome.PASSED
    again = held_again(facts, found.removed, found.after)
    return Verdict(
        run=history.run,
        experiment=experiment.name,
        profile=experiment.profile,
        outcome=outcome,
        reasons=tuple(sorted(reasons, key=_order)),
        baseline=found.before.expectations,
        fault=found.during.expectations,
        guardrails=found.guarded,
        proof=found.during.proof if Mark.INJECT_SENT in history.marks else None,
        removal=found.removed,
        recovery=found.after,
        changed=changed_edges(facts, found.now),
        unshown=tuple(unshown(facts, found.during.expectations, found.now, recovered=again)) if passed else (),
        aftermath=aftermath(history, found.removed, outcome),
    )


@dataclass(frozen=True)
class _Found:
    """What became of each part of a run.

    Args:
        now: Its end, or the last moment that is known of it.
        steady: The facts by which the run judged its baseline.
    """

    history: History
    facts: Facts
    now: float
    steady: Facts
    before: PhaseAnswer
    during: PhaseAnswer
    guarded: tuple[ExpectationResult, ...]
    removed: RemovalResult | None
    after: RecoveryResult | None

    @classmethod
    def of(cls, history: History) -> _Found:
        now = history.ended if history.ended is not None else _newest(history)
        facts = Facts.of(history)
        steady, steady_at = known(history, facts, "baseline", now)
        faulted, faulted_at = known(history, facts, "fault", now)
        before = answer_of(baseline_answer(steady, steady_at), baseline_answer(facts, now))
        before = replace(before, expectations=with_statuses(steady, before.expectations, steady.baseline))
        removed = judge_removal(facts, now) if Mark.RESTORED in history.marks else None
        during = _during_fault(faulted, faulted_at, facts, now, removed)
        guarded = results_of(guardrails(faulted, faulted_at), guardrails(facts, now))
        after = _recovered(history, facts, removed, now) if removed is not None else None
        return cls(history, facts, now, steady, before, during, guarded, removed, after)


def _during_fault(then: Facts, at: float, facts: Facts, now: float, removed: RemovalResult | None) -> PhaseAnswer:
    """The answers of the fault's phase at the look that ended it. What the whole evidence violates until the fault was gone is violated."""
    by_then, whole = fault_answer(then, at), fault_answer(facts, now)
    by_then = replace(by_then, expectations=with_statuses(then, by_then.expectations, then.faulted(at)))
    there = Window(facts.marks[Mark.FAULT_FROM], surely_there(facts, now)) if whole.expectations else None
    whole = replace(whole, expectations=with_statuses(facts, whole.expectations, there))
    during = answer_of(by_then, whole)
    if removed is None or not during.expectations:
        return during
    return replace(during, expectations=with_last_seconds(facts, during.expectations, removed))


def _recovered(history: History, facts: Facts, removed: RemovalResult, now: float) -> RecoveryResult:
    whole = with_relapse(facts, judge_recovery(facts, removed, now), removed, now)
    then, at = known(history, facts, "recovery", now)
    return recovery_of(judge_recovery(then, removed, at), whole)


def _order(reason: Reason) -> tuple[int, bool]:
    """The worst first; callers who gave the target up are why too few of their requests were hit."""
    return -list(Outcome).index(reason.code.outcome), reason.code is not ReasonCode.NO_CALLERS


def _newest(history: History) -> float:
    """The last moment that a history knows of; a run that died has no end."""
    times = [history.started, *history.marks.values(), *(event.at for event in history.events)]
    times += [s.samples[-1][0] for r in history.recorded for s in r.series if s.samples]
    return max(times)


def _reasons(found: _Found) -> Iterator[Reason]:
    """Every reason against passing, in the order of the run."""
    history, facts = found.history, found.facts
    if history.plan.refusals:
        for refusal in history.plan.refusals:
            code = _UNFIT.get(refusal.rule, ReasonCode.STAGING_RULE)
            text = refusal.message if refusal.rule == code else f"{refusal.rule}: {refusal.message}"
            yield Reason(code=code, message=text, hint=refusal.hint, more=refusal.more)
        return
    for trouble in history.troubles:
        yield troubled(history, trouble)
    yield from left_behind(history, found.removed)
    if Mark.BASELINE_FROM not in history.marks:
        if not history.troubles:
            yield broken("the run ended before its baseline began")
        return
    lost = judge_metrics(facts)
    if lost is not None and all(trouble.kind is not TroubleKind.METRICS_LOST for trouble in history.troubles):
        yield lost
    yield from judge_unscraped(facts)
    starved = judge_load(facts)
    if starved is not None:
        yield starved
    if Mark.INJECT_SENT not in history.marks:
        if not history.troubles:
            yield from _not_injected(found)
        return
    yield from outside(found.during.proof)
    if found.before.answer is not Answer.HOLDS:  # as another version of the harness judged it, or by other bounds
        yield from _not_steady(facts, found.before)
        return
    yield from untested_before(found.steady)
    results = (*found.during.expectations, *found.guarded, *(found.after.expectations if found.after else ()))
    excused = excuses(facts, results, found.removed, found.now, starved=starved is not None)
    yield from _during(found, excused)
    yield from _after(found, excused)
    yield from filter(None, excused.values())


def _not_injected(found: _Found) -> Iterator[Reason]:
    """Why the baseline was no reason to inject."""
    history, facts = found.history, found.steady
    if found.before.answer is not Answer.HOLDS:
        yield from _not_steady(facts, found.before)
        return
    foreign = faults_before(facts, history.marks.get(Mark.BASELINE_UNTIL, history.started))
    if foreign:
        targets = ", ".join(str(one.target) for one in history.plan.injections)
        yield Reason(
            code=ReasonCode.FOREIGN_FAULT,
            message=f"a fault that is not from this run hit {foreign} of the requests to {targets} before this run injected its own",
            hint="find that fault: `chaosctl status` lists those of other runs, and `kubectl get virtualservices -A -o yaml` has the others (look for "
            "`fault:`). End it, and run again: a system that has a fault already shows nothing about another one",
        )
        return
    untested = [*filter(None, [judge_callers(facts)]), *untested_before(facts)]
    yield from untested or [broken("the run ended before its injection")]


def _not_steady(facts: Facts, before: PhaseAnswer) -> Iterator[Reason]:
    """Why the baseline was none; an expectation that is undecided counts only where none is violated."""
    if before.answer is Answer.UNDECIDED:
        yield from undecided(facts, before.expectations, ReasonCode.UNDECIDED_BEFORE, "baseline")
    for kind, one in zip(facts.experiment.steady_state, before.expectations, strict=True):
        if one.answer is Answer.VIOLATED:
            usual = (
                f", or declare what the system usually does ({key})"
                if (key := kind.loosened_by.get("baseline"))
                else ""
            )
            yield Reason(
                code=ReasonCode.NOT_STEADY_BEFORE,
                message=one.sentence,
                hint=f"find out why it is so without any fault (`chaosctl doctor` looks for the usual causes){usual}, and run again",
            )


def _violated(results: Iterable[ExpectationResult], excused: Collection[str]) -> list[ExpectationResult]:
    return [one for one in results if one.answer is Answer.VIOLATED and one.title not in excused]


def _during(found: _Found, excused: Collection[str]) -> Iterator[Reason]:
    """What was violated during the fault; else why what held shows nothing, and what was not decided."""
    facts, during, proof = found.facts, found.during, found.during.proof
    violated, tripped = _violated(during.expectations, excused), _violated(found.guarded, excused)
    if (violated or tripped) and not proof.counted:
        yield of_another_cause(one.sentence for one in (*violated, *tripped))
        return
    for one in violated:
        yield Reason(
            code=ReasonCode.EXPECTATION_VIOLATED,
            message=one.sentence,
            hint=one.hint or _improve(facts, one),
        )
    for one in tripped:
        yield Reason(
            code=ReasonCode.GUARDRAIL_TRIPPED,
            message=f"the run stopped early and restored, because the guardrail {one.sentence}",
            hint=_TRIPPED,
        )
    if violated or tripped or found.history.troubles:
        return
    pairs = zip(facts.plan.injections, proof.targets, strict=True)
    missing = [reason for injection, counted in pairs for reason in unproven(injection, counted)]
    yield from missing
    for reason in untested_during(facts, during.expectations, found.guarded, found.now):
        # Where no fault was counted, it goes without saying that nothing could break the expectations.
        if proof.counted or not missing or reason.code is not ReasonCode.FAULT_TOO_SMALL:
            yield reason
    yield from out_of_reach(facts, found.now)
    if during.answer is Answer.UNDECIDED:
        yield from undecided(facts, during.expectations, ReasonCode.UNDECIDED_DURING_FAULT, "fault")
        if not during.expectations:
            yield not_distributed()


def _improve(facts: Facts, one: ExpectationResult) -> str:
    """The hint for a violation during the fault for which its kind has none."""
    kind = next(kind for kind in facts.experiment.steady_state if kind.title == one.title)
    enough = (
        f". If this result is good enough during a fault, declare it as {key}"
        if (key := kind.loosened_by.get("fault"))
        else ""
    )
    return f"improve the caller: a time-out, few retries, and a fallback answer for when the target fails{enough}"


def _after(found: _Found, excused: Collection[str]) -> Iterator[Reason]:
    """Why the system is not known to have recovered."""
    removed, after = found.removed, found.after
    if removed is None or after is None or found.history.troubles or removed.answer is Answer.VIOLATED:
        return
    if removed.answer is Answer.UNDECIDED:
        yield Reason(
            code=ReasonCode.UNDECIDED_RECOVERY,
            message="it stayed undecided whether the callers' proxies lost the fault in time, so no recovery can be counted from there",
            hint="let the run end by itself, and check that Prometheus scrapes the callers' proxies; limits.removal has to be longer "
            "than the scrape interval, and the absence of a rare fault shows only after many requests",
        )
    elif after.answer is Answer.VIOLATED:
        bad = _violated(after.expectations, excused)
        if bad and not found.during.proof.counted:
            yield of_another_cause(one.sentence for one in bad)
        elif bad:
            yield Reason(
                code=ReasonCode.NOT_RECOVERED,
                message=f"the steady state did not hold again within {after.allowed:g} s after the fault was gone: {'; '.join(one.sentence for one in bad)}",
                hint=next((one.hint for one in bad if one.hint), "")
                or "check that circuit breakers close, pools refill and queues drain when the dependency is back. If the system may take "
                "longer, raise recovery.within",
            )
    elif after.answer is Answer.UNDECIDED:
        yield from undecided_recovery(found.facts, after)
    else:
        yield from untested_after(found.facts, held_again(found.facts, removed, after))
