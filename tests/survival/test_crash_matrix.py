"""Runs are killed before and after every single write, and in every phase; nothing may be left, whoever else died too."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.place import Place
from chaos.harness.harness import Harness
from chaos.model.history import PhaseName
from chaos.model.settings import LAB
from chaos.safety.active import active
from chaos.safety.lease import LEASE_SECONDS
from chaos.safety.marks import part_of, run_of
from tests.conftest import FIGURE
from tests.support.api_server import CONTEXT
from tests.support.scope import EVERY, one_of
from tests.support.waiting import until
from tests.survival.child import Orders, kill_watchdog
from tests.survival.proxy import Call, Spoil
from tests.survival.simulated import FastShop
from tests.survival.world import CASES, STRATEGIES, World

CLEANERS = ("watchdog", "sweep", "next session")


@dataclass(frozen=True)
class Cell:
    """One moment of death: at the n-th write, before or after it took effect, or at the beginning of a phase."""

    write: int = -1
    after: bool = False
    phase: str = ""
    what: str = ""

    def __str__(self) -> str:
        return f"in {self.phase}" if self.phase else f"{'after' if self.after else 'before'} {self.what}"


def cells(world: World) -> Iterator[Cell]:
    """Every cell, by what a run that nobody disturbs does."""
    begin = len(world.proxy.calls)
    undisturbed = world.run(world.orders())
    assert undisturbed["outcome"] == "passed", undisturbed
    writes = [call for call in world.proxy.calls[begin:] if call.writes]
    for number, call in enumerate(writes):
        for after in (False, True):
            yield Cell(number, after, what=f"{number}: {call.what}")
    assert undisturbed["phases"] == [phase.value for phase in PhaseName]
    for phase in PhaseName:
        yield Cell(phase=phase)


def crash(world: World, cell: Cell, *, alone: bool) -> Orders:
    """Runs until the cell's moment, and dies there; alone, or after its watchdog."""
    orders = world.orders(die_in=cell.phase, die_alone=alone)
    writes: list[Call] = []  # some are made side by side, so the answer to one may come after the next
    pid = 0

    def kill() -> None:
        if not alone:
            kill_watchdog(orders)
        os.kill(pid, signal.SIGKILL)

    def is_the_moment(call: Call) -> bool:
        return 0 <= cell.write < len(writes) and writes[cell.write] is call

    def before(call: Call) -> Spoil | None:
        if call.writes:
            writes.append(call)
        if cell.after or not is_the_moment(call):
            return None
        kill()
        return "reset"

    def after(call: Call) -> None:
        if cell.after and is_the_moment(call):
            kill()

    world.proxy.before, world.proxy.after = before, after
    process = world.start(orders)
    assert process.pid is not None
    pid = process.pid
    process.join(60)
    world.proxy.before, world.proxy.after = lambda call: None, lambda call: None
    # A run makes fewer writes than the one before it if the machine was slower then: a lease is renewed by time.
    never = process.exitcode == 0 and len(writes) <= cell.write
    assert never or process.exitcode == -signal.SIGKILL, f"{cell}: it ended with {process.exitcode}"
    return orders


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("world", "cleaner"), one_of(2, [*itertools.product(CASES, CLEANERS)]), indirect=["world"])
def test_nothing_is_left_wherever_a_run_is_killed(
    world: World, cleaner: str, record_property: Callable[[str, object], None]
) -> None:
    """With the watchdog alive it cleans; without it a sweep, or the next session, once the lease has run out.

    ``make test`` takes some moments of each strategy, cleaned up by one or two of the cleaners; ``make survive`` all by each.
    """
    told, slowest = [], 0.0
    every = list(cells(world))
    turn = CLEANERS.index(cleaner) + CASES.index(world.strategy)
    share = len(CLEANERS) * (4 if world.strategy in STRATEGIES else 8)
    found = [cell for number, cell in enumerate(every) if EVERY or (number + turn) % share == 0]
    for cell in found:
        orders = crash(world, cell, alone=cleaner == "watchdog")
        dirty = not world.is_clean()
        began = time.monotonic()
        if cleaner == "watchdog":
            until(world.is_clean, f"clean after a death {cell}", within=10)
            slowest = max(slowest, time.monotonic() - began)
        else:
            later(world, cleaner, cell)
        assert world.is_clean(), f"{cell}: {world.specs()} {world.leases()}"
        assert not world.change_conflicts(), f"{cell}: fields are not their owners'"
        told.append(f"{cell}{' (something was left)' if dirty else ''}")
        del orders
    left = sum("left" in one for one in told)
    speed = f", slowest clean-up {slowest:.2f} s" if cleaner == "watchdog" else ""
    record_property(
        FIGURE,
        f"crash matrix, {world.strategy}, cleaned by the {cleaner}: {len(found)} cells, {left} left something{speed}",
    )
    assert len(every) >= 20
    assert len(found) >= len(every) // share


def later(world: World, cleaner: str, cell: Cell) -> None:
    """What a sweep and the next session do: nothing while the lease may be held, all once it has run out."""
    if world.leases():
        state = world.specs()
        world.chaosctl("sweep")
        assert world.specs() == state, f"{cell}: swept beside a lease that has not run out"
    world.proxy.ahead = LEASE_SECONDS + 5
    try:
        mesh = KubernetesMesh(str(world.kubeconfig), CONTEXT)
        injected = [vs for vs in world.mesh.injected("staging") if vs["kind"] == "VirtualService"]
        shown = active(mesh, ("staging",))
        assert len(shown) == sum(part_of(vs, run_of(vs)) != "ownership" for vs in injected)
        assert not any(fault.renewed for fault in shown)
        if cleaner == "sweep":
            text = world.chaosctl("sweep")
            words = ("removed", "restored", "gave back the fields of")
            assert any(word in text for word in words) == (bool(injected) or "nothing" not in text)
            assert "nothing to sweep" in world.chaosctl("sweep"), "a second sweep finds nothing"
        else:
            with closing(FastShop(world.api.address)) as shop:
                Harness(Place.of(mesh, shop.metrics, LAB, entry="http://127.0.0.1:1", lab=True)).sweep()
        assert world.chaosctl("status").strip() == "no active faults"
    finally:
        world.proxy.ahead = 0.0


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("world", "when"), one_of(3, [*itertools.product(CASES, ["before", "after"])]), indirect=["world"]
)
def test_a_run_that_is_killed_while_it_renews_its_lease_leaves_nothing(world: World, when: str) -> None:
    """The renewal is a write, too; it comes from a thread of its own."""
    orders = world.orders(lease=1.0)
    pid = 0

    def strike(call: Call) -> Spoil | None:
        if call.what != "PUT leases":
            return None
        os.kill(pid, signal.SIGKILL)
        return "reset"

    if when == "before":
        world.proxy.before = strike
    else:
        world.proxy.after = lambda call: strike(call) and None
    process = world.start(orders)
    pid = process.pid or 0
    process.join(60)
    assert process.exitcode in (-signal.SIGKILL, 0), "killed, or done before the first renewal was due"
    until(world.is_clean, "clean", within=10)
