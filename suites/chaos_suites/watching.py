"""Looking at something again and again while something else goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
_PAUSE: Final = 0.2
"""Seconds between two looks."""
OBEYED: Final = 30.0
"""Seconds until proxies obey new configuration: as for a fault."""


@contextmanager
def meanwhile(look: Callable[[], T]) -> Iterator[list[T]]:
    """What was seen at each look, from the beginning of a ``with`` block to its end; at least one look is after its beginning.

    Raises:
        Exception: what a look raised, at the end of the block.
    """
    seen: list[T] = []
    raised: list[BaseException] = []
    ended = threading.Event()

    def go_on() -> None:
        try:
            while True:
                seen.append(look())
                if ended.wait(_PAUSE):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    if raised:
        raise raised[0]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition became true in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return found
