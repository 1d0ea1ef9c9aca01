"""The counted evidence of a run while it grows; a stored history gives the same once all of it is added."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.expectations.counting import Count, Counter, Scrapes, count, count_pair
from chaos.expectations.load_log import LoadLog
from chaos.values.answers import Tally
from chaos.values.questions import Durations, Question
from chaos.values.series import Series

_SETTLED: Final = 3
"""Scrape intervals after which a further sample of a moment is not expected; where one comes, all is summed up again."""


@dataclass(frozen=True)
class Window:
    """From when to when, on the clock of the metrics."""

    start: float
    end: float


class Evidence:
    """Samples by question and the load's seconds, so kept that a window's counts cost the same however long the run is.

    Args:
        scrape_interval: Seconds.
        histogram_lag: Seconds by which proxies' histograms may trail their counters.
    """

    def __init__(self, *, scrape_interval: float, histogram_lag: float) -> None:
        self.scrape_interval = scrape_interval
        self.histogram_lag = histogram_lag
        self.load = LoadLog()
        self.scrapes = Scrapes()
        self._counters: dict[Question, dict[frozenset[tuple[str, str]], Counter]] = {}
        self._newest = self._past = float("-inf")
        self._courses: dict[tuple[Hashable, float], list[Tally]] = {}

    def add(self, question: Question, found: Iterable[Series]) -> None:
        """Takes an answer's samples; one that is there already is not taken twice."""
        counters = self._counters.setdefault(question, {})
        for series in found:
            key = frozenset(series.labels.items())
            counter = counters.get(key)
            if counter is None:
                counter = counters[key] = Counter(series.labels)
            new = counter.add(series.samples)
            self._newest = max([self._newest, *new[-1:]])
            if new and new[0] <= self._past:
                self._courses.clear()  # it came late: what was summed up lacks it
            self.scrapes.note(counter.source, new)

    def answered(self) -> Iterator[tuple[Question, Sequence[Counter]]]:
        """Every question that was answered, with its series."""
        return ((question, tuple(counters.values())) for question, counters in self._counters.items())

    def knows(self, question: Question) -> bool:
        """Whether a question was ever answered, be it by nothing."""
        return question in self._counters

    def counters(self, question: Question) -> Iterable[Counter]:
        """The series of a question; none where it was never answered."""
        return self._counters.get(question, {}).values()

    def last_scrape(self, question: Question) -> float:
        """The newest sample of any series of a question; minus infinity without one."""
        return max((one.times[-1] for one in self.counters(question) if one.times), default=float("-inf"))

    def counted(self, question: Question, window: Window) -> Iterator[tuple[Counter, Count]]:
        """The events of each series of a question in a window.

        A series that vanished during the window gives a lower bound.
        """
        until = min(window.end, self.last_scrape(question))
        for one in self.counters(question):
            found = count(one, window.start, window.end, scrapes=self.scrapes, interval=self.scrape_interval)
            yield one, self._bounded(one, found, until)

    def timed(self, host: str, bound: float, window: Window) -> Iterator[tuple[Counter, int, Count]]:
        """Each histogram towards a host with its events in a window: how many of them within a bound in milliseconds, and all.

        Histograms trail their counters, so the window starts later. One whose bucket was not recorded can't tell what
        was in time.
        """
        whole = Durations(host=host)
        buckets: Mapping[frozenset[tuple[str, str]], Counter] = {
            bucket.histogram: bucket for bucket in self.counters(Durations(host=host, within=bound))
        }
        until = min(window.end, self.last_scrape(whole))
        start = window.start + self.histogram_lag
        for one in self.counters(whole):
            bucket = buckets.get(one.histogram)
            if bucket is not None:
                within, every = count_pair(
                    bucket, one, start, window.end, scrapes=self.scrapes, interval=self.scrape_interval
                )
                yield one, min(within.events, every.events), self._bounded(one, every, until)

    def batches(
        self, tally: Callable[[Window], Tally], window: Window, seconds: float, *, key: Hashable = None
    ) -> Sequence[tuple[int, int]]:
        """Good and all events of a window, cut into batches of so many seconds; those without an event are left out.

        With a ``key``, which stands for ``tally``, sums of counted samples up to moments that are long past are kept.
        """
        past = min(window.end, self._newest) - _SETTLED * self.scrape_interval
        self._past = max(self._past, past)
        known = self._courses.setdefault((key, window.start), [Tally()]) if key is not None else [Tally()]
        whole = max(1, int((window.end - window.start) / seconds))
        course = known[:whole]
        for number in range(len(course), whole):
            at = window.start + number * seconds
            course.append(tally(Window(window.start, at)))
            if at <= past and number == len(known):
                known.append(course[-1])
        course.append(tally(window))
        steps = ((b.good - a.good, b.total - a.total) for a, b in pairwise(course))
        return [(min(max(0, good), total), total) for good, total in steps if total > 0]

    def _bounded(self, one: Counter, found: Count, until: float) -> Count:
        missing = found.events > 0 and one.is_gone(until, self.scrape_interval)
        return Count(found.events, lower_bound=True) if missing else found
