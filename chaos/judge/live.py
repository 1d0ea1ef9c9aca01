"""How a run stands at one look; the same functions judge the stored history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Look
from chaos.judge.alpha import confidence_of_guardrail, share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.looks import closely, decided, judged, look_at
from chaos.judge.on_the_way import with_first_seconds
from chaos.judge.proof import course_is_over, ends_off, judge_proof
from chaos.judge.removal import surely_there
from chaos.model.history import Mark
from chaos.model.verdict import Proof
from chaos.values.answers import Answer, ExpectationResult, together


@dataclass(frozen=True)
class PhaseAnswer:
    """How a phase's question stands.

    Args:
        done: Nothing more is to be learned by waiting.
    """

    expectations: tuple[ExpectationResult, ...] = ()
    proof: Proof = field(default_factory=Proof)
    done: bool = False

    @property
    def answer(self) -> Answer:
        """Of all its expectations together."""
        return together(one.answer for one in self.expectations)


def baseline_answer(facts: Facts, now: float) -> PhaseAnswer:
    """The steady state before the fault."""
    start = facts.marks.get(Mark.BASELINE_FROM)
    if start is None:
        return PhaseAnswer()
    end = min(now, facts.marks.get(Mark.BASELINE_UNTIL, now))
    look = look_at(facts, "baseline", Window(start, end), confidence=share_of_confidence(facts.experiment))
    found = PhaseAnswer(judged(facts, facts.experiment.steady_state, look))
    return replace(found, done=found.answer is not Answer.UNDECIDED)


def fault_answer(facts: Facts, now: float) -> PhaseAnswer:
    """The expectations during the fault, and its proof. A sure violation, or a fault out of scope, ends it at once.

    They are judged for as long as a proxy surely had the fault; those that need it, until it was decided to restore.
    """
    proof = judge_proof(facts, now)
    window = facts.faulted(now)
    if window is None:
        return PhaseAnswer(proof=proof, done=bool(proof.outside))
    start, end = window.start, window.end
    there, confidence = surely_there(facts, now), share_of_confidence(facts.experiment)
    until = {True: window, False: Window(start, there)}
    expectations = tuple(
        one
        for kind in facts.experiment.steady_state
        for one in judged(facts, (kind,), look_at(facts, "fault", until[kind.needs_fault], confidence=confidence))
    )
    found = PhaseAnswer(with_first_seconds(facts, expectations, there), proof)
    over = proof.complete and course_is_over(facts, end)
    over = over and (found.answer is Answer.HOLDS or _nothing_comes(facts, start, end))
    return replace(found, done=over or found.answer is Answer.VIOLATED or bool(proof.outside))


def _nothing_comes(facts: Facts, start: float, end: float) -> bool:
    """Whether the last stages have no fault and are counted: longer, good answers without a fault would outweigh the bad ones with it."""
    counted = end - 2 * facts.evidence.scrape_interval - facts.evidence.histogram_lag
    least = facts.experiment.observed_for.total_seconds()
    return ends_off(facts) and end - start >= least and course_is_over(facts, counted)


def guardrails(facts: Facts, now: float) -> tuple[ExpectationResult, ...]:
    """The stop conditions, from the moment the fault was written."""
    look = _guarded(facts, now)
    return judged(facts, facts.experiment.guardrails, look) if look else ()


def guardrails_before(facts: Facts) -> tuple[ExpectationResult, ...]:
    """The stop conditions before the fault, once the baseline has ended: one that is violated there tells nothing of a fault."""
    if facts.baseline is None:
        return ()
    look = closely(facts, "baseline", facts.baseline, confidence=confidence_of_guardrail(facts.experiment))
    return judged(facts, facts.experiment.guardrails, look)


def guardrail_tripped(facts: Facts, now: float) -> ExpectationResult | None:
    """The first stop condition that is surely violated."""
    look = _guarded(facts, now)
    found = ((one, decided(facts, one, look)) for one in facts.experiment.guardrails) if look else ()
    return next((one.tell(it, "fault") for one, it in found if it.answer is Answer.VIOLATED), None)


def _guarded(facts: Facts, now: float) -> Look | None:
    window = facts.injected(now)
    if window is None:
        return None
    return closely(facts, "fault", window, confidence=confidence_of_guardrail(facts.experiment))
