"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


def until(
    condition: Callable[[], T | None],
    what: str = "the effect",
    *,
    within: float = 30.0,
    pause: float = 0.02,
    tolerate: tuple[type[Exception], ...] = (),
) -> T:
    """What the condition gives once that is true; fails after ``within`` seconds. Errors to ``tolerate`` count as not yet."""
    deadline = time.monotonic() + within
    while True:
        try:
            seen: Any = condition()
            if seen:
                return cast("T", seen)
        except tolerate as error:
            seen = error
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}; at last {seen!r:.300}"
        time.sleep(pause)


def seconds_until(
    condition: Callable[[], object], what: str = "the effect", *, within: float = 30.0, pause: float = 0.02
) -> float:
    """Seconds until the condition was true; fails after ``within`` of them."""
    begun = time.monotonic()
    until(condition, what, within=within, pause=pause)
    return time.monotonic() - begun
