"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    condition: Callable[[], bool],
    what: str = "",
    *,
    within: float = 20.0,
    tolerate: tuple[type[Exception], ...] = (),
) -> None:
    """Returns once the condition holds; fails after ``within`` seconds. Errors to ``tolerate`` count as not yet."""
    deadline = time.monotonic() + within
    said = ""
    while True:
        try:
            if condition():
                return
        except tolerate as error:
            said = f"; at last {error!r}"
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what or 'the effect'}{said}"
        time.sleep(0.02)
