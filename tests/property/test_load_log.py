"""Sums and waits of windows, asked for in any order while the load goes on, against looking at every second anew."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.expectations.load_log import LoadLog
from chaos.values.load import LoadCell, LoadSecond


def second(at: int, chance: random.Random) -> LoadSecond:
    latencies = {float(chance.choice([5, 20, 900, 4000])): chance.randint(0, 30) for _ in range(3)}
    cells = tuple(LoadCell(request=name, status=200, latencies=latencies) for name in "ab")
    return LoadSecond(at=at + 0.25, intended=90, sent=chance.randint(0, 120), cells=cells)


def inside(seconds: list[LoadSecond], start: float, end: float) -> list[LoadSecond]:
    return [one for one in seconds if one.at >= start and one.at + 1 <= end]


def longest(seconds: list[LoadSecond], rest: float) -> float:
    took = sorted(t for one in seconds for cell in one.cells for t, n in cell.latencies.items() for _ in range(n))
    return took[-1 - int(rest * len(took))] / 1000 if took else 0.0


@settings(max_examples=100)
@given(seed=st.integers(0, 10**9))
def test_any_window_is_counted_as_from_scratch(seed: int) -> None:
    chance = random.Random(seed)
    log, known, at = LoadLog(), [], 0
    for _ in range(8):
        fresh = [second(at + n, chance) for n in range(chance.randint(0, 12)) if chance.random() > 0.1]
        at += 12
        log.add(fresh)
        known += fresh
        for _ in range(4):
            start, end = sorted((chance.choice([0.0, 5.25, chance.uniform(0, at)]), chance.uniform(0, at + 2)))
            found = inside(known, start, end)
            assert list(log.between(start, end)) == found
            assert log.total("sent", lambda one: (one.sent, one.intended), start, end) == (
                sum(one.sent for one in found),
                sum(one.intended for one in found),
            )
            begun = max((one.at for one in known if one.at <= start), default=start)
            assert list(log.reaching_back().between(start, end)) == inside(known, begun, end)
            rest = chance.choice([0.0, 0.01, 0.25])
            assert log.longest_wait(start, end, rest=rest) == longest(found, rest)
            anew = LoadLog()
            anew.add(known)
            assert log.overdue(start, end, rest=rest) == anew.overdue(start, end, rest=rest)


def test_no_load_waits_for_nothing() -> None:
    log = LoadLog()
    assert (log.longest_wait(0, 10, rest=0.0), log.overdue(0, 10), list(log.between(0, 10))) == (0.0, 0, [])
