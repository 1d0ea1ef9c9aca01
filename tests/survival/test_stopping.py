"""Signals in every phase, twice, and during the clean-up: the fault is gone, and the run says who stopped it."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.model.history import PhaseName
from tests.conftest import FIGURE
from tests.support.scope import EVERY, one_of
from tests.support.waiting import until
from tests.survival.proxy import Call
from tests.survival.world import CASES, ONE_OR_ALL, World

SIGNALS = {
    "SIGINT": [signal.SIGINT],
    "SIGTERM": [signal.SIGTERM],
    "SIGHUP": [signal.SIGHUP],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
    "SIGINT, then SIGTERM": [signal.SIGINT, signal.SIGTERM],
}


@pytest.mark.timeout(240)
def test_a_signal_in_any_phase_restores_and_is_told(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    cells = 0
    for turn, (phase, (name, numbers)) in enumerate(itertools.product(PhaseName, SIGNALS.items())):
        if EVERY or turn % 20 == CASES.index(world.strategy):
            orders = world.orders(signals={phase.value: numbers})
            found = world.run(orders)
            assert found.get("signal") == numbers[0], f"{name} in {phase}: {found}"
            late = phase in (PhaseName.RESTORE, PhaseName.RECOVER, PhaseName.RELEASE)
            allowed = {"inconclusive", "passed"} if late else {"inconclusive"}
            assert found["outcome"] in allowed, f"{name} in {phase}: {found}"
            assert world.is_clean(), f"{name} in {phase}: {world.specs()}"
            world.end_watchdog(orders)
            cells += 1
    record_property(FIGURE, f"signals, {world.strategy}: {cells} runs stopped in {len(PhaseName)} phases, all clean")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("world", ["create"], indirect=True)
def test_a_listener_that_never_returns_holds_up_no_run(world: World) -> None:
    orders = world.orders(hangs_in=PhaseName.OBSERVE.value)
    found = world.run(orders)
    assert found["outcome"] == "passed", found
    told = (Path(orders.folder) / "stderr.txt").read_text()
    assert told == "the listener tests.survival.child._Hanging is dropped: it did not return within 3 s\n"
    assert world.is_clean()
    world.end_watchdog(orders)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["take away", "lease"])
def test_signals_do_not_cut_a_clean_up_short(world: World, what: str) -> None:
    """They come while the removing call is under way, one after the other."""
    pid, changes = 0, 0
    sent: list[signal.Signals] = []

    def strike(call: Call) -> None:
        nonlocal changes
        changes += call.writes and not call.dry and "virtualservices" in call.what
        under_way = (
            changes == 2 and "virtualservices" in call.what if what == "take away" else call.what == "DELETE leases"
        )
        if call.writes and under_way and not sent:
            for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                os.kill(pid, number)
                sent.append(number)

    world.proxy.before = lambda call: strike(call)
    orders = world.orders()
    process = world.start(orders)
    pid = process.pid or 0
    process.join(60)
    assert process.exitcode == 0, (Path(orders.folder) / "stderr.txt").read_text()
    assert sent
    assert world.is_clean()
    world.end_watchdog(orders)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("world", ONE_OR_ALL, indirect=True)
@pytest.mark.parametrize("phase", one_of(2, [*PhaseName]))
def test_an_alarm_that_raises_restores_first(world: World, phase: PhaseName) -> None:
    """pytest-timeout's handler raises wherever the main thread is; a clean-up that has begun is finished before."""
    orders = world.orders(alarm_in=phase.value)
    found = world.run(orders)
    assert found["outcome"] == "alarm", found
    until(world.is_clean, "clean", within=10)
    world.end_watchdog(orders)
    assert list((Path(orders.folder) / "runs").glob("*/record.json")), "what is known is recorded"
