"""The verdict of a history: passed only if every part of the promise holds; what can't be told is inconclusive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from chaos.expectations.evidence import Window
from chaos.judge.aftermath import aftermath, left_behind
from chaos.judge.callers import judge_callers
from chaos.judge.cascade import changed_edges
from chaos.judge.decisions import answer_of, known, recovery_of, results_of
from chaos.judge.excuses import excuses
from chaos.judge.facts import Facts
from chaos.judge.hints import NOT_DISTRIBUTED_HINT, hint_for, without_metrics
from chaos.judge.live import PhaseAnswer, baseline_answer, fault_answer, guardrails, together
from chaos.judge.load import judge_load
from chaos.judge.metrics import judge_metrics
from chaos.judge.on_the_way import with_last_seconds
from chaos.judge.passing import all_held, broken, held_again
from chaos.judge.proof import faults_before
from chaos.judge.reach import out_of_reach
from chaos.judge.recovery import judge_recovery, with_relapse
from chaos.judge.removal import judge_removal, surely_there
from chaos.judge.tested import untested_after, untested_before, untested_during, with_statuses
from chaos.judge.undecided import undecided, undecided_recovery
from chaos.judge.unscraped import judge_unscraped
from chaos.judge.unshown import unshown
from chaos.model.events import Trouble, TroubleKind
from chaos.model.history import History, Mark
from chaos.model.plan import Injection
from chaos.model.verdict import (
    Outcome,
    Proof,
    Reason,
    ReasonCode,
    RecoveryResult,
    RemovalResult,
    ShareProof,
    TargetProof,
    Verdict,
    worst,
)
from chaos.values.answers import Answer, ExpectationResult

_UNFIT: Final = {code.value: code for code in (ReasonCode.CANNOT_BREAK, ReasonCode.CANNOT_DECIDE)}
"""Refusals of experiments that could show nothing, by their rule."""

_OF_NO_PHASE: Final = (TroubleKind.LOCKED, TroubleKind.ENTRY_UNUSABLE, TroubleKind.RECORD_LOST)
"""Troubles that come before the phases, or after them."""

_TOO_MANY: Final = (
    "probably another fault hits the same requests: look for it by `chaosctl status` and `kubectl get virtualservices -A -o yaml` "
    "(`fault:`), end it, and run again"
)
_TOO_FEW: Final = (
    "probably some calls follow another VirtualService, or go through a proxy that does not have the fault: compare the hosts and "
    "ports that the callers use with those of `chaosctl plan`"
)

_TRIPPED: Final = "find out why the system breaks that far; or begin with less: a smaller percentage, fewer callers, or target.onlyOurLoad"


def judge(history: History) -> Verdict:
    """The verdict, from the facts alone; the same for the live run and for its record."""
    now = history.ended if history.ended is not None else _newest(history)
    facts = Facts.of(history)
    (steady, steady_at), (faulted, faulted_at) = (known(history, facts, phase, now) for phase in ("baseline", "fault"))
    before = answer_of(baseline_answer(steady, steady_at), baseline_answer(facts, now))
    before = replace(before, expectations=with_statuses(steady, before.expectations, steady.baseline))
    removed = judge_removal(facts, now) if Mark.RESTORED in history.marks else None
    during = _during_fault(faulted, faulted_at, facts, now, removed)
    guarded = results_of(guardrails(faulted, faulted_at), guardrails(facts, now))
    after = _recovered(history, facts, removed, now) if removed is not None else None
    found = dict.fromkeys(_reasons(history, facts, steady, before, during, guarded, removed, after, now))
    reasons = list(without_metrics(found))
    if not reasons:
        reasons = [all_held(history, during.proof, removed, after)]
    outcome = worst(reason.code.outcome for reason in reasons)
    return Verdict(
        run=history.run,
        experiment=history.plan.experiment.name,
        profile=history.plan.experiment.profile,
        outcome=outcome,
        reasons=tuple(sorted(reasons, key=_order)),
        baseline=before.expectations,
        fault=during.expectations,
        guardrails=guarded,
        proof=during.proof if Mark.INJECT_SENT in history.marks else None,
        removal=removed,
        recovery=after,
        changed=changed_edges(facts, now),
        unshown=tuple(unshown(facts, during.expectations, now, recovered=held_again(facts, removed, after)))
        if outcome is Outcome.PASSED
        else (),
        aftermath=aftermath(history, removed, outcome),
    )


def _during_fault(then: Facts, at: float, facts: Facts, now: float, removed: RemovalResult | None) -> PhaseAnswer:
    """The answers of the fault's phase at the look that ended it. What the whole evidence violates until the fault was gone is violated."""
    by_then, whole = fault_answer(then, at), fault_answer(facts, now)
    by_then = replace(by_then, expectations=with_statuses(then, by_then.expectations, then.faulted(at)))
    there = Window(facts.marks[Mark.FAULT_FROM], surely_there(facts, now)) if whole.expectations else None
    whole = replace(whole, expectations=with_statuses(facts, whole.expectations, there))
    during = answer_of(by_then, whole)
    if removed is None or not during.expectations:
        return during
    expectations = with_last_seconds(facts, during.expectations, removed)
    return replace(during, answer=together(expectations), expectations=expectations)


