"""Processes that restart, are not scraped for a while or are told late and twice, against what really happened.

``HISTORIES`` in the environment says how many histories each test draws: 200 by default.
"""

from __future__ import annotations

import os
import random
from bisect import bisect_right
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.expectations.counting import Counter, Scrapes, count, count_pair
from chaos.expectations.evidence import Evidence, Window
from chaos.values.questions import Requests
from chaos.values.series import Series

_LONG = 60.0
_HISTORIES = int(os.environ.get("HISTORIES", "200"))


class Process:
    """Counts events under two labels, is scraped at its own times, may restart."""

    def __init__(self, name: str, chance: random.Random, interval: float, rate: float, *, restarts: bool) -> None:
        self.name = name
        phase = chance.random() * interval
        self.scrapes = [phase + n * interval for n in range(int(_LONG / interval))]
        self.births = [0.0, *([chance.uniform(5, 55)] if restarts and chance.random() < 0.5 else [])]
        self.events: list[tuple[float, bool]] = []
        at = chance.uniform(0, 40)
        while (at := at + chance.expovariate(rate)) < _LONG:
            self.events.append((at, chance.random() < 0.7))

    def series(self, *, good: bool | None, until: float = _LONG, always: bool = False) -> Series:
        """As Prometheus has it; a counter that has counted nothing yet is not there, a histogram's bucket is."""
        samples = []
        for scrape in self.scrapes[: bisect_right(self.scrapes, until)]:
            born = max(birth for birth in self.births if birth <= scrape)
            inside = [fine for at, fine in self.events if born <= at <= scrape]
            if inside if always else any(good is None or fine is good for fine in inside):
                samples.append((scrape, float(sum(good is None or fine is good for fine in inside))))
        labels = {"job": "j", "instance": self.name, "good": str(good)}
        return Series(labels=labels, samples=tuple(samples))

    def happened(self, start: float, end: float, *, good: bool | None = None) -> int:
        return sum(start <= at <= end and (good is None or fine is good) for at, fine in self.events)


def scrapes_of(*counters: Counter) -> Scrapes:
    found = Scrapes()
    for counter in counters:
        found.note(counter.source, counter.times)
    return found


windows = st.tuples(st.floats(0, 60), st.floats(0, 60)).map(sorted)


@settings(max_examples=_HISTORIES)
@given(
    seed=st.integers(0, 10**9),
    interval=st.sampled_from([0.5, 1.0, 5.0]),
    rate=st.sampled_from([0.3, 3.0]),
    window=windows,
    restarts=st.booleans(),
)
def test_never_an_event_that_did_not_happen(
    seed: int, interval: float, rate: float, window: list[float], restarts: bool
) -> None:
    chance, (start, end) = random.Random(seed), window
    processes = [Process(f"p{n}", chance, interval, rate, restarts=restarts) for n in range(3)]
    every = tuple(Counter.of(process.series(good=good)) for process in processes for good in (True, False))
    scrapes = scrapes_of(*every)
    for index, process in enumerate(processes):
        for good, series in zip((True, False), every[2 * index : 2 * index + 2], strict=True):
            found = count(series, start, end, scrapes=scrapes, interval=interval)
            assert found.events <= process.happened(start, end, good=good)
            if len(process.births) == 1:
                assert not found.lower_bound
                sure = process.happened(start + interval * 2.5, end - interval, good=good)
                assert found.events >= sure, "only what is next to the edges may be missed"


@settings(max_examples=_HISTORIES)
@given(
    seed=st.integers(0, 10**9),
    interval=st.sampled_from([0.5, 1.0, 5.0]),
    window=windows,
    looks=st.tuples(st.floats(0, 60), st.floats(0, 60)),
    restarts=st.booleans(),
)
def test_a_bucket_and_its_histogram_are_cut_alike(
    seed: int, interval: float, window: list[float], looks: tuple[float, float], restarts: bool
) -> None:
    """Whatever each of the two looks has seen last, the counts are of the same stretch of time."""
    chance, (start, end) = random.Random(seed), window
    process = Process("p", chance, interval, 3.0, restarts=restarts)
    bucket = Counter.of(process.series(good=True, until=looks[0], always=True))
    whole = Counter.of(process.series(good=None, until=looks[1], always=True))
    scrapes = scrapes_of(bucket, whole)
    few, every = count_pair(bucket, whole, start, end, scrapes=scrapes, interval=interval)
    assert few.events <= every.events <= process.happened(start, end)
    if len(process.births) == 1:
        slow = process.happened(start, min(end, *looks), good=False)
        assert every.events - few.events <= slow, "a scrape that only one has seen makes no event slow"


