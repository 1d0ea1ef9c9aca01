"""Decides shares of good events at any moment, however often it is looked.

A bound ``p0`` is tested by betting against it (Ville 1939; Robbins 1970, "Statistical methods related to the law of the
iterated logarithm"; Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence
sequences"). The wealth of a bettor who believes in a share ``q`` is multiplied at every good event by ``q/p0`` and at
every bad one by ``(1-q)/(1-p0)``. If the true share is ``p0``, the wealth is a martingale; if it is on the far side of
``p0`` from ``q``, its expectation only sinks, since the expected factor is linear in the true share and is 1 at ``p0``.
So wealth that starts at 1 exceeds ``1/alpha`` with probability at most ``alpha``, ever (Ville's inequality), and so does
a mixture of bettors who all believe in the same side of ``p0``, which is what is used here: a discrete prior, truncated
at the bound. The two sides of a bound are two such tests, each with half of alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from chaos.values.answers import Answer, Interval

_PERFECT: Final = 0.42
"""Stake of the bettor who believes that there is no bad event at all, and has lost everything at the first."""
_FAR: Final = (0.3, (0.35, 0.2, 0.1, 0.04))
_NEAR: Final = (0.28, (0.9995, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5))
"""Stake, and ratios of the bad share that a bettor believes in to the one at the bound."""
_BETTORS: Final = tuple(
    (ratio, math.log(ratio), math.log(stake / len(ratios))) for stake, ratios in (_FAR, _NEAR) for ratio in ratios
)
_ALL_ALIKE: Final = math.log(len(_BETTORS) + 2)
"""More than all bettors can have beyond the richest of them, as a logarithm."""
_STEPS: Final = 34
MANY: Final = 10**9
"""Events that nobody waits for."""


@lru_cache(maxsize=4096)
def _bets(bound: float) -> Sequence[tuple[float, float, float]]:
    """Of each bettor against a bound the logarithms of the stake, and of what a bad and a good event multiply it by."""
    return [(stake, log_ratio, math.log((1 - ratio * (1 - bound)) / bound)) for ratio, log_ratio, stake in _BETTORS]


def log_wealth(good: float, bad: float, bound: float) -> float:
    """Logarithm of the evidence against "the share is at most ``bound``"; rises with good events, sinks with the bound.

    Most of the stake is on systems far better than the bound, so that one without a bad event is decided soon.
    """
    return _sum(_terms(good, bad, bound))


def _terms(good: float, bad: float, bound: float) -> list[float]:
    """The logarithms of what each bettor has."""
    terms = [stake + bad * lost + good * won for stake, lost, won in _bets(bound)]
    if bad == 0:
        terms.append(math.log(_PERFECT) - good * math.log(bound))
    return terms


def _sum(terms: Sequence[float]) -> float:
    """The logarithm of all together."""
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms))


def _refutes(good: float, bad: float, bound: float, limit: float) -> bool:
    """Whether the evidence reaches a limit; mostly the richest bettor alone tells."""
    terms = _terms(good, bad, bound)
    top = max(terms)
    if top >= limit or top + _ALL_ALIKE < limit:
        return top >= limit
    return _sum(terms) >= limit


def decide(good: float, total: float, bound: float, *, confidence: float) -> Answer:
    """Whether a share of at least ``bound`` holds, is violated, or is not decided yet.

    Args:
        good: Good events; where events depend on each other, as many independent ones as they are worth.
        total: All events, likewise.
        bound: From 0 to 1. One bad event violates 1, which no number of good ones can prove; 0 is never violated.
        confidence: Of this one decision, both ways together, for all looks together.
    """
    bad = total - good
    if bound >= 1:
        return Answer.VIOLATED if bad else Answer.UNDECIDED
    if bound <= 0:
        return Answer.HOLDS if total else Answer.UNDECIDED
    limit = math.log(2 / (1 - confidence))
    if _refutes(good, bad, bound, limit):
        return Answer.HOLDS
    if _refutes(bad, good, 1 - bound, limit):
        return Answer.VIOLATED
    return Answer.UNDECIDED


@lru_cache(maxsize=4096)
def interval(good: float, total: float, *, confidence: float) -> Interval:
    """The shares that are not refuted: exactly those bounds that :func:`decide` leaves undecided."""
    limit = math.log(2 / (1 - confidence))
    bad = total - good
    low = _boundary(good, bad, limit)
    high = 1 - _boundary(bad, good, limit)
    return Interval(low=low, high=max(low, high), confidence=confidence)


def shared(confidence: float, among: float) -> float:
    """The confidence of each of several decisions that share the alpha of one of this confidence."""
    return 1 - (1 - confidence) / among


def fewest_to_hold(bound: float, confidence: float) -> int:
    """Good events that decide a bound if there is no bad one; ``MANY`` where it takes more than anybody waits for."""
    return fewest(lambda events: decide(events, events, bound, confidence=confidence) is Answer.HOLDS)


def fewest(enough: Callable[[int], bool]) -> int:
    """The smallest number that is enough, where all larger ones are enough too; ``MANY`` where none is."""
    few, many = 0, 1
    while many < MANY and not enough(many):
        few, many = many, 2 * many
    if many >= MANY:
        return MANY
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def _boundary(good: float, bad: float, limit: float) -> float:
    """The largest bound that is refuted from below, to a step; evidence sinks as the bound rises.

    It is looked for where a straight line through the ends of what is left crosses the limit, by the rule of false position ("Illinois",
    Dowell & Jarratt 1971), which takes a third of the looks that halving takes. The first look is about where it is expected.
    """
    if good == 0:
        return 0.0
    share, events = good / (good + bad), good + bad
    scatter = math.sqrt(2 * limit / events * max(share * (1 - share), limit / events))
    middle = round(max(share - 1.5 * scatter, share / (1 + 2.5 * limit / good)) * (1 << _STEPS))
    steps = 1 << _STEPS
    low, high, over, under, raised = 0, steps, math.inf, -math.inf, False
    while high - low > 1:
        middle = min(high - 1, max(low + 1, middle))
        found, before = log_wealth(good, bad, middle / steps) - limit, raised
        raised = found >= 0
        if raised:
            low, over, under = middle, found, under / 2 if before else under
        else:
            high, under, over = middle, found, over if before else over / 2
        between = over / (over - under) if over - under < math.inf else 0.5
        middle = low + int((high - low) * between) + raised
    return low / steps