def _recovered(history: History, facts: Facts, removed: RemovalResult, now: float) -> RecoveryResult:
    whole = with_relapse(facts, judge_recovery(facts, removed, now), removed, now)
    then, at = known(history, facts, "recovery", now)
    return recovery_of(judge_recovery(then, removed, at), whole)


def _rank(reason: Reason) -> int:
    return list(Outcome).index(reason.code.outcome)


def _order(reason: Reason) -> tuple[int, bool]:
    """The worst first; callers who gave the target up are why too few of their requests were hit."""
    return -_rank(reason), reason.code is not ReasonCode.NO_CALLERS


def _newest(history: History) -> float:
    """The last moment that a history knows of; a run that died has no end."""
    times = [history.started, *history.marks.values(), *(event.at for event in history.events)]
    times += [s.samples[-1][0] for r in history.recorded for s in r.series if s.samples]
    return max(times)


def _reasons(
    history: History,
    facts: Facts,
    steady: Facts,
    before: PhaseAnswer,
    during: PhaseAnswer,
    guarded: tuple[ExpectationResult, ...],
    removed: RemovalResult | None,
    after: RecoveryResult | None,
    now: float,
) -> Iterator[Reason]:
    """Every reason against passing; ``steady`` are the facts by which the run judged its baseline."""
    if history.plan.refusals:
        for refusal in history.plan.refusals:
            code = _UNFIT.get(refusal.rule, ReasonCode.STAGING_RULE)
            text = refusal.message if refusal.rule == code else f"{refusal.rule}: {refusal.message}"
            yield Reason(code=code, message=text, hint=refusal.hint, more=refusal.more)
        return
    for trouble in history.troubles:
        yield _troubled(history, trouble)
    yield from left_behind(history, removed)
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
        yield from _not_injected(history, steady, before)
        return
    yield from _outside(during.proof or Proof())
    if before.answer is not Answer.HOLDS:  # as another version of the harness judged it, or by other bounds
        yield from _not_steady(facts, before)
        return
    yield from untested_before(steady)
    results = (*during.expectations, *guarded, *(after.expectations if after is not None else ()))
    excused = excuses(facts, results, removed, now, starved=starved is not None)
    yield from _during(history, facts, during, guarded, excused, now)
    yield from _after(history, facts, during.proof or Proof(), removed, after, excused)
    yield from filter(None, excused.values())


def _troubled(history: History, trouble: Trouble) -> Reason:
    """What ended the run, and in which phase."""
    phase = next((span.phase for span in history.spans if span.end is None or span.end >= trouble.at), None)
    when = f" (in the phase {phase})" if phase is not None and trouble.kind not in _OF_NO_PHASE else ""
    return Reason(
        code=ReasonCode(trouble.kind),
        message=f"{trouble.message}{when}",
        hint=hint_for(trouble, history.plan.experiment),
    )


def _not_injected(history: History, facts: Facts, before: PhaseAnswer) -> Iterator[Reason]:
    if history.troubles:
        return
    if before.answer is not Answer.HOLDS:
        yield from _not_steady(facts, before)
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


def _outside(proof: Proof) -> Iterator[Reason]:
    for one in proof.targets:
        for caller, faults in one.outside.items():
            yield Reason(
                code=ReasonCode.FAULT_OUTSIDE_SCOPE,
                message=f"{caller} is no declared caller, and {faults} of the faults that this run injected for {one.target} hit it",
                hint=f"if the fault may hit {caller}, add it to target.callers. If not, narrow the target (target.match, target.onlyOurLoad): "
                "`chaosctl plan` shows which callers the VirtualService governs",
            )


def _violated(results: Iterable[ExpectationResult], excused: Collection[str]) -> list[ExpectationResult]:
    return [one for one in results if one.answer is Answer.VIOLATED and one.title not in excused]


def _during(
    history: History,
    facts: Facts,
    during: PhaseAnswer,
    guarded: tuple[ExpectationResult, ...],
    excused: Collection[str],
    now: float,
) -> Iterator[Reason]:
    proof = during.proof or Proof()
    violated, tripped = _violated(during.expectations, excused), _violated(guarded, excused)
    if (violated or tripped) and not proof.counted:
        yield _of_another_cause(one.sentence for one in (*violated, *tripped))
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
    if violated or tripped or history.troubles:
        return
    pairs = zip(history.plan.injections, proof.targets, strict=True)
    unproven = [reason for injection, found in pairs for reason in _unproven(injection, found)]
    yield from unproven
    for reason in untested_during(facts, during.expectations, guarded, now):
        # Where no fault was counted, it goes without saying that nothing could break the expectations.
        if proof.counted or not unproven or reason.code is not ReasonCode.FAULT_TOO_SMALL:
            yield reason
    yield from out_of_reach(facts, now)
    if during.answer is Answer.UNDECIDED:
        yield from undecided(facts, during.expectations, ReasonCode.UNDECIDED_DURING_FAULT, "fault")
        if not during.expectations:
            yield Reason(
                code=ReasonCode.NOT_DISTRIBUTED,
                message="no caller's proxy ever had the fault",
                hint=NOT_DISTRIBUTED_HINT,
            )


