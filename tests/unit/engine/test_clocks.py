"""How far the clock of the metrics is ahead of ours, and time in the shop in memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from chaos.engine.clock import offset_of
from chaos.errors import MetricsError
from chaos.ports import Metrics
from chaos.testing.clock import VirtualClock
from chaos.testing.shop import Shop
from chaos.values.questions import Requests

AHEAD = 7.0


class Answering:
    """Metrics whose answers take their time before they look at their clock, after it, or both; and then fail."""

    def __init__(self, clock: VirtualClock, *takes: tuple[float, float]) -> None:
        self._clock, self._takes, self.asked = clock, iter(takes), 0

    def now(self) -> float:
        self.asked += 1
        if (takes := next(self._takes, None)) is None:
            raise MetricsError("gone")
        before, after = takes
        self._clock.sleep(before)
        said = self._clock.now() + AHEAD
        self._clock.sleep(after)
        return said


@pytest.mark.parametrize(
    ("takes", "asked", "off"),
    [
        ([(0.0, 0.02)], 1, 0.01),
        ([(4.0, 0.0), (0.05, 0.0)], 2, 0.025),
        ([(0.0, 0.3), (9.0, 0.0), (2.0, 0.0)], 3, 0.15),
        ([(0.0, 2.0), (0.5, 0.5), (4.0, 0.0)], 3, 0.0),
    ],
)
def test_the_fastest_answer_counts(takes: list[tuple[float, float]], asked: int, off: float) -> None:
    clock = VirtualClock(1_000_000.0)
    metrics = Answering(clock, *takes)
    found = offset_of(cast("Metrics", metrics), clock)
    assert abs(found - AHEAD) == pytest.approx(off, abs=1e-6), "half of its time at most"
    assert metrics.asked == asked


def test_one_answer_is_enough() -> None:
    clock = VirtualClock(1_000_000.0)
    assert offset_of(cast("Metrics", Answering(clock, (1.0, 1.0))), clock) == pytest.approx(AHEAD)
    with pytest.raises(MetricsError):
        offset_of(cast("Metrics", Answering(clock)), clock)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_a_second_of_the_shop_happens_once_however_many_ask() -> None:
    shop = Shop()
    shop.traffic.rate = 10.0
    began = shop.clock.now()
    shop.clock.sleep(200)
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        shop.metrics.now()

    threads = [threading.Thread(target=ask) for _ in range(together.parties)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    orders = Requests(host="order-svc.staging.svc.cluster.local")
    (found,) = shop.metrics.samples(orders, seconds=250, at=began + 200)
    assert [value for _, value in found.samples] == [10.0 * second for second in range(1, len(found.samples) + 1)]
    assert sum(second.sent for second in shop.load.poll()) == found.samples[-1][1]
