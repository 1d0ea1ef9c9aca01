"""Counts from scrapes against the truth: never an event that was not in the window, and few missing at its edges."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.expectations.counting import Counter, count
from chaos.values.series import Series

LABELS = {"job": "j", "instance": "i"}


@settings(max_examples=500)
@given(
    seed=st.integers(0, 10**9),
    interval=st.sampled_from([0.5, 1.0, 5.0]),
    rate=st.sampled_from([0.2, 2.0, 20.0]),
    window=st.tuples(st.floats(0, 40), st.floats(0, 40)).map(sorted),
    restarts=st.lists(st.floats(0, 60), max_size=2),
)
def test_counts_agree_with_what_happened(
    seed: int, interval: float, rate: float, window: list[float], restarts: list[float]
) -> None:
    chance = random.Random(seed)
    start, end = window
    events, at = [], chance.uniform(0, 20)
    while (at := at + chance.expovariate(rate)) < 60:
        events.append(at)
    scrapes = [chance.random() * interval + n * interval for n in range(int(60 / interval))]
    samples = []
    for scrape in sorted(scrapes):
        born = max((r for r in restarts if r <= scrape), default=0.0)
        value = sum(born <= event <= scrape for event in events)
        if value:  # a counter that has counted nothing is not there
            samples.append((scrape, float(value)))
    one = Series(labels=LABELS, samples=tuple(samples))
    found = count(Counter.of(one), start, end, scrapes={("j", "i"): sorted(scrapes)}, interval=interval)
    inside = [event for event in events if start <= event <= end]
    assert found.events <= len(inside)
    if not restarts:
        assert not found.lower_bound
        seen = [scrape for scrape in sorted(scrapes) if start <= scrape <= end]
        if seen:
            sure = [event for event in inside if seen[0] < event <= seen[-1]]
            assert found.events >= len(sure)
