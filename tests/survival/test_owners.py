"""A run on somebody's own object whose second write, that gives the fields back, fails or comes too late."""

from __future__ import annotations

import http.client
import json

import pytest

from chaos.model.marks import UNDO
from tests.support.waiting import until
from tests.survival.proxy import Call, Spoil
from tests.survival.world import World

pytestmark = pytest.mark.parametrize("world", ["patch"], indirect=True)
WRITE = "PUT virtualservices"
UNDOING, GIVING_BACK = 2, 3
"""The writes of the object after that of the fault."""


def forget_record(world: World) -> None:
    connection = http.client.HTTPConnection(*world.api.address, timeout=10)
    connection.request(
        "PATCH",
        "/apis/networking.istio.io/v1/namespaces/staging/virtualservices/inventory?fieldManager=somebody",
        json.dumps({"metadata": {"annotations": {UNDO: None}}}),
        {"Content-Type": "application/merge-patch+json"},
    )
    assert connection.getresponse().status == http.client.OK
    connection.close()


@pytest.mark.timeout(120)
def test_that_the_owners_are_lost_is_an_event_of_the_run(world: World) -> None:
    writes = 0

    def after(call: Call) -> None:
        nonlocal writes
        writes += call.what == WRITE
        if call.what == WRITE and writes == UNDOING:
            forget_record(world)

    world.proxy.after = after
    orders = world.orders()
    done = world.run(orders)
    world.end_watchdog(orders)
    assert done["outcome"] == "passed", done
    told = [event for event in done["events"] if event.startswith("ownership: ")]
    assert len(told) == 1
    assert "nobody owns it now" in told[0]
    assert not world.change_conflicts()


@pytest.mark.timeout(120)
def test_what_the_run_can_not_give_back_is_residue_and_the_watchdog_goes_on(world: World) -> None:
    writes = 0

    def before(call: Call) -> Spoil | None:
        nonlocal writes
        writes += call.what == WRITE
        return "503" if call.what == WRITE and writes >= GIVING_BACK else None

    world.proxy.before = before
    orders = world.orders()
    done = world.run(orders)
    assert writes > GIVING_BACK, "it was tried again"
    assert "restored" in done["marks"], "the fault's removal waited for nothing"
    assert any("the field ownership of VirtualService staging/inventory" in one for one in done["reasons"])
    assert any("could not be given back to their owners yet" in event for event in done["events"])
    until(world.is_clean, "given back by the watchdog, and the lease gone")
    world.end_watchdog(orders)
    assert not world.change_conflicts()
