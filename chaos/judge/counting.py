"""Exact counts from raw counter samples between two moments.

Not ``rate()`` and not ``increase()``: both lose what a series counted before its first sample (prometheus/prometheus#3886,
#10466), and the series of faulted requests are born by the injection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.model.history import Recorded, Series

Source = tuple[str, str]
_START: Final = float("-inf")


@dataclass(frozen=True)
class Count:
    """Events of one series.

    Args:
        lower_bound: The counter was reset meanwhile: there were at least this many.
    """

    events: int
    lower_bound: bool = False


def scrapes_of(recorded: Sequence[Recorded]) -> dict[Source, list[float]]:
    """When each process was scraped, as far as any series of it tells."""
    found: dict[Source, set[float]] = {}
    for one in recorded:
        for series in one.series:
            found.setdefault(series.source, set()).update(at for at, _ in series.samples)
    return {source: sorted(times) for source, times in found.items()}


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
    born = first == 0 and _born_inside(samples[0][0], start, scrapes.get(series.source, ()), interval)
    value = 0.0 if born else samples[first][1]
    total, reset = 0.0, False
    for _, next_value in samples[first:last]:
        if next_value < value:
            reset = True
            value = 0.0
        total += next_value - value
        value = next_value
    return Count(round(total), reset)


def _born_inside(birth: float, start: float, scrapes: Sequence[float], interval: float) -> bool:
    earlier = bisect_left(scrapes, start)
    scraped_without = earlier < len(scrapes) and scrapes[earlier] < birth
    return scraped_without or birth > start + interval * 1.5


def _time(sample: tuple[float, float]) -> float:
    return sample[0]


def last_sample(series: Series) -> float:
    """When a series was last seen; minus infinity where it never was."""
    return series.samples[-1][0] if series.samples else _START
