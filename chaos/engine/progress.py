"""A look at a running experiment, for people."""

from __future__ import annotations

from collections.abc import Sequence

from chaos import judge
from chaos.model.history import History, Mark, PhaseName
from chaos.model.verdict import Proof
from chaos.ports import Progress
from chaos.values.answers import ClaimResult


def progress_of(history: History, phase: PhaseName, now: float) -> Progress:
    """How the present phase stands."""
    claims: Sequence[ClaimResult] = ()
    proof: Proof | None = None
    if phase is PhaseName.BASELINE and Mark.BASELINE_FROM in history.marks:
        claims = judge.baseline_answer(history, now).claims
    elif phase is PhaseName.OBSERVE:
        answer = judge.fault_answer(history, now)
        claims, proof = answer.claims, answer.proof
    elif phase is PhaseName.RECOVER:
        claims = judge.judge_recovery(history, now).claims
    seconds = history.load[-4:-1]
    answered = sum(cell.count for second in seconds for cell in second.cells)
    shares = [claim.tally.share for claim in claims if claim.tally.share is not None]
    return Progress(
        run=history.run,
        experiment=history.plan.experiment.name,
        phase=phase,
        elapsed=now - history.started,
        rate=answered / len(seconds) if seconds else None,
        good=min(shares, default=None),
        claims=claims,
        proof=proof,
    )