@settings(max_examples=_HISTORIES)
@given(
    seed=st.integers(0, 10**9),
    interval=st.sampled_from([0.5, 1.0, 5.0]),
    rate=st.sampled_from([0.3, 3.0]),
    window=windows,
    missed=st.sampled_from([0.0, 0.1, 0.5]),
    lag=st.sampled_from([0.0, 2.0, 7.0]),
    restarts=st.booleans(),
)
def test_gaps_lag_and_samples_that_are_told_twice(
    seed: int, interval: float, rate: float, window: list[float], missed: float, lag: float, restarts: bool
) -> None:
    """What lies between two scrapes of the window is counted once, and nothing from before or after it."""
    chance, (start, end) = random.Random(seed), window
    process = Process("p", chance, interval, rate, restarts=restarts)
    process.scrapes = [at for at in process.scrapes if chance.random() >= missed and at <= _LONG - lag]
    stored = [process.series(good=good) for good in (True, False)]
    counters = [told_in_pieces(series, chance) for series in stored]
    scrapes = scrapes_of(*counters)
    scrapes.note(("j", "p"), process.scrapes)  # by series of other services
    inside = [at for at in process.scrapes if start <= at <= end]
    since = start if any(at < start for at in process.scrapes) else 0.0  # never scraped before: it may be a new one
    for good, counter in zip((True, False), counters, strict=True):
        found = count(counter, start, end, scrapes=scrapes, interval=interval)
        assert found.events <= process.happened(since, end, good=good)
        if len(process.births) == 1 and inside:
            between = process.happened(inside[0], inside[-1], good=good)
            early = process.happened(since, inside[0], good=good) if process.scrapes[0] == inside[0] else 0
            assert between <= found.events <= between + early
            assert not found.lower_bound
        elif not inside:
            assert found.events == 0


def told_in_pieces(series: Series, chance: random.Random) -> Counter:
    """As looks get it: each answer has the samples of the last seconds, most of which were told before, some twice."""
    counter = Counter(series.labels)
    told = 0
    while told < len(series.samples):
        told = min(len(series.samples), told + chance.randint(0, 5))
        piece = series.samples[max(0, told - chance.randint(5, 9)) : told]
        counter.add(sample for sample in piece for _ in range(chance.choice((1, 1, 2))))
    return counter


def test_of_a_process_without_an_instance_nothing_is_concluded() -> None:
    """Its scrapes may be those of many processes, of which one was seen without the series."""
    nameless = Series(labels={"job": "j", "series": "a"}, samples=((10.1, 5.0), (11.1, 6.0)))
    newborn = Series(labels={"job": "j", "series": "b"}, samples=((10.5, 7.0), (11.5, 9.0)))
    born = Counter.of(newborn)
    assert count(born, 10.0, 12.0, scrapes=scrapes_of(Counter.of(nameless), born), interval=1.0).events == 2


@settings(max_examples=_HISTORIES)
@given(
    seed=st.integers(0, 10**9),
    interval=st.sampled_from([0.5, 1.0, 5.0]),
    cuts=st.lists(st.floats(10, 60), min_size=3, max_size=6).map(sorted),
)
def test_nothing_falls_between_windows_that_reach_back(seed: int, interval: float, cuts: list[float]) -> None:
    """What is counted in windows that follow each other is what is counted in all of their time, and nothing that came after it."""
    chance, asked = random.Random(seed), Requests(host="orders")
    processes = [Process(f"p{n}", chance, interval, 3.0, restarts=False) for n in range(3)]
    for process in processes:  # whose series are there from the beginning: when it was born is another matter
        process.events[:0] = [(0.0, True), (0.0, False)]
    evidence = Evidence(scrape_interval=interval, histogram_lag=5.0)
    evidence.add(asked, [process.series(good=good) for process in processes for good in (True, False)])

    def events(start: float, end: float) -> int:
        return sum(found.events for _, found in evidence.reaching_back().counted(asked, Window(start, end)))

    assert sum(events(start, end) for start, end in pairwise(cuts)) == events(cuts[0], cuts[-1])
    happened = sum(process.happened(cuts[0] - interval, cuts[-1]) for process in processes)
    assert (
        sum(process.happened(cuts[0], cuts[-1] - interval) for process in processes)
        <= events(cuts[0], cuts[-1])
        <= happened
    )
