"""What the engine asks at every look; the same functions judge the stored history."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.judge.claims import Window, answer_only, confidence_of_guardrail, judge_claim, share_of_confidence
from chaos.judge.proof import judge_proof
from chaos.model.history import History, Mark
from chaos.model.verdict import Proof
from chaos.values.answers import Answer, ClaimResult


@dataclass(frozen=True)
class PhaseAnswer:
    """How a phase's question stands.

    Args:
        answer: Of all its claims together.
        done: Nothing more is to be learned by waiting.
    """

    answer: Answer
    done: bool
    claims: tuple[ClaimResult, ...]
    proof: Proof | None = None


def together(claims: tuple[ClaimResult, ...]) -> Answer:
    """Violated once one is, holds once all do."""
    answers = {claim.answer for claim in claims}
    if Answer.VIOLATED in answers:
        return Answer.VIOLATED
    return Answer.HOLDS if answers == {Answer.HOLDS} else Answer.UNDECIDED


def baseline_answer(history: History, now: float) -> PhaseAnswer:
    """The steady state before the fault."""
    start = history.marks.get(Mark.BASELINE_FROM)
    if start is None:
        return PhaseAnswer(Answer.UNDECIDED, False, ())  # noqa: FBT003 - a field by its place
    end = min(now, history.marks.get(Mark.BASELINE_UNTIL, now))
    claims = _claims(history, "baseline", Window(start, end))
    answer = together(claims)
    return PhaseAnswer(answer, answer is not Answer.UNDECIDED, claims)


def fault_answer(history: History, now: float) -> PhaseAnswer:
    """The expectations during the fault, and its proof. A sure violation, or a fault out of scope, ends it at once."""
    proof = judge_proof(history, now)
    start = history.marks.get(Mark.FAULT_FROM)
    if start is None:
        return PhaseAnswer(Answer.UNDECIDED, bool(proof.outside), (), proof)
    end = min(now, history.marks.get(Mark.RESTORE_SENT, now))
    claims = _claims(history, "fault", Window(start, end))
    answer = together(claims)
    done = answer is Answer.VIOLATED or bool(proof.outside) or (answer is Answer.HOLDS and proof.complete)
    return PhaseAnswer(answer, done, claims, proof)


def _claims(history: History, phase: str, window: Window) -> tuple[ClaimResult, ...]:
    experiment = history.plan.experiment
    confidence = share_of_confidence(experiment)
    return tuple(judge_claim(history, one, phase, window, confidence=confidence) for one in experiment.steady_state)


def guardrails(history: History, now: float) -> tuple[ClaimResult, ...]:
    """The stop conditions, from the moment the fault was written."""
    window = _guarded(history, now)
    experiment = history.plan.experiment
    confidence = confidence_of_guardrail(experiment)
    if window is None:
        return ()
    return tuple(judge_claim(history, one, "fault", window, confidence=confidence) for one in experiment.guardrails)


def guardrail_tripped(history: History, now: float) -> ClaimResult | None:
    """The first stop condition that is surely violated."""
    window = _guarded(history, now)
    experiment = history.plan.experiment
    confidence = confidence_of_guardrail(experiment)
    for one in experiment.guardrails if window else ():
        assert window is not None  # noqa: S101 - the loop has seen to it
        if answer_only(history, one, "fault", window, confidence=confidence) is Answer.VIOLATED:
            return judge_claim(history, one, "fault", window, confidence=confidence)
    return None


def _guarded(history: History, now: float) -> Window | None:
    start = history.marks.get(Mark.INJECT_SENT)
    if start is None:
        return None
    return Window(start, min(now, history.marks.get(Mark.RESTORE_SENT, now)))
