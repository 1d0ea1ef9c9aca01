"""How a run stands at one look: judged once, and handed to whoever decides, guards or shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from chaos.judge.facts import Facts
from chaos.judge.live import PhaseAnswer, baseline_answer, fault_answer, guardrail_tripped
from chaos.judge.proof import judge_proof
from chaos.judge.recovery import judge_recovery, recovery_done
from chaos.judge.removal import judge_removal
from chaos.model.history import Mark, PhaseName
from chaos.model.verdict import Proof, RecoveryResult, RemovalResult
from chaos.values.answers import ExpectationResult


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What judging says at one look; what does not belong to the phase is ``None``.

    Args:
        now: The moment of the look.
        answer: How the expectations stand, before the fault or during it.
        tripped: The first stop condition that is surely violated.
        wait: Seconds before the end of which nothing is decided of the expectations.
    """

    now: float
    answer: PhaseAnswer | None = None
    proof: Proof | None = None
    tripped: ExpectationResult | None = None
    removal: RemovalResult | None = None
    recovery: RecoveryResult | None = None
    wait: float = 0.0

    @property
    def done(self) -> bool:
        """Whether the phase's question is answered."""
        if self.removal is not None and self.recovery is not None:
            return recovery_done(self.removal, self.recovery)
        return self.answer is not None and self.answer.done

    @property
    def expectations(self) -> Sequence[ExpectationResult]:
        """The expectations as they stand."""
        judged = self.recovery or self.answer
        return judged.expectations if judged else ()


def stand(facts: Facts, phase: PhaseName | None, now: float) -> Standing:
    """How the run stands in a phase."""
    if phase is PhaseName.BASELINE:
        wait = _rest(facts, Mark.BASELINE_FROM, facts.experiment.observed_for / 2, now)
        return Standing(now=now, answer=baseline_answer(facts, now), wait=wait)
    if phase is PhaseName.PROVE or (phase is PhaseName.INJECT and Mark.INJECT_SENT in facts.marks):
        return Standing(now=now, proof=judge_proof(facts, now), tripped=guardrail_tripped(facts, now))
    if phase is PhaseName.OBSERVE:
        answer = fault_answer(facts, now)
        wait = _rest(facts, Mark.FAULT_FROM, facts.experiment.observed_for, now)
        return Standing(now=now, answer=answer, proof=answer.proof, tripped=guardrail_tripped(facts, now), wait=wait)
    if phase in (PhaseName.RESTORE, PhaseName.RECOVER) and Mark.RESTORED in facts.marks:
        removal = judge_removal(facts, now)
        if phase is PhaseName.RESTORE:
            return Standing(now=now, removal=removal)
        recovery = judge_recovery(facts, removal, now)
        wait = _rest(facts, Mark.RESTORED, facts.experiment.stays_good_for, now - (removal.seconds or 0.0))
        return Standing(now=now, removal=removal, recovery=recovery, wait=wait)
    return Standing(now=now)


def _rest(facts: Facts, since: Mark, least: timedelta, now: float) -> float:
    """Seconds that are left of the shortest time after a moment."""
    return max(0.0, facts.marks.get(since, now) + least.total_seconds() - now)
