"""What the load generator told, second by second, while it grows: sums and longest waits of any window."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Sequence
from copy import copy
from typing import Final

from chaos.values.load import LoadCell, LoadSecond

Pair = tuple[int, int]
_SURE: Final = 3.0
"""Standard deviations."""


class LoadLog:
    """The load's seconds in the order of time. What was summed up once is not looked at again."""

    def __init__(self) -> None:
        self._seconds: list[LoadSecond] = []
        self._sums: dict[Hashable, list[Pair]] = {}
        self._waits: dict[int, list[_Waits]] = {}
        """By the place of the first second, some up to different ends: several grow side by side."""
        self._overdue: dict[tuple[int, int], int] = {}
        self._reaches_back = False

    def reaching_back(self) -> LoadLog:
        """The same seconds, where an interval begins with the one in which it starts."""
        found = copy(self)
        found._reaches_back = True
        return found

    @property
    def seconds(self) -> Sequence[LoadSecond]:
        """All of them."""
        return self._seconds

    def add(self, seconds: Iterable[LoadSecond]) -> None:
        """Takes further seconds."""
        self._seconds.extend(seconds)
        self._overdue.clear()

    def between(self, start: float, end: float) -> Sequence[LoadSecond]:
        """The seconds that lie wholly inside an interval."""
        return self._seconds[self._first(start) : self._ended_by(end)]

    def cells(self, start: float, end: float) -> Sequence[LoadCell]:
        """The answers of these seconds."""
        return [cell for second in self.between(start, end) for cell in second.cells]

    def total(self, key: Hashable, of: Callable[[LoadSecond], Pair], start: float, end: float) -> Pair:
        """Sums of what ``of`` gives for each second wholly inside an interval; ``key`` stands for ``of``."""
        first, last = self._first(start), self._ended_by(end)
        return self._sum(key, of, first, max(first, last))

    def longest_wait(self, start: float, end: float, *, rest: float) -> float:
        """Seconds within which all answers of an interval came, but for a share of ``rest``."""
        first, last = self._first(start), self._ended_by(end)
        known = self._waits.setdefault(first, [])
        waits = max((one for one in known if one.until <= last), key=lambda one: one.until, default=None)
        if waits is None:
            waits = _Waits(first)
            known.append(waits)
        waits.extend(self._seconds, max(first, last))
        return waits.longest(rest)

    def overdue(self, start: float, end: float, *, rest: float = 0.0) -> int:
        """Requests without an answer at ``end`` that already wait longer than answers since ``start`` took, but for a ``rest``.

        Events are counted when they end, so a request that hangs is not counted at all, neither as good nor as bad: shortly
        after a fault begins, only what is fast has been seen. What waits longer than all that was seen may become either.
        The second in which an answered request began follows from its latency, up to the second's edge; chance that comes
        from there is taken off; what was started late began late. Of a locustfile, whose requests are counted when they end, those
        under way are told.
        """
        last = self._ended_by(end)
        if not last:
            return 0
        longest = max(1, math.ceil(self.longest_wait(start, end, rest=rest)))
        place = longest, last
        if place not in self._overdue:
            self._overdue[place] = self._waiting(longest, last)
        return self._overdue[place]

    def _waiting(self, longest: int, last: int) -> int:
        """Requests of the seconds up to a place that wait for longer than so many seconds."""
        if hanging := sum(waited > longest for waited in self._seconds[last - 1].waiting):
            return hanging
        edge = self._seconds[last - 1].at + 1 - longest
        begun = min(last, self._ended_by(edge + 1e-6))
        sent, answered = self._sum("answered", _sent_and_answered, 0, begun)
        waiting, variance = float(sent - answered), 0.0
        for second in self._seconds[begun:last]:
            for share, count in _begun_by(edge, second):
                waiting -= share * count
                variance += share * (1 - share) * count
        return max(0, math.floor(waiting - _SURE * math.sqrt(variance)))

    def _first(self, start: float) -> int:
        if self._reaches_back:
            return max(0, bisect_right(self._seconds, start, key=lambda second: second.at) - 1)
        return bisect_left(self._seconds, start, key=lambda second: second.at)

    def _ended_by(self, end: float) -> int:
        return bisect_right(self._seconds, end, key=lambda second: second.at + 1)

    def _sum(self, key: Hashable, of: Callable[[LoadSecond], Pair], first: int, last: int) -> Pair:
        sums = self._sums.setdefault(key, [(0, 0)])
        for second in self._seconds[len(sums) - 1 :]:
            one, other = of(second)
            sums.append((sums[-1][0] + one, sums[-1][1] + other))
        return sums[last][0] - sums[first][0], sums[last][1] - sums[first][1]


class _Waits:
    """Answers by latency in milliseconds, of the seconds from one place on; their kinds are few, however long it lasts."""

    def __init__(self, first: int) -> None:
        self.until = first
        self._counts: dict[float, int] = {}
        self._order: list[float] = []
        self._total = 0

    def extend(self, seconds: Sequence[LoadSecond], until: int) -> None:
        for second in seconds[self.until : until]:
            for cell in second.cells:
                for latency, count in cell.latencies.items():
                    took = latency - cell.lag
                    if took not in self._counts:
                        insort(self._order, took)
                    self._counts[took] = self._counts.get(took, 0) + count
                    self._total += count
        self.until = until

    def longest(self, rest: float) -> float:
        left = rest * self._total
        for took in reversed(self._order):
            left -= self._counts[took]
            if left < 0:
                return took / 1000
        return 0.0


def _sent_and_answered(second: LoadSecond) -> Pair:
    return second.sent, second.answered


def _begun_by(edge: float, second: LoadSecond) -> list[tuple[float, int]]:
    """The answers of a second: how likely they began before ``edge``, and how many."""
    return [
        (min(1.0, max(0.0, edge - (second.at - (took - cell.lag) / 1000))), count)
        for cell in second.cells
        for took, count in cell.latencies.items()
    ]
