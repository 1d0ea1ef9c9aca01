"""What every ``Load`` has to do: real Locust processes, and the load of the shop in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from chaos.adapters.locust_load import LocustLoad
from chaos.model.experiment import Load as Spec
from chaos.model.experiment import Request
from chaos.ports import Load
from chaos.testing.shop import Shop
from chaos.values.load import LoadSecond
from tests.contract.load_server import Server
from tests.support.waiting import until

RATE = 40


@dataclass
class Generator:
    """A load, where it is sent to, and how some whole seconds of it are had."""

    load: Load
    entry: str
    some: Callable[[], list[LoadSecond]]


def locust() -> Iterator[Generator]:
    load = LocustLoad()

    def some() -> list[LoadSecond]:
        found: list[LoadSecond] = []

        def more() -> bool:
            found.extend(load.poll())
            return len(found) > 2

        until(more, "seconds of load")
        return found

    with Server() as server:
        yield Generator(load, server.url, some)
        load.stop()


def in_memory() -> Iterator[Generator]:
    shop = Shop()

    def some() -> list[LoadSecond]:
        shop.clock.sleep(3)
        return list(shop.load.poll())

    yield Generator(shop.load, "http://shop.memory", some)


@pytest.fixture(params=[locust, in_memory])
def generator(request: pytest.FixtureRequest) -> Iterator[Generator]:
    yield from request.param()


def test_it_sends_at_its_rate_from_start_to_stop(generator: Generator) -> None:
    load = generator.load
    load.stop()  # safe before it was begun
    requests = [Request.get("/ok", weight=3), Request.get("/orders", name="orders")]
    load.prepare(Spec(rate=RATE, requests=requests), entry=generator.entry, headers={}, base=Path())
    assert list(load.poll()) == [], "it waits for its start"
    load.start()
    found = [*generator.some(), *generator.some()]
    assert load.failure() is None
    assert all(second.at - first.at == pytest.approx(1) for first, second in pairwise(found))
    whole = found[1:-1]
    assert {second.intended for second in whole} == {RATE}
    assert sum(second.sent for second in whole) == pytest.approx(RATE * len(whole), rel=0.25)
    answers = [cell for second in whole for cell in second.cells]
    assert {cell.status for cell in answers} == {200}
    assert sum(cell.count for cell in answers) == pytest.approx(RATE * len(whole), rel=0.25)
    by_name = {name: sum(cell.count for cell in answers if cell.request == name) for name in ("GET /ok", "orders")}
    assert sum(by_name.values()) == sum(cell.count for cell in answers), "each under its own name"
    assert by_name["GET /ok"] > by_name["orders"] > 0, "by their weights"
    assert {cell.error for cell in answers} == {""}
    assert all(took >= 0 for cell in answers for took in cell.latencies)
    for _ in range(2):
        load.stop()
    assert load.failure() is None, "it was stopped"
    assert isinstance(load.log(), str)
