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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Final

Pair = tuple[int, int]
"""Good and all events."""
Squares = tuple[int, int, int]
"""Of batches, the sums of good events by good ones, of good ones by all, and of all by all."""

BATCH: Final = 2.0
"""Seconds of the shortest batch."""
BURSTY: Final = 2.0
"""An effect from which it is said that events come in bursts; estimates for independent events are rarely as high."""
_LONGER: Final = 8
"""Batches that must be left when they are made longer."""


def design_effect(batches: Iterable[Pair]) -> float:
    """Events that are worth one independent event; 1 for independent ones.

    Args:
        batches: Good and all events of batches that follow each other and are equally long.
    """
    found = Batches()
    for one in batches:
        found.add(one)
    return found.effect(len(found))


class Batches:
    """Batches while they grow, so summed up that an effect costs the same however many there are."""

    def __init__(self) -> None:
        self._sums: list[Pair] = [(0, 0)]
        self._squares: list[list[Squares]] = []
        """For batches of each length, the sums of products of those that end where so many of the shortest do."""

    def __len__(self) -> int:
        return len(self._sums) - 1

    def add(self, batch: Pair) -> None:
        """One more of the shortest."""
        self._sums.append(_plus(self._sums[-1], batch))

    def effect(self, number: int, later: Iterable[Pair] = ()) -> float:
        """The effect of the first ones, so many, and of others that follow these; by batches that get longer by doubling."""
        whole = _Whole(self, number, list(accumulate(later, _plus, initial=self._sums[number])))
        effect = max(1.0, whole.effect(1, trust=(whole.last - 1) ** 2))
        size = 2
        while whole.last // (size // 2) >= 2 * _LONGER:
            effect = max(effect, whole.effect(size, trust=inf))
            size *= 2
        return effect

    def until(self, place: int) -> Pair:
        """Good and all events of the first ones, so many."""
        return self._sums[place]

    def squares(self, size: int, place: int) -> Squares:
        """Of batches of ``size`` shortest ones which end at a place and before it; what is over at the beginning is none."""
        while 1 << len(self._squares) <= size:
            self._squares.append([(0, 0, 0)])
        known = self._squares[size.bit_length() - 1]
        for end in range(len(known), place + 1):
            one = _products(self._sums[end - size], self._sums[end]) if end >= size else (0, 0, 0)
            known.append(_added(known[max(0, end - size)], one))
        return known[place]


@dataclass(frozen=True)
class _Whole:
    """The first batches, so many, and sums of events up to each of those that follow."""

    first: Batches
    number: int
    sums: Sequence[Pair]

    @property
    def last(self) -> int:
        return self.number + len(self.sums) - 1

    def effect(self, size: int, *, trust: float) -> float:
        """Of one length of batches, which end where all do. What is over at the beginning belongs to the first of them."""
        place, squares = self.last, (0, 0, 0)
        while place > self.number and place >= size:
            squares = _added(squares, self._products(place - size, place))
            place -= size
        if place <= self.number:
            squares = _added(squares, self.first.squares(size, place))
        if rest := self.last % size:
            less = self._products(rest, rest + size)
            more = self._products(0, rest + size)
            squares = _added(squares, (more[0] - less[0], more[1] - less[1], more[2] - less[2]))
        return _effect(self.sums[-1], squares, self.last // size, trust=trust)

    def _products(self, start: int, end: int) -> Squares:
        return _products(self._until(start), self._until(end))

    def _until(self, place: int) -> Pair:
        return self.first.until(place) if place <= self.number else self.sums[place - self.number]


def _effect(events: Pair, products: Squares, number: int, *, trust: float) -> float:
    """Of one length of batches: a mean of what their scatter says and of the most that is possible.

    One batch has no scatter, and two or three may be equally bad by chance, although all bad events of each came at once. So
    the scatter of ``n`` shortest batches weighs ``(n - 1) ** 2`` times as much as the most. In longer ones the scatter counts
    alone: that all bad events of each are no single burst is told by the shorter ones of which they are made. With the
    most, events of which many are bad would tell the less the longer it lasts.

    Args:
        events: Good and all events of all batches.
        products: Sums of what the events of each batch make by themselves.
        number: Of batches.
        trust: How many times as much the scatter weighs.
    """
    (good, total), freedom = events, number - 1
    if good in (0, total):
        return 1.0
    squares, crossed, of_all = products
    # If all bad events, or all good ones, of each batch came at once.
    most = min((of_all - 2 * crossed + squares) / (total - good), squares / good)
    if not freedom:
        return most
    # The squares of each batch's good events less what the whole share makes of them, times the square of all events.
    deviation = squares * total * total - 2 * good * total * crossed + good * good * of_all
    scatter = deviation / (total * good * (total - good)) * number / freedom
    return min(most, scatter + (most - scatter) / (trust + 1))


def _products(before: Pair, after: Pair) -> Squares:
    """Of the events between two sums: good by good, good by all, and all by all."""
    good, total = after[0] - before[0], after[1] - before[1]
    return good * good, good * total, total * total


def _plus(one: Pair, other: Pair) -> Pair:
    return one[0] + other[0], one[1] + other[1]


def _added(one: Squares, other: Squares) -> Squares:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]
