"""The API server's answers go wrong, one call at a time: no leak, the right outcome, never two injections.

`make survive` takes every call with every kind of fault for every strategy; the usual tests take a few of these, others
for each strategy.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from chaos.injection.patching import carries
from chaos.lab.api.resources import VIRTUAL_SERVICES
from tests.conftest import FIGURE
from tests.support.scope import EVERY
from tests.support.waiting import until
from tests.survival.proxy import SPOILS, Call, Spoil
from tests.survival.world import CASES, Strategy, World


def injections(world: World, run: str, since: int) -> int:
    """How often the run's fault came into the mesh: from not being in an object to being in it."""
    present: dict[str, bool] = {}
    count = 0
    for event in world.api.store.since(since):
        if event.resource is not VIRTUAL_SERVICES:
            continue
        name = event.object["metadata"]["name"]
        now = event.type != "DELETED" and carries(event.object, run)
        count += now and not present.get(name, False)
        present[name] = now
    return count


SHARES: Final = 4 if EVERY else 1
"""Tests in which all is taken, so that several workers have something to do."""
_PARTS: Final = (
    "before the fault",
    "during the fault",
    "after the fault",
    "after its fields were given back",
    "at any time",
)
_BESIDE: Final = "POST events"
"""What is written beside the run, and comes sooner or later."""


@dataclass(frozen=True)
class Place:
    """A call by its part of the run, its kind, and which of that kind it is there; how often a run looks around varies.

    Args:
        part: Which in `_PARTS`: they end with the last fault that is written, the last that is taken out, and the first
            that is given back; a created object belongs to nobody else, so there the last one does not come.
    """

    part: int
    what: str
    nth: int
    since_plan: int | None = field(default=None, compare=False)
    """How many of its kind came before it since the plan was made, which ends with a dry run for each target; ``None`` until then."""

    def __str__(self) -> str:
        return f"{self.what} #{self.nth + 1} {_PARTS[self.part]}"


class Places:
    """Tells the place of each call of a run as it comes."""

    def __init__(self, strategy: Strategy) -> None:
        targets, changes = 2 if strategy == "several" else 1, 1 if strategy == "staged" else 0
        self._plans = targets
        self._ends = (targets, 2 * targets + changes, 2 * targets + changes + 1)
        self._writes = 0
        self._seen: Counter[tuple[int, str]] = Counter()
        self._since_plan: Counter[str] | None = None

    def of(self, call: Call) -> Place:
        part = len(_PARTS) - 1 if call.what == _BESIDE else bisect(self._ends, self._writes)
        key = (part, call.what)
        place = Place(*key, self._seen[key], None if self._since_plan is None else self._since_plan[call.what])
        self._seen[key] += 1
        if self._since_plan is not None:
            self._since_plan[call.what] += 1
        elif call.dry:
            self._plans -= 1
            self._since_plan = None if self._plans else Counter()
        if call.writes and not call.dry and "virtualservices" in call.what:
            self._writes += 1
        return place


def chosen(calls: list[Call], strategy: Strategy) -> Iterator[tuple[Place, Call, Spoil]]:
    places = Places(strategy)
    for number, call in enumerate(calls):
        place = places.of(call)
        if place.part == 1 and place.nth > 1:
            continue  # one look around is like the other
        for kind, spoil in enumerate(SPOILS):
            turn = number + kind + CASES.index(strategy)
            if EVERY or (
                turn % 48 == 0
                if call.writes
                else turn % len(SPOILS) == 0 and number % (6 * len(CASES)) == CASES.index(strategy)
            ):
                yield place, call, spoil


@pytest.mark.timeout(1800 if EVERY else 300)
@pytest.mark.parametrize("share", range(SHARES))
def test_one_spoilt_call_never_leaks_and_never_injects_twice(
    world: World, share: int, record_property: Callable[[str, object], None]
) -> None:
    begin = len(world.proxy.calls)
    found = world.run(world.orders())
    assert found["outcome"] == "passed", found
    calls = world.proxy.calls[begin:]
    outcomes: Counter[str] = Counter()
    wrong, missed = [], []
    for place, call, spoil in [*chosen(calls, world.strategy)][share::SHARES]:
        places = Places(world.strategy)
        hit: list[Call] = []

        def spoilt(
            seen: Call, place: Place = place, spoil: Spoil = spoil, places: Places = places, hit: list[Call] = hit
        ) -> Spoil | None:
            if hit or places.of(seen) != place:
                return None
            hit.append(seen)
            return spoil

        world.proxy.before = spoilt
        version = world.api.store.version
        orders = world.orders()
        found = world.run(orders)
        world.proxy.before = lambda call: None
        where = f"{spoil} for {place}"
        if not hit and place.part != 1:
            missed.append(where)
        # A run looks around once more, or once less, than the undisturbed one, as the machine has time.
        assert hit or (place.nth and (place.part == 1 or not call.writes)), f"{where}: it never came"
        until(world.is_clean, f"clean after {where}", within=10)
        assert injections(world, orders.run, version) <= (2 if world.strategy == "several" else 1), where
        outcomes[found["outcome"]] += 1
        right = expected(place, call, spoil) if hit else ("passed",)
        if found["outcome"] not in right:
            wrong.append(f"{where}: {found['outcome']}, not {' or '.join(right)}: {found['reasons']}")
    assert not wrong, "\n".join(wrong)
    assert len(missed) <= 1 + outcomes.total() // 20, f"they never came: {missed}"
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    record_property(
        FIGURE, f"API faults, {world.strategy}: {len(calls)} calls, {sum(outcomes.values())} faults, no leak: {told}"
    )


def expected(place: Place, call: Call, spoil: Spoil) -> tuple[str, ...]:
    """One fault is outlived; but a refusal is believed, where it is no conflict that can be looked into, and nothing is looked at again.

    What a plan reads, and what a run reads while it takes its leases, is read once.
    """
    if spoil != "409" or (call.writes and not call.dry):
        return ("passed",)
    if call.dry:
        return ("refused",)
    if place.since_plan is None:
        return ("error",)
    once = {"GET version", "GET deployments", "GET namespaces"}
    while_locking = place.part == 0 and (call.what == "GET leases" or (call.what in once and not place.since_plan))
    return ("inconclusive",) if while_locking else ("passed",)
