"""What was made out of times that are long past: it is made out once, until samples come late that change it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

Kept = TypeVar("Kept")


class Past:
    """Keeps what grows with a run, and what was found in its windows."""

    def __init__(self) -> None:
        self._growing: dict[Hashable, Any] = {}
        self._found: dict[Hashable, Any] = {}
        self._newest = self._settled = self._known = float("-inf")

    def note(self, new: Sequence[float], *, before: float) -> None:
        """There are samples of these times, the first after one of ``before``: in between, a series seemed to have ended that goes on."""
        if new:
            self._newest = max(self._newest, new[-1])
            if before < self._settled:
                self._growing.clear()
            if before < self._known:
                self._found.clear()

    def growing(self, key: Hashable, begin: Callable[[], Kept]) -> Kept:
        """What has grown so far, as it begins at first. It may hold nothing of times after the one that ``settled`` said."""
        if key not in self._growing:
            self._growing[key] = begin()
        found: Kept = self._growing[key]
        return found

    def settled(self, end: float, *, less: float) -> float:
        """Up to when something may grow that is to grow up to a moment: so many seconds less than to the newest sample."""
        until = min(end, self._newest - less)
        self._settled = max(self._settled, until)
        return until

    def found(self, key: Hashable, end: float, find: Callable[[], Kept], *, less: float) -> Kept:
        """What is found up to a moment; once that is so many seconds past, it is found no second time."""
        if end > self._newest - less:
            return find()
        self._known = max(self._known, end)
        if key not in self._found:
            self._found[key] = find()
        found: Kept = self._found[key]
        return found

    def clear(self) -> None:
        """Forgets everything."""
        self._growing.clear()
        self._found.clear()
