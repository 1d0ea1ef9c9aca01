"""Exact counts from raw counter samples between two moments.

Not ``rate()`` and not ``increase()``: both lose what a series counted before its first sample (prometheus/prometheus#3886,
#10466), and the series of faulted requests are born by the injection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from statistics import median_low
from typing import Any, Final, NamedTuple, TypeVar

from chaos.values.series import Series

Source = tuple[str, str]
Read = TypeVar("Read")
_MISSED: Final = 3
"""Scrapes in a row without a series after which it is gone."""


class Count(NamedTuple):
    """Events of one series.

    Args:
        lower_bound: The counter was reset meanwhile: there were at least this many.
    """

    events: int
    lower_bound: bool = False


def source_of(labels: Mapping[str, str]) -> Source:
    """The scraped process that a series comes from: ``(job, instance)``, also if another server federated it."""
    return (
        labels.get("exported_job") or labels.get("job", ""),
        labels.get("exported_instance") or labels.get("instance", ""),
    )


class Counter:
    """One series while it grows, and by how much it had risen up to each sample: any window costs the same to count."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self._read: dict[Callable[[Mapping[str, str]], Any], Any] = {}
        self.times: list[float] = []
        self.values: list[float] = []
        self.changes: list[int] = []
        """Places of the samples that differ from the one before."""
        self._risen: list[float] = []
        self._resets: list[int] = []

    @classmethod
    def of(cls, series: Series) -> Counter:
        """The counter of a stored series."""
        found = cls(series.labels)
        found.add(series.samples)
        return found

    def add(self, samples: Iterable[tuple[float, float]]) -> Sequence[float]:
        """Takes the samples that are newer than those it has; the times of these."""
        known = len(self.times)
        newest = self.times[-1] if known else float("-inf")
        value = self.values[-1] if known else 0.0
        risen, resets = (self._risen[-1], self._resets[-1]) if known else (0.0, 0)
        for at, next_value in samples:
            if at <= newest:
                continue
            if self.times and next_value != value:
                self.changes.append(len(self.times))
                # What it counted between its last sample and a reset is not known.
                resets += next_value < value
                risen += next_value - (value if next_value > value else 0.0)
            value = next_value
            self.times.append(at)
            self.values.append(value)
            self._risen.append(risen)
            self._resets.append(resets)
        return self.times[known:]

    def read(self, what: Callable[[Mapping[str, str]], Read]) -> Read:
        """What its labels say, read once; ``what`` goes by nothing else, and is the same each time."""
        if what not in self._read:
            self._read[what] = what(self.labels)
        found: Read = self._read[what]
        return found

    @cached_property
    def source(self) -> Source:
        """The scraped process it comes from."""
        return source_of(self.labels)

    @cached_property
    def histogram(self) -> frozenset[tuple[str, str]]:
        """What a histogram and its buckets have in common."""
        return frozenset((key, value) for key, value in self.labels.items() if key not in ("le", "__name__"))

    def inside(self, start: float, end: float) -> slice:
        """The places of its samples between two moments."""
        return slice(bisect_left(self.times, start), bisect_right(self.times, end))

    def newest(self, until: float) -> float | None:
        """The time of its last sample up to a moment."""
        place = bisect_right(self.times, until)
        return self.times[place - 1] if place else None

    def risen(self, first: int, last: int) -> Count:
        """What it rose by from one sample to another."""
        rise = self._risen[last] - self._risen[first]
        return Count(round(rise), self._resets[last] > self._resets[first])

    def is_gone(self, end: float, interval: float) -> bool:
        """Whether it ended well before a moment: what it counted after its last scrape is not known."""
        return bool(self.times) and self.times[-1] < end - _MISSED * interval


_LATELY: Final = 20
"""Scrapes by which the interval of a process is known."""


class Scrapes(dict[Source, list[float]]):
    """When each process was scraped, as far as any series of it tells.

    A process is known by its ``job`` and ``instance``; of one without an instance nothing is known.
    """

    def interval(self, sources: Iterable[Source]) -> float | None:
        """The longest usual time between two scrapes of some processes; ``None`` as long as none was scraped three times."""
        lately = [self.get(source, ())[-_LATELY:] for source in sources]
        usual = [median_low(after - before for before, after in pairwise(times)) for times in lately if len(times) > 2]
        return max(usual, default=None)

    def note(self, source: Source, times: Iterable[float]) -> None:
        """A process was scraped at these times."""
        if not source[1]:
            return
        known = self.setdefault(source, [])
        for at in times:
            place = bisect_left(known, at)
            if place == len(known) or known[place] != at:
                insort(known, at)


def count(
    counter: Counter, start: float, end: float, *, scrapes: Mapping[Source, Sequence[float]], interval: float
) -> Count:
    """The events of a series strictly inside a window: from its first sample in it to its last one in it.

    A series that was born inside counts from zero, if it is sure that its process had not counted these events before:
    it was scraped in the window without the series, or it was never scraped before, and a whole scrape interval of the window
    had passed.
    """
    places = counter.inside(start, end)
    first = places.start
    if first >= places.stop:
        return Count(0)
    found = counter.risen(first, places.stop - 1)
    if first or not _born_inside(counter, start, scrapes, interval):
        return found
    return Count(found.events + round(counter.values[0]), found.lower_bound)


def count_pair(
    part: Counter,
    whole: Counter,
    start: float,
    end: float,
    *,
    scrapes: Mapping[Source, Sequence[float]],
    interval: float,
) -> tuple[Count, Count]:
    """Two series of one process, of which the first counts some of the events of the second: a bucket and its histogram.

    They are asked for one after the other, and a scrape may come between, so both are cut at samples that both have:
    else all events of that scrape would look as if they were not in the bucket.
    """
    ends = part.newest(end), whole.newest(end)
    if ends[0] is None or ends[1] is None:
        return Count(0), Count(0)
    if part.times[0] != whole.times[0]:
        start = max(start, part.times[0], whole.times[0])
    end = min(ends[0], ends[1])
    few = count(part, start, end, scrapes=scrapes, interval=interval)
    return few, count(whole, start, end, scrapes=scrapes, interval=interval)


def _born_inside(counter: Counter, start: float, scrapes: Mapping[Source, Sequence[float]], interval: float) -> bool:
    birth = counter.times[0]
    times = scrapes.get(counter.source, ())
    earlier = bisect_left(times, start)
    if earlier < len(times) and times[earlier] < birth:
        return True
    if earlier:  # it was not scraped for a while, in which it may have counted on both sides of the start
        return False
    return birth > start + interval * 1.5
