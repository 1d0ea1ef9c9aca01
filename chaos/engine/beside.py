"""Calls that may hang, made beside the thread that decides, which must be free to stop the run meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from chaos.ports import Clock

T = TypeVar("T")
POLL: Final = 0.05
"""Seconds between two looks whether a call has ended."""
_AT_ONCE: Final = 4
"""Calls of one kind that may be under way at the same time."""


class Beside(Generic[T]):
    """One call, which begins at once."""

    def __init__(self, clock: Clock, call: Callable[[], T]) -> None:
        self._call = call
        self._ended: Callable[[], T] | None = None
        clock.beside(self._work)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended is not None

    def result(self) -> T:
        """The value or the error of a call that has ended."""
        assert self._ended is not None  # noqa: S101 - callers look
        return self._ended()

    def _work(self) -> None:
        try:
            found = self._call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is for who asks for the result
            caught = error

            def fail() -> T:
                raise caught

            self._ended = fail
        else:
            self._ended = lambda: found


class Insistent(Generic[T]):
    """A call that is begun again although the one before still hangs: the next may find a connection that works.

    Only for calls of which several at once do no harm.
    """

    def __init__(self, clock: Clock, call: Callable[[], T]) -> None:
        self._clock = clock
        self._call = call
        self._under_way: list[Beside[T]] = []

    def begin(self) -> None:
        """Begins once more, unless too many are under way."""
        if len(self._under_way) < _AT_ONCE:
            self._under_way.append(Beside(self._clock, self._call))

    def ended(self) -> list[Beside[T]]:
        """The calls that have ended since the last time, in the order in which they began."""
        done = [one for one in self._under_way if one.done]
        self._under_way = [one for one in self._under_way if one not in done]
        return done
