"""What the look that ended a phase decided: it stands, unless later samples surely contradict it.

A phase ends at the first look that decides its question. The error that the bets bound is that of this answer, and the benchmarks
measure that of this answer too. One look more, by the samples that came in after it, would be one more test: a sample may raise the
estimate of what bursts are worth, and leave undecided what was decided by right. So a phase is judged by what was known at the look
that ended it, in the run and from its record. What came in later counts where it is sure: what it violates is violated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chaos.expectations.kind import Phase
from chaos.judge.facts import Facts
from chaos.judge.live import PhaseAnswer
from chaos.model.history import History
from chaos.model.verdict import Proof, RecoveryResult, TargetProof
from chaos.values.answers import Answer, ExpectationResult


def known(history: History, facts: Facts, phase: Phase, now: float) -> tuple[Facts, float]:
    """What was known at the look that ended a phase, and its moment; all that is known now, where no look decided the phase."""
    look = next((one for one in history.decisions if one.phase == phase), None)
    return (facts, now) if look is None else (Facts.of(history.known_at(look)), look.at)


def answer_of(then: PhaseAnswer, whole: PhaseAnswer) -> PhaseAnswer:
    """The answers of a phase at the look that ended it, except those that the whole evidence surely contradicts."""
    expectations = results_of(then.expectations, whole.expectations)
    return replace(then, expectations=expectations, proof=_proof(then.proof, whole.proof))


def results_of(then: Sequence[ExpectationResult], whole: Sequence[ExpectationResult]) -> tuple[ExpectationResult, ...]:
    """The expectations' answers at that look; one that only the whole evidence violates is violated."""
    pairs = zip(then, whole, strict=True)
    return tuple(
        later if later.answer is Answer.VIOLATED and one.answer is not Answer.VIOLATED else one for one, later in pairs
    )


def recovery_of(then: RecoveryResult, whole: RecoveryResult) -> RecoveryResult:
    """The recovery by all that is known. Where that decides nothing more, what was decided by then stands, unless a later time was surely not good."""
    relapsed = whole.bad_until > (then.seconds or 0.0)
    undone = whole.answer is Answer.UNDECIDED and then.answer is Answer.HOLDS and not relapsed
    return then if undone or then.answer is Answer.VIOLATED else whole


def _proof(then: Proof, whole: Proof) -> Proof:
    """Each fault that was counted anywhere, and the shares by then, but for those that are surely others."""
    pairs = zip(then.targets, whole.targets, strict=True)
    return whole.model_copy(update={"targets": tuple(_target(one, later) for one, later in pairs)})


def _target(then: TargetProof, whole: TargetProof) -> TargetProof:
    pairs = zip(then.shares, whole.shares, strict=True)
    return whole.model_copy(update={"shares": tuple(later if later.off else one for one, later in pairs)})
