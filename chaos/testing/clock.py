"""Time that passes only while somebody sleeps."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class VirtualClock:
    """The ``Clock`` port without waiting: a sleep ends at once, and what was planned for its time has happened.

    Args:
        now: Unix seconds at the beginning.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._order = itertools.count()
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self.hangs = 0.0
        """Seconds until what may hang has been done."""

    def now(self) -> float:
        """Unix seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Passes time, and does what was planned for it, each thing at its moment."""
        until = self._now + max(0.0, seconds)
        while self._planned and self._planned[0][0] <= until:
            at, _, action = heapq.heappop(self._planned)
            self._now = max(self._now, at)
            action()
        self._now = max(self._now, until)

    def wake(self) -> None:
        """Nobody sleeps."""

    def beside(self, work: Callable[[], None]) -> None:
        """Does it at once, or as much later as it hangs."""
        if self.hangs:
            self.later(self.hangs, work)
        else:
            work()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Plans something for so many seconds from now."""
        heapq.heappush(self._planned, (self._now + seconds, next(self._order), action))
