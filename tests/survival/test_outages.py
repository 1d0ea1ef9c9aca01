"""What a run needs goes away while it lasts: the fault goes first, whatever is lost beside it, and nothing is green."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest

from chaos.model.history import PhaseName
from tests.support.scope import EVERY, one_of
from tests.support.waiting import until
from tests.survival.proxy import Call, Spoil
from tests.survival.world import ONE_OR_ALL, World

pytestmark = pytest.mark.parametrize("world", ONE_OR_ALL, indirect=True)
PHASES = [phase for phase in PhaseName if phase is not PhaseName.LOCK]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seconds", [0.5, 20.0] if EVERY else [4.0])
def test_the_api_server_goes_away_during_the_restore(world: World, seconds: float) -> None:
    """The run keeps trying for its minute (three seconds here), its watchdog after that, until the API answers."""
    changes, gone = 0, 0.0

    def vanish(call: Call) -> Spoil | None:
        nonlocal changes, gone
        changes += call.writes and not call.dry and "virtualservices" in call.what
        if changes == 2 and not world.proxy.down:
            world.proxy.down, gone = True, time.monotonic()
            timer = threading.Timer(seconds, come_back)
            timer.daemon = True
            timer.start()
            return "reset"
        return None

    def come_back() -> None:
        nonlocal changes
        changes = 3
        world.proxy.down = False

    world.proxy.before = vanish
    orders = world.orders(watched=str(world.kubeconfig))
    found = world.run(orders)
    assert changes >= 2
    if seconds < 1:
        assert found["outcome"] in ("passed", "inconclusive"), found
        assert world.is_clean()
    else:
        assert found["outcome"] == "cleanup-failed", found
        assert time.monotonic() - gone < seconds + 10
        until(world.is_clean, "the watchdog has cleaned up", within=seconds + 30)
    world.end_watchdog(orders)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("phase", one_of(3, PHASES))
def test_prometheus_goes_away(world: World, phase: PhaseName) -> None:
    orders = world.orders(lost_in=phase.value)
    found = world.run(orders)
    assert world.is_clean()
    if phase is not PhaseName.RELEASE:
        assert found["outcome"] == "inconclusive", found
        assert any("metrics-lost" in reason or "undecided" in reason for reason in found["reasons"]), found
    world.end_watchdog(orders)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("phase", one_of(3, PHASES))
def test_the_load_generator_dies(world: World, phase: PhaseName) -> None:
    orders = world.orders(load_dies_in=phase.value)
    found = world.run(orders)
    assert world.is_clean()
    assert found["outcome"] in ("inconclusive", "passed"), found
    if phase in (PhaseName.BASELINE, PhaseName.PROVE, PhaseName.OBSERVE):
        assert any("load-died" in reason for reason in found["reasons"]), found
    world.end_watchdog(orders)


@pytest.mark.timeout(60)
def test_a_full_disk_keeps_no_fault_and_makes_nothing_green(world: World) -> None:
    """Files can't grow from the injection on, as on a full disk; the limit's error comes from the same calls."""
    orders = world.orders(largest_file=0)
    found = world.run(orders)
    assert world.is_clean()
    assert found["outcome"] == "inconclusive", found
    assert any("record-lost" in reason for reason in found["reasons"]), found
    assert not list((Path(orders.folder) / "runs").glob("*/record.json"))
    world.end_watchdog(orders)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("phase", "step"),
    one_of(2, [*itertools.product([PhaseName.BASELINE, PhaseName.OBSERVE, PhaseName.RESTORE], [-3600.0, 3600.0])][1:]),
)
def test_a_clock_that_is_set_changes_nothing(world: World, phase: PhaseName, step: float) -> None:
    orders = world.orders(clock_step=step, stepped_in=phase.value)
    found = world.run(orders)
    assert found["outcome"] == "passed", found
    assert world.is_clean()
    world.end_watchdog(orders)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("step", one_of(2, [7200.0, -7200.0]))
def test_the_servers_clock_may_be_wrong(world: World, step: float) -> None:
    """Leases and expiries are all on the server's clock, so a machine that is hours off does no harm."""
    world.proxy.ahead = step
    orders = world.orders()
    found = world.run(orders)
    assert found["outcome"] == "passed", found
    assert world.is_clean()
    world.end_watchdog(orders)
