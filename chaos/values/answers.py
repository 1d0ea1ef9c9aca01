"""Answers: what the evidence says of one claim."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Judged(BaseModel):
    """Base of judged data."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(StrEnum):
    """What the evidence says of one claim so far."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


class Interval(Judged):
    """A confidence interval of a share, valid however often it was looked at."""

    low: float
    high: float
    confidence: float


class Tally(Judged):
    """Exact counts of one claim's events.

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


class ClaimResult(Judged):
    """What became of one claim in one phase.

    Args:
        phase: ``baseline``, ``fault`` or ``recovery``.
        expected: The bound as written, e.g. ``at least 99% of events with status <500``.
        bound: The bound as a share, with ``baseline - x`` resolved.
    """

    title: str
    phase: str
    expected: str
    bound: float
    tally: Tally
    interval: Interval
    answer: Answer
