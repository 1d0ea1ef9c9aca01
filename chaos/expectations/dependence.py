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

from collections.abc import Sequence
from math import inf
from operator import add, mul
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
    goods, totals = [good for good, _ in batches], [total for _, total in batches]
    effect = max(1.0, _effect(goods, totals, trust=(len(batches) - 1) ** 2))
    while len(goods) >= 2 * _LONGER:
        goods, totals = _in_pairs(goods), _in_pairs(totals)
        effect = max(effect, _effect(goods, totals, trust=inf))
    return effect


def _effect(goods: Sequence[int], totals: Sequence[int], *, trust: float) -> float:
    """Of one length of batches: a mean of what their scatter says and of the most that is possible.

    One batch has no scatter, and two or three may be equally bad by chance, although all bad events of each came at once. So
    the scatter of ``n`` shortest batches weighs ``(n - 1) ** 2`` times as much as the most. In longer ones the scatter counts
    alone: that all bad events of each are no single burst is told by the shorter ones of which they are made. With the
    most, events of which many are bad would tell the less the longer it lasts.

    Args:
        goods: Good events of each batch.
        totals: All events of each.
        trust: How many times as much the scatter weighs.
    """
    good, total, freedom = sum(goods), sum(totals), len(goods) - 1
    if good in (0, total):
        return 1.0
    squares, crossed, of_all = _products(goods, goods), _products(goods, totals), _products(totals, totals)
    # If all bad events, or all good ones, of each batch came at once.
    most = min((of_all - 2 * crossed + squares) / (total - good), squares / good)
    if not freedom:
        return most
    # The squares of each batch's good events less what the whole share makes of them, times the square of all events.
    deviation = squares * total * total - 2 * good * total * crossed + good * good * of_all
    scatter = deviation / (total * good * (total - good)) * len(goods) / freedom
    return min(most, scatter + (most - scatter) / (trust + 1))


def _products(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(map(mul, left, right))


def _in_pairs(events: Sequence[int]) -> list[int]:
    """Those of batches of twice the length; what is over at the beginning belongs to the first."""
    over = len(events) % 2
    pairs = list(map(add, events[over::2], events[over + 1 :: 2]))
    pairs[0] += sum(events[:over])
    return pairs
