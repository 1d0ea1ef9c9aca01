"""Whoever changes Istio's configuration for a while is killed before and after each write; a real API server has all as before."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab.api.resources import AUTHORIZATION_POLICIES
from tests.support.scope import EVERY
from tests.support.waiting import until
from tests.survival.child import Orders, kill_watchdog
from tests.survival.proxy import Call, Spoil
from tests.survival.world import World

CHANGED = """\
kind: VirtualService
metadata: {name: inventory, namespace: staging}
spec:
  hosts: [inventory-svc]
  exportTo: ["."]
  http: [{timeout: 9s, route: [{destination: {host: inventory-svc}}]}]
---
kind: AuthorizationPolicy
metadata: {name: deny-all, namespace: staging}
spec: {}
"""
ABSENT = "{kind: AuthorizationPolicy, metadata: {name: allow, namespace: staging}}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, "patch")
    made.api.store.create(
        AUTHORIZATION_POLICIES, {"metadata": {"name": "allow", "namespace": "staging"}, "spec": {"action": "ALLOW"}}
    )
    yield made
    made.close()


def is_clean(world: World) -> bool:
    return world.is_clean() and world.api.objects(AUTHORIZATION_POLICIES) == ["allow"]


def orders(world: World) -> Orders:
    return world.orders(changes=CHANGED, absent=ABSENT)


@pytest.mark.timeout(240)
def test_all_is_put_back_by_whoever_is_left(world: World) -> None:
    """By the watchdog, or without it by a sweep once the lease has run out, in turn; a part of the cells but in `make survive`."""
    begin = len(world.proxy.calls)
    assert world.run(orders(world)) == {"outcome": "passed"}
    assert is_clean(world), world.specs()
    assert not world.change_conflicts(), "fields are their owners' again"
    writes = [call for call in world.proxy.calls[begin:] if call.writes and not call.dry]
    assert len(writes) >= 12
    every = [(number, after) for number in range(len(writes)) for after in (False, True)]
    cells = every[:-1]  # after its last write it has nothing left to do, and may have ended
    for number, after in cells if EVERY else cells[4::7]:
        alone = EVERY or number % 2 == 0
        crash(world, number, after=after, alone=alone)
        if alone:
            until(lambda: is_clean(world), f"clean after a death at {writes[number].what}", within=10)
        else:
            world.proxy.ahead = 35.0
            world.chaosctl("sweep")
            assert "no active faults" in world.chaosctl("status")
            world.proxy.ahead = 0.0
        assert is_clean(world), f"{number} {after}: {world.specs()} {world.leases()}"
        assert not world.change_conflicts(), f"{number} {after}: fields are not their owners'"


def crash(world: World, number: int, *, after: bool, alone: bool) -> None:
    """Dies at a write, alone or after its watchdog."""
    mine = orders(world)
    writes: list[Call] = []
    pid = 0

    def kill() -> None:
        if not alone:
            kill_watchdog(mine)
        os.kill(pid, signal.SIGKILL)

    def is_the_moment(call: Call) -> bool:
        return len(writes) > number and writes[number] is call

    def before(call: Call) -> Spoil | None:
        if call.writes and not call.dry:
            writes.append(call)
        if after or not is_the_moment(call):
            return None
        kill()
        return "reset"

    def answered(call: Call) -> None:
        if after and is_the_moment(call):
            kill()

    world.proxy.before, world.proxy.after = before, answered
    process = world.start(mine)
    pid = process.pid or 0
    process.join(60)
    world.proxy.before, world.proxy.after = lambda call: None, lambda call: None
    assert process.exitcode == -signal.SIGKILL, (Path(mine.folder) / "stderr.txt").read_text()


def test_status_shows_a_change_and_a_sweep_by_name_puts_it_back(world: World) -> None:
    crash(world, 5, after=True, alone=False)
    shown = json.loads(world.chaosctl("status", "--json"))
    assert [(one["kind"], one["name"], one["change"], one["renewed"]) for one in shown] == [
        ("AuthorizationPolicy", "allow", "removed", True),
        ("AuthorizationPolicy", "deny-all", "made", True),
        ("VirtualService", "inventory", "changed", True),
    ]
    text = world.chaosctl("sweep", "--run", shown[0]["run"])
    assert "put back VirtualService staging/inventory" in text
    assert is_clean(world)
