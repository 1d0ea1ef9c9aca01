"""Answers: what the evidence says of one expectation."""

from __future__ import annotations

from enum import StrEnum

from chaos.values.frozen import Frozen
from chaos.values.quantities import format_share


class Answer(StrEnum):
    """What the evidence says of one expectation so far."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


class Interval(Frozen):
    """A confidence interval of a share, valid however many looks there are."""

    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return (
            f"between {format_share(self.low)} and {format_share(self.high)} "
            f"({format_share(self.confidence)} confidence)"
        )


class Tally(Frozen):
    """Exact counts of one expectation's events.

    Args:
        lower_bound: A counter was reset meanwhile, so there were at least this many.
    """

    good: int = 0
    total: int = 0
    lower_bound: bool = False

    @property
    def share(self) -> float | None:
        """Observed share of good events; ``None`` without events."""
        return self.good / self.total if self.total else None


class ExpectationResult(Frozen):
    """What became of one expectation in one phase.

    Args:
        phase: ``baseline``, ``fault`` or ``recovery``.
        expected: What was expected, e.g. ``at least 99% of events with status <500``.
        observed: What was observed, in words, with its interval.
        bound: The bound as a number, with ``baseline - x`` resolved.
        interval: Where the true share is; ``None`` where nothing was left to chance.
        hint: What to do if it is violated, where the kind of expectation knows.
    """

    title: str
    phase: str
    expected: str
    observed: str
    bound: float
    tally: Tally
    interval: Interval | None = None
    hint: str | None = None
    answer: Answer
