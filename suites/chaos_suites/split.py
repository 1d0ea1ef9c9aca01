"""Whether counts agree with weights: exact tests, and the number of requests that they need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

FALSE_ALARM: Final = 1e-5
"""Chance that a right split is called wrong."""
_MISSED: Final = 2.33
"""Standard deviations: one wrong split of a hundred is missed, if it is off by just the precision."""
_ALARM: Final = 4.42
"""Standard deviations of a two-sided chance of ``FALSE_ALARM``."""


def requests_for(weights: Mapping[str, int], precision: float) -> int:
    """How many requests show a share that is off by ``precision``, with 99 % probability.

        >>> requests_for({"v1": 90, "v2": 10}, 0.05)
        2324

    By the normal approximation at the share in question; one that is exactly 0 or 100 % shows it soonest.
    """
    spread = 0.0
    for share in (weight / 100 for weight in weights.values()):
        off = max(share * (1 - share), *(_clipped(share + by) for by in (precision, -precision)))
        spread = max(spread, off)
    return math.ceil(((_ALARM + _MISSED) / precision) ** 2 * spread)


def _clipped(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * (1 - share)


def disagreement(seen: Mapping[str, int], weights: Mapping[str, int]) -> str:
    """Which version surely gets another share than its weight, in words; empty where all agree.

    An exact binomial test of each version (two-sided, by twice the smaller tail), with the chance of a false alarm divided among them.

        >>> disagreement({"v1": 912, "v2": 88}, {"v1": 90, "v2": 10})
        ''
        >>> disagreement({"v1": 800, "v2": 200}, {"v1": 90, "v2": 10})
        'v1 answered 800 of 1000 requests (80.0 %), and its weight is 90 %'
    """
    total = sum(seen.values())
    for version in (*weights, *(one for one in seen if one not in weights)):
        count, weight = seen.get(version, 0), weights.get(version, 0)
        if _chance(count, total, weight / 100) < FALSE_ALARM / max(1, len(weights)):
            share = 100 * count / total
            return f"{version} answered {count} of {total} requests ({share:.1f} %), and its weight is {weight} %"
    return ""


def _chance(count: int, total: int, share: float) -> float:
    """Two-sided chance of a count that is as far off as this one, or farther."""
    if share in (0.0, 1.0):
        return float(count == total * share)
    upper = math.fsum(_exactly(number, total, share) for number in range(count, total + 1))
    lower = math.fsum(_exactly(number, total, share) for number in range(count + 1))
    return min(1.0, 2 * min(upper, lower))


def _exactly(count: int, total: int, share: float) -> float:
    ways = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(ways + count * math.log(share) + (total - count) * math.log1p(-share))
