"""Answers: what the evidence says of one expectation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from pydantic import Field

from chaos.values.frozen import Frozen
from chaos.values.quantities import measured_share


class Answer(StrEnum):
    """What the evidence says of one expectation so far."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


def together(answers: Iterable[Answer]) -> Answer:
    """What several answers amount to: violated once one is, holds once all do."""
    found = set(answers)
    if Answer.VIOLATED in found:
        return Answer.VIOLATED
    return Answer.HOLDS if found == {Answer.HOLDS} else Answer.UNDECIDED


class Interval(Frozen):
    """A confidence interval of a share, valid however many looks there are."""

    low: float
    high: float
    confidence: float

    def around(self, share: float, *, bound: float | None = None) -> str:
        """A measured share with this interval, and with the digits that they carry: ``53% (21% to 84%)``.

        Args:
            share: Within the interval.
            bound: What it is compared with, which the digits must not hide.
        """
        told, low, high = measured_share(share, self.low, self.high, bound=bound)
        return f"{told} ({low} to {high})"


class Tally(Frozen):
    """Exact counts of one expectation's events.

    Args:
        lower_bound: A counter was reset meanwhile, so there were at least this many.
        doubtful: Events that look bad, but only because the load generator itself may have been late.
    """

    good: int = 0
    total: int = 0
    lower_bound: bool = False
    doubtful: int = 0

    @property
    def share(self) -> float | None:
        """Observed share of good events; ``None`` without events."""
        return self.good / self.total if self.total else None


WHEN: Final[Mapping[str, str]] = {
    "baseline": "before the fault",
    "fault": "during the fault",
    "recovery": "after the fault",
}
"""Phases as people say them."""
_BECAME: Final[Mapping[Answer, str]] = {
    Answer.HOLDS: "held",
    Answer.VIOLATED: "was violated",
    Answer.UNDECIDED: "stayed undecided",
}


class ExpectationResult(Frozen):
    """What became of one expectation in one phase.

    Args:
        phase: ``baseline``, ``fault`` or ``recovery``.
        expected: What was expected, e.g. ``at least 99% of the requests to order-svc with status <500``.
        observed: What was observed, in words, with its interval.
        bound: The bound as a number, with ``baseline - x`` resolved.
        interval: Where the true share is; ``None`` where nothing was left to chance.
        effect: Events that are worth one independent event: over 1 where events come in bursts.
        apart: What was counted at each Service to which routes send the requests, by its name; empty where that is one.
        missing: The metrics had no data at a look, which says neither yes nor no.
        hint: What to do if it is violated, or undecided because something else than events is missing, where the kind knows.
    """

    title: str
    phase: str
    expected: str
    observed: str
    bound: float
    tally: Tally
    interval: Interval | None = None
    effect: float = 1.0
    apart: Mapping[str, Tally] = Field(default_factory=dict)
    missing: bool = False
    hint: str | None = None
    answer: Answer

    @property
    def when(self) -> str:
        """Its phase as people say it."""
        return WHEN.get(self.phase, self.phase)

    @property
    def sentence(self) -> str:
        """What became of it: ``'orders' was violated during the fault: expected …; observed …``."""
        return self.became(self.when)

    def became(self, when: str) -> str:
        """The same sentence, with other words for the time of it: ``at 20 %``."""
        return f"{self.title!r} {_BECAME[self.answer]} {when}: {self.told}"

    @property
    def told(self) -> str:
        """What was expected and what was observed."""
        return f"expected {self.expected}; observed {self.observed}"
