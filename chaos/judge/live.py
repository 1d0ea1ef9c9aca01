"""How a run stands at one look; the same functions judge the stored history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Finding, Kind, Look, Phase
from chaos.istio.hosts import short
from chaos.judge.alpha import confidence_of_guardrail, longest_delay, share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.proof import course_is_over, judge_proof
from chaos.model.history import Mark
from chaos.model.verdict import Proof
from chaos.values.answers import Answer, ExpectationResult


@dataclass(frozen=True)
class PhaseAnswer:
    """How a phase's question stands.

    Args:
        answer: Of all its expectations together.
        done: Nothing more is to be learned by waiting.
    """

    answer: Answer
    done: bool
    expectations: tuple[ExpectationResult, ...]
    proof: Proof | None = None


def together(expectations: Sequence[ExpectationResult | Finding]) -> Answer:
    """Violated once one is, holds once all do."""
    answers = {one.answer for one in expectations}
    if Answer.VIOLATED in answers:
        return Answer.VIOLATED
    return Answer.HOLDS if answers == {Answer.HOLDS} else Answer.UNDECIDED


def look_at(facts: Facts, phase: Phase, window: Window, *, confidence: float) -> Look:
    """What is asked of every expectation in a window."""
    experiment = facts.experiment
    least = {
        "baseline": experiment.observed_for / 2,
        "fault": experiment.observed_for,
        "recovery": experiment.stays_good_for,
    }
    return Look(
        phase=phase,
        window=window,
        namespace=experiment.target.namespace,
        confidence=confidence,
        delay=longest_delay(experiment),
        baseline=facts.baseline if phase != "baseline" else None,
        at_least=least[phase].total_seconds(),
    )


def judged(facts: Facts, kinds: Sequence[Kind], look: Look) -> tuple[ExpectationResult, ...]:
    """What became of expectations in a window."""
    return tuple(_with_parts(facts, one, one.tell(decided(facts, one, look), look.phase), look) for one in kinds)


def _with_parts(facts: Facts, kind: Kind, told: ExpectationResult, look: Look) -> ExpectationResult:
    """With what was counted at each destination, where routes send a service's requests to several."""
    apart = {short(host, look.namespace): tally for host, tally in kind.apart(facts.evidence, look).items()}
    if not apart:
        return told
    parts = ", ".join(f"{tally.good} of {tally.total} at {name}" for name, tally in apart.items())
    found = told.model_copy(update={"apart": apart, "observed": f"{told.observed}; of these {parts}"})
    worse = [name for name, tally in apart.items() if (tally.share or 0.0) < told.bound]
    if told.answer is not Answer.VIOLATED or told.interval is None or not 0 < len(worse) < len(apart):
        return found
    hint = f"only {', '.join(worse)} is worse than expected: routes send a part of the requests there, as to a canary; look at its version first"
    return found.model_copy(update={"hint": hint})


def decided(facts: Facts, kind: Kind, look: Look) -> Finding:
    """What the evidence says of an expectation; nothing yet in a window that is too short to claim anything."""
    found = kind.decide(facts.evidence, look)
    return replace(found, answer=Answer.UNDECIDED) if look.too_short else found


def baseline_answer(facts: Facts, now: float) -> PhaseAnswer:
    """The steady state before the fault."""
    start = facts.marks.get(Mark.BASELINE_FROM)
    if start is None:
        return PhaseAnswer(Answer.UNDECIDED, False, ())  # noqa: FBT003 - a field by its place
    end = min(now, facts.marks.get(Mark.BASELINE_UNTIL, now))
    expectations = _steady_state(facts, "baseline", Window(start, end))
    answer = together(expectations)
    return PhaseAnswer(answer, answer is not Answer.UNDECIDED, expectations)


def fault_answer(facts: Facts, now: float) -> PhaseAnswer:
    """The expectations during the fault, and its proof. A sure violation, or a fault out of scope, ends it at once."""
    proof = judge_proof(facts, now)
    start = facts.marks.get(Mark.FAULT_FROM)
    if start is None:
        return PhaseAnswer(Answer.UNDECIDED, bool(proof.outside), (), proof)
    end = min(now, facts.marks.get(Mark.RESTORE_SENT, now))
    expectations = _steady_state(facts, "fault", Window(start, end))
    answer = together(expectations)
    done = (
        answer is Answer.VIOLATED
        or bool(proof.outside)
        or (answer is Answer.HOLDS and proof.complete and course_is_over(facts, end))
    )
    return PhaseAnswer(answer, done, expectations, proof)


def _steady_state(facts: Facts, phase: Phase, window: Window) -> tuple[ExpectationResult, ...]:
    look = look_at(facts, phase, window, confidence=share_of_confidence(facts.experiment))
    return judged(facts, facts.experiment.steady_state, look)


def guardrails(facts: Facts, now: float) -> tuple[ExpectationResult, ...]:
    """The stop conditions, from the moment the fault was written."""
    look = _guarded(facts, now)
    return judged(facts, facts.experiment.guardrails, look) if look else ()


def guardrails_before(facts: Facts) -> tuple[ExpectationResult, ...]:
    """The stop conditions before the fault, once the baseline has ended: one that is violated there tells nothing of a fault."""
    if facts.baseline is None:
        return ()
    look = look_at(facts, "baseline", facts.baseline, confidence=confidence_of_guardrail(facts.experiment))
    return judged(facts, facts.experiment.guardrails, replace(look, at_least=0.0, at_once=True))


def guardrail_tripped(facts: Facts, now: float) -> ExpectationResult | None:
    """The first stop condition that is surely violated."""
    look = _guarded(facts, now)
    for one in facts.experiment.guardrails if look else ():
        assert look is not None  # noqa: S101 - the loop has seen to it
        found = decided(facts, one, look)
        if found.answer is Answer.VIOLATED:
            return one.tell(found, look.phase)
    return None


def _guarded(facts: Facts, now: float) -> Look | None:
    start = facts.marks.get(Mark.INJECT_SENT)
    if start is None:
        return None
    window = Window(start, min(now, facts.marks.get(Mark.RESTORE_SENT, now)))
    look = look_at(facts, "fault", window, confidence=confidence_of_guardrail(facts.experiment))
    return replace(look, at_least=0.0, at_once=True)
