"""Decides shares of good events at any moment, however often it is looked.

A bound ``p0`` is tested by betting against it (Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021,
"Time-uniform, nonparametric, nonasymptotic confidence sequences"). The wealth of a bettor who believes in a share ``q``
is multiplied at every good event by ``q/p0`` and at every bad one by ``(1-q)/(1-p0)``. If the true share is ``p0``, the
wealth is a martingale; if it is on the far side of ``p0`` from ``q``, its expectation only sinks, since the expected
factor is linear in the true share and is 1 at ``p0``. So wealth that starts at 1 exceeds ``1/alpha`` with probability at
most ``alpha``, ever, and so does an average over bettors, which is what is used here.
"""

from __future__ import annotations

import math
from typing import Final

from chaos.model.verdict import Answer, Interval

_NEAR: Final = (0.9995, 0.999, 0.998, 0.995, 0.99, 0.98, 0.96, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.35)
_FAR: Final = (0.25, 0.15, 0.08, 0.03, 0.01, 0.001)
_BETTORS: Final = tuple(
    [(ratio, math.log(0.5 / len(_NEAR))) for ratio in _NEAR] + [(ratio, math.log(0.5 / len(_FAR))) for ratio in _FAR]
)
"""Ratios of bad shares (q above p0) or of good shares (q below) to those at p0, with the logarithms of their weights.

Half of the stake is on ratios far from 1, so that a system without a bad event is decided soon.
"""
_STEPS: Final = 40


def log_wealth(good: int, bad: int, bound: float) -> float:
    """Logarithm of the evidence against "the share is at most ``bound``"; rises with good events, sinks with the bound."""
    terms = [
        weight + bad * math.log(ratio) + good * math.log((1 - ratio * (1 - bound)) / bound)
        for ratio, weight in _BETTORS
    ]
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms))


def decide(good: int, total: int, bound: float, *, confidence: float) -> Answer:
    """Whether a share of at least ``bound`` holds, is violated, or is not decided yet.

    Args:
        good: Good events.
        total: All events.
        bound: Between 0 and 1, both excluded.
        confidence: Of this one decision, both ways together, for all looks together.
    """
    limit = math.log(2 / (1 - confidence))
    bad = total - good
    if log_wealth(good, bad, bound) >= limit:
        return Answer.HOLDS
    if log_wealth(bad, good, 1 - bound) >= limit:
        return Answer.VIOLATED
    return Answer.UNDECIDED


def interval(good: int, total: int, *, confidence: float) -> Interval:
    """The shares that are not refuted: exactly those bounds that :func:`decide` leaves undecided."""
    limit = math.log(2 / (1 - confidence))
    bad = total - good
    low = _boundary(good, bad, limit)
    high = 1 - _boundary(bad, good, limit)
    return Interval(low=low, high=max(low, high), confidence=confidence)


def _boundary(good: int, bad: int, limit: float) -> float:
    """The largest bound that is refuted from below; evidence sinks as the bound rises, so halving finds it."""
    low, high = 0.0, 1.0
    if good == 0:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if log_wealth(good, bad, middle) >= limit:
            low = middle
        else:
            high = middle
    return low
