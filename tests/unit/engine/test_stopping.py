from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import pytest

from chaos.engine.clock import StopRequest, SystemClock


def test_signals_are_noted_and_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = StopRequest(SystemClock())
    with stop.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop
        assert stop.signal == signal.SIGTERM, "the first wish counts"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_wish_to_stop_wakes_a_sleeping_run() -> None:
    clock = SystemClock()
    stop = StopRequest(clock)
    stop.ask("enough")
    start = clock.now()
    clock.sleep(60)
    assert clock.now() - start < 5


@pytest.mark.timeout(20)
def test_a_signal_may_come_at_any_line_of_a_sleep() -> None:
    """Its handler runs on the sleeping thread: a lock that the sleep holds would never be had."""
    clock = SystemClock()
    signals = 0

    def strike(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal signals
        signals += 1
        sys.settrace(None)
        clock.wake()
        sys.settrace(strike)
        return strike

    before = sys.gettrace()
    sys.settrace(strike)
    try:
        clock.sleep(0.01)
        clock.sleep(0.01)
    finally:
        sys.settrace(before)
    assert signals > 4
