"""Whole requests by their shares."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from random import Random
from typing import Any


class Shares:
    """Shares requests out, second by second: evenly, or as chance has it.

    Args:
        chance: Draws each request; ``None``: what is left of one second is owed to the next, so that shares are kept.
    """

    def __init__(self, chance: Random | None = None) -> None:
        self.chance = chance
        self._owed: dict[object, float] = {}

    def out(self, shares: Mapping[Any, float], number: int) -> dict[Any, int]:
        """A number of requests, by shares that add up to 1."""
        found = dict.fromkeys(shares, 0)
        if self.chance is not None:
            weights = [max(0.0, share) for share in shares.values()]
            for key in self.chance.choices(list(shares), weights, k=number):
                found[key] += 1
            return found
        owed = {key: self._owed.get(key, 0.0) + share * number for key, share in shares.items()}
        for key in sorted(shares, key=lambda key: -owed[key]):
            found[key] = min(number - sum(found.values()), max(0, round(owed[key])))
        found[next(iter(shares))] += number - sum(found.values())
        self._owed |= {key: owed[key] - count for key, count in found.items()}
        return found

    def whole(self, key: str, number: float) -> int:
        """A number in whole requests."""
        if self.chance is not None:
            return floor(number + self.chance.random())
        owed = self._owed.get(key, 0.0) + number
        self._owed[key] = owed - round(owed)
        return round(owed)
