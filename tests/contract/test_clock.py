"""What every ``Clock`` has to do: the machine's own, and the one of the shop in memory."""

from __future__ import annotations

import pytest

from chaos.engine.clock import SystemClock
from chaos.ports import Clock
from chaos.testing.clock import VirtualClock
from tests.support.waiting import until


@pytest.fixture(params=[SystemClock, VirtualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_time_goes_on_while_one_sleeps_and_never_back(clock: Clock) -> None:
    before = clock.now()
    assert clock.now() >= before
    clock.sleep(0.05)
    after = clock.now()
    assert before + 0.045 < after < before + 30
    for seconds in (0.0, -3.0):
        clock.sleep(seconds)
    assert after <= clock.now() < after + 30


@pytest.mark.timeout(20)
def test_who_is_woken_sleeps_no_longer(clock: Clock) -> None:
    """In virtual time every sleep ends at once."""
    clock.beside(clock.wake)
    clock.sleep(3600.0)


def test_what_may_hang_is_done_beside(clock: Clock) -> None:
    done: list[str] = []
    clock.beside(lambda: done.append("this"))
    until(lambda: done == ["this"], "it is done")
