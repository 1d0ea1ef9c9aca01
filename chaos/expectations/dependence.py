"""How many independent events a phase's events are worth, since errors of real systems come in bursts.

The bets of :mod:`chaos.expectations.confidence` take events as independent of each other. If they come in bursts, the number
of bad events scatters more than independent ones would, by a factor that survey statistics calls the *design effect*
(Kish 1965): ``n`` events are worth ``n / effect`` independent ones. It is estimated here by *batch means* (Conway 1963;
Schmeiser 1982): the phase is cut into batches, and the scatter of the bad events among them is divided by what independent
events would scatter. A batch that is longer than a burst holds it whole, so the batches are tried in doubling lengths and
the largest estimate counts. Few batches tell their scatter badly: the fewer of the shortest there are, the more the estimate is
drawn to what the effect is at most, when all bad events of a batch are one burst.

The effect is never under 1. Therefore the bets keep their guarantee for independent events whatever the estimate: by
Jensen's inequality, the wealth that scaled counts give is never larger than the wealth that the counts themselves give, to the
power of ``1 / effect``. For bursts the guarantee is asymptotic; ``benchmarks/verdicts.py`` shows what it is in phases of a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

Pair = tuple[int, int]
"""Good and all events."""

BATCH: Final = 2.0
"""Seconds of the shortest batch."""
BURSTY: Final = 2.0
"""An effect from which it is said that events come in bursts; estimates for independent events are rarely as high."""
_LONGER: Final = 8
"""Batches that must be left when they are made longer."""


def design_effect(batches: Sequence[Pair]) -> float:
    """Events that are worth one independent event; 1 for independent ones.

    Args:
        batches: Good and all events of batches that follow each other and are equally long.
    """
    effect = max(1.0, _effect(batches, trust=(len(batches) - 1) ** 2))
    while len(batches) >= 2 * _LONGER:
        batches = list(_in_pairs(batches))
        effect = max(effect, _effect(batches, trust=inf))
    return effect


def _effect(batches: Sequence[Pair], *, trust: float) -> float:
    """Of one length of batches: a mean of what their scatter says and of the most that is possible.

    One batch has no scatter, and two or three may be equally bad by chance, although all bad events of each came at once. So
    the scatter of ``n`` shortest batches weighs ``(n - 1) ** 2`` times as much as the most. In longer ones the scatter counts
    alone: that all bad events of each are no single burst is told by the shorter ones of which they are made. With the
    most, events of which many are bad would tell the less the longer it lasts.

    Args:
        batches: Good and all events.
        trust: How many times as much the scatter weighs.
    """
    good, total = (sum(column) for column in zip(*batches, strict=True)) if batches else (0, 0)
    if good in (0, total):
        return 1.0
    most = min(_one_burst_each([n - g for g, n in batches]), _one_burst_each([g for g, _ in batches]))
    share, freedom = good / total, len(batches) - 1
    if not freedom:
        return most
    squares = sum((g - share * n) ** 2 for g, n in batches)
    scatter = squares / (total * share * (1 - share)) * len(batches) / freedom
    return min(most, scatter + (most - scatter) / (trust + 1))


def _one_burst_each(events: Sequence[int]) -> float:
    return sum(n * n for n in events) / sum(events)


def _in_pairs(batches: Sequence[Pair]) -> Iterator[Pair]:
    """Batches of twice the length; what is over at the beginning belongs to the first."""
    for place in range(len(batches) % 2, len(batches), 2):
        first = 0 if place == 1 else place
        parts = batches[first : place + 2]
        yield sum(g for g, _ in parts), sum(n for _, n in parts)
