"""Exact counts from raw counter samples between two moments.

Not ``rate()`` and not ``increase()``: both lose what a series counted before its first sample (prometheus/prometheus#3886,
#10466), and the series of faulted requests are born by the injection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.values.series import Recorded, Series

Source = tuple[str, str]
Sample = tuple[float, float]
_START: Final = float("-inf")
_MISSED: Final = 3
"""Scrapes in a row without a series after which it is gone."""


@dataclass(frozen=True)
class Count:
    """Events of one series.

    Args:
        lower_bound: The counter was reset meanwhile: there were at least this many.
    """

    events: int
    lower_bound: bool = False


class Scrapes(Mapping[Source, Sequence[float]]):
    """When each process was scraped, as far as any series of it tells; put together once it is asked for.

    A process is known by its ``job`` and ``instance``; of one without an instance nothing is known.
    """

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self._recorded = recorded
        self._times: dict[Source, Sequence[float]] | None = None

    def _all(self) -> dict[Source, Sequence[float]]:
        if self._times is None:
            found: dict[Source, set[float]] = {}
            for one in self._recorded:
                for series in one.series:
                    if series.labels.get("instance"):
                        found.setdefault(series.source, set()).update(at for at, _ in series.samples)
            self._times = {source: sorted(times) for source, times in found.items()}
        return self._times

    def __getitem__(self, source: Source) -> Sequence[float]:
        return self._all()[source]

    def __iter__(self) -> Iterator[Source]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def count(
    series: Series, start: float, end: float, *, scrapes: Mapping[Source, Sequence[float]], interval: float
) -> Count:
    """The events of a series strictly inside a window: from its first sample in it to its last one in it.

    A series that was born inside counts from zero, if it is sure that its process had not counted these events before:
    it was scraped in the window without the series, or a whole scrape interval of the window had passed.
    """
    samples = series.samples
    first = bisect_left(samples, start, key=_time)
    last = bisect_right(samples, end, key=_time)
    if first >= last:
        return Count(0)
    born = first == 0 and _born_inside(series.source, samples[0][0], start, scrapes, interval)
    return _risen(samples[first:last], 0.0 if born else samples[first][1])


def count_pair(
    part: Series, whole: Series, start: float, end: float, *, scrapes: Mapping[Source, Sequence[float]], interval: float
) -> tuple[Count, Count]:
    """Two series of one process, of which the first counts some of the events of the second: a bucket and its histogram.

    They are asked for one after the other, and a scrape may come between, so both are cut at samples that both have:
    else all events of that scrape would look as if they were not in the bucket.
    """
    if not part.samples or not whole.samples:
        return Count(0), Count(0)
    if part.samples[0][0] != whole.samples[0][0]:
        start = max(start, part.samples[0][0], whole.samples[0][0])
    end = min(end, part.samples[-1][0], whole.samples[-1][0])
    few = count(part, start, end, scrapes=scrapes, interval=interval)
    return few, count(whole, start, end, scrapes=scrapes, interval=interval)


def is_gone(series: Series, end: float, interval: float) -> bool:
    """Whether a series ended well before a moment: what it counted after its last scrape is not known."""
    return bool(series.samples) and series.samples[-1][0] < end - _MISSED * interval


def _risen(samples: Sequence[Sample], value: float) -> Count:
    """What a counter rose by since a value; what it counted between its last sample and a reset is not known."""
    total, reset = 0.0, False
    for _, next_value in samples:
        if next_value < value:
            reset = True
            value = 0.0
        total += next_value - value
        value = next_value
    return Count(round(total), reset)


def _born_inside(
    source: Source, birth: float, start: float, scrapes: Mapping[Source, Sequence[float]], interval: float
) -> bool:
    if birth > start + interval * 1.5:
        return True
    times = scrapes.get(source, ())
    earlier = bisect_left(times, start)
    return earlier < len(times) and times[earlier] < birth


def _time(sample: Sample) -> float:
    return sample[0]


def last_scrape(recorded: Recorded) -> float:
    """The newest sample of any series of a query; minus infinity without one."""
    return max((series.samples[-1][0] for series in recorded.series if series.samples), default=_START)