def _of_another_cause(sentences: Iterable[str]) -> Reason:
    """What was violated says nothing about a fault that hit no request."""
    return Reason(
        code=ReasonCode.FAULT_NOT_SEEN,
        message=f"no injected fault was counted, so the fault is not known to be the cause of this: {'; '.join(sentences)}",
        hint="look for another cause: events of the pods, a circuit breaker that had opened before, another fault (`chaosctl status`), "
        "too little CPU; and see by `chaosctl plan` whether the callers' requests follow a route with the fault",
    )


def _improve(facts: Facts, one: ExpectationResult) -> str:
    """The hint for a violation during the fault for which its kind has none."""
    kind = next(kind for kind in facts.experiment.steady_state if kind.title == one.title)
    enough = (
        f". If this result is good enough during a fault, declare it as {key}"
        if (key := kind.loosened_by.get("fault"))
        else ""
    )
    return f"improve the caller: a time-out, few retries, and a fallback answer for when the target fails{enough}"


def _unproven(injection: Injection, proof: TargetProof) -> Iterator[Reason]:
    for share in proof.shares:
        if share.proven:
            continue
        told = f"{proof.target}: {share}"
        if share.kind == "off" and share.tally.good:
            yield Reason(
                code=ReasonCode.FAULT_SHARE_OFF,
                message=f"requests were hit in a stage that has no fault: {told}",
                hint="find out whether another fault is active on the target (chaosctl status), end it, and run again",
            )
        elif share.tally.good == 0 and injection.target.only_our_load and share.tally.total:
            callers = ", ".join(f"{one.namespace}/{one.workload}" for one in injection.callers) or "the callers"
            yield Reason(
                code=ReasonCode.HEADER_NOT_FORWARDED,
                message=f"the fault hits only requests with this run's header x-chaos-run, and none of the {share.tally.total} requests that "
                f"{callers} sent to {proof.target} was hit",
                hint=f"make {callers}, and every application before it on the way, forward the header x-chaos-run of the requests that it gets",
            )
        elif (share.tally.good or (proof.by_caller and not share.tally.total)) and not share.off:
            yield Reason(
                code=ReasonCode.TOO_FEW_FAULTED,
                message=f"too few requests were hit to tell whether the percentage is the declared one: {told}; {share.needed} must be hit",
                hint=f"raise {'the time of the stage (for)' if share.stage else 'limits.fault'} or load.rate, or send load that calls the target more often",
            )
        elif share.tally.good == 0:
            yield Reason(
                code=ReasonCode.FAULT_NOT_SEEN,
                message=f"no injected fault was counted: {told}",
                hint=_uncounted(share),
            )
        else:
            yield Reason(
                code=ReasonCode.FAULT_SHARE_OFF,
                message=f"the fault hit another percentage of requests than declared: {told}",
                hint=_TOO_MANY if share.interval.low > share.declared else _TOO_FEW,
            )
    if not proof.shares:
        yield Reason(
            code=ReasonCode.FAULT_NOT_SEEN,
            message=f"{proof.target}: no request was counted while the fault was active",
            hint="check that the load goes on calling the target, and that Prometheus scrapes its callers' proxies",
        )


def _uncounted(share: ShareProof) -> str:
    """What helps where no fault was counted."""
    if share.tally.total:
        return (
            "probably the callers' requests follow a route without the fault: compare the hosts, ports and paths that they use with "
            "those of `chaosctl plan`"
        )
    if share.stage:
        return "let the stage last for several scrape intervals and longer than a delay, and raise limits.fault if it never began"
    return "check that the declared callers go on calling the target under this load, and raise limits.fault if a delay is that long"


def _after(
    history: History,
    facts: Facts,
    proof: Proof,
    removed: RemovalResult | None,
    after: RecoveryResult | None,
    excused: Collection[str],
) -> Iterator[Reason]:
    if removed is None or after is None or history.troubles or removed.answer is Answer.VIOLATED:
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
        if bad and not proof.counted:
            yield _of_another_cause(one.sentence for one in bad)
        elif bad:
            yield Reason(
                code=ReasonCode.NOT_RECOVERED,
                message=f"the steady state did not hold again within {after.allowed:g} s after the fault was gone: {'; '.join(one.sentence for one in bad)}",
                hint=next((one.hint for one in bad if one.hint), "")
                or "check that circuit breakers close, pools refill and queues drain when the dependency is back. If the system may take "
                "longer, raise recovery.within",
            )
    elif after.answer is Answer.UNDECIDED:
        yield from undecided_recovery(facts, after)
    else:
        yield from untested_after(facts, held_again(facts, removed, after))
