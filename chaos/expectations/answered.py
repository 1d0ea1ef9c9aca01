"""The series that were answered to one question, chosen by their labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from chaos.expectations.counting import Counter

Wanted = tuple[tuple[Callable[[Mapping[str, str]], Any], frozenset[Hashable]], ...]
"""What is read of labels, and the values that count."""


class Answered:
    """The series of one question."""

    def __init__(self) -> None:
        self.keyed: dict[frozenset[tuple[str, str]], Counter] = {}
        self.newest = float("-inf")
        """The time of the newest sample."""
        self._chosen: dict[Wanted, Sequence[Counter]] = {}

    def add(self, key: frozenset[tuple[str, str]], one: Counter) -> None:
        """One more series."""
        self.keyed[key] = one
        self._chosen.clear()

    def chosen(self, wanted: Wanted) -> Sequence[Counter]:
        """The series whose labels are wanted."""
        if wanted not in self._chosen:
            self._chosen[wanted] = [
                one for one in self.keyed.values() if all(one.read(what) in values for what, values in wanted)
            ]
        return self._chosen[wanted]
