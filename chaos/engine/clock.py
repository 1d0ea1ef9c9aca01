"""Time that never jumps, how far another clock is ahead, and signals that are noted instead of thrown."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

from chaos.errors import MetricsError
from chaos.ports import Clock, Metrics

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AT_ONCE: Final = 0.1
"""Seconds for an answer that needs no other beside it."""
_TRIES: Final = 3
_PASSIVE: Final = (signal.SIG_DFL, signal.SIG_IGN, None)


class SystemClock:
    """The ``Clock`` port: the wall clock at its making, carried on by the monotonic one."""

    def __init__(self) -> None:
        self._wall = time.time() - time.monotonic()
        # No Event: a signal's handler that sets one may find its lock held by the very thread that it interrupts.
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def now(self) -> float:
        """Unix seconds."""
        return self._wall + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits; returns early once somebody wakes it."""
        with suppress(queue.Empty):
            self._woken.get(timeout=max(0.0, seconds))
            for _ in range(self._woken.qsize()):
                self._woken.get_nowait()

    def wake(self) -> None:
        """Ends a sleep; safe in a signal's handler."""
        self._woken.put(None)

    def beside(self, work: Callable[[], None]) -> None:
        """Does something in a daemon thread: one that hangs must not keep the process from ending."""
        threading.Thread(target=work, name="beside", daemon=True).start()


def offset_of(metrics: Metrics, clock: Clock) -> float:
    """Seconds by which the clock of the metrics is ahead of ours.

    It says its time somewhere within the time that its answer takes, so half of that is how far this can be off, and
    the fastest of some answers is taken: F. Cristian, Probabilistic clock synchronization, 1989.

    Raises:
        MetricsError: they do not answer at all.
    """
    best, took = 0.0, float("inf")
    for nth in range(_TRIES):
        before = clock.now()
        try:
            theirs = metrics.now()
        except MetricsError:
            if not nth:
                raise
            break  # one answer is enough
        after = clock.now()
        if after - before < took:
            best, took = theirs - (before + after) / 2, after - before
        if took <= _AT_ONCE:
            break
    return best


class StopRequest:
    """A wish to end the run; first come, first named. Cleaning up is never cut short by it, nor by a second one."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self.why: str = ""
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return bool(self.why)

    def ask(self, why: str, *, signal_number: int | None = None) -> None:
        """Notes the wish and wakes the run."""
        if not self.why:
            self.why, self.signal = why, signal_number
        if self._clock is not None:
            self._clock.wake()

    @contextmanager
    def shield(self) -> Iterator[None]:
        """While inside, an alarm (pytest-timeout's) waits: its handler may raise, which would cut a clean-up short."""
        if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGALRM) in _PASSIVE:
            yield
            return
        rang = False

        def hold(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
            nonlocal rang
            rang = True

        handler = signal.signal(signal.SIGALRM, hold)
        try:
            yield
        finally:
            signal.signal(signal.SIGALRM, handler)
            if rang:
                signal.raise_signal(signal.SIGALRM)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """While inside, SIGINT, SIGTERM and SIGHUP ask for the end instead of breaking into whatever is under way.

        Python lets only the main thread set handlers; elsewhere nothing is changed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
            self.ask(f"the run was stopped by {signal.Signals(number).name}", signal_number=number)

        before: dict[int, Any] = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
