"""A look at a running experiment, for people."""

from __future__ import annotations

from chaos.judge import Facts, Standing
from chaos.model.history import PhaseName
from chaos.ports import Progress


def progress_of(facts: Facts, phase: PhaseName, standing: Standing) -> Progress:
    """How the present phase stands."""
    seconds = facts.evidence.load.seconds[-4:-1]
    answered = sum(second.answered for second in seconds)
    shares = [claim.tally.share for claim in standing.claims if claim.tally.share is not None]
    return Progress(
        run=facts.plan.run,
        experiment=facts.experiment.name,
        phase=phase,
        elapsed=standing.now - facts.started,
        rate=answered / len(seconds) if seconds else None,
        good=min(shares, default=None),
        claims=standing.claims,
        proof=standing.proof if phase is PhaseName.OBSERVE else None,
    )
