"""The counted evidence of a run while it grows; a stored history gives the same once all of it is added."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.expectations.copies import Copies
from chaos.expectations.counting import Count, Counter, Scrapes, count, count_pair
from chaos.expectations.load_log import LoadLog
from chaos.values.answers import Tally
from chaos.values.led import Led
from chaos.values.questions import Durations, Question, Requests, Side
from chaos.values.series import Series

_SETTLED: Final = 3
"""Scrape intervals after which a further sample of a moment is not expected; where one comes, all is summed up again."""


@dataclass(frozen=True)
class Window:
    """From when to when, on the clock of the metrics."""

    start: float
    end: float


class _Courses(dict[tuple[Hashable, Hashable, float], list[Tally]]):
    """Sums of events from a moment on up to each of a row of later ones."""

    def __init__(self) -> None:
        super().__init__()
        self._newest = self._past = float("-inf")

    def note(self, new: Sequence[float]) -> None:
        """There are samples of these times. If they came late, what was summed up lacks them."""
        if new:
            self._newest = max(self._newest, new[-1])
            if new[0] <= self._past:
                self.clear()

    def until(self, end: float, *, less: float) -> float:
        """Up to when sums may be kept: so many seconds less than to the newest sample, or to a moment before it."""
        until = min(end, self._newest) - less
        self._past = max(self._past, until)
        return until


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
        self.copies = Copies(self.scrapes)
        self._counters: dict[Question, dict[frozenset[tuple[str, str]], Counter]] = {}
        self._led: dict[str, list[Led]] = {}
        self._parts: dict[Question, Sequence[tuple[Question, float]]] = {}
        self._courses = _Courses()
        self._part: Hashable = None
        self._counts: Callable[[Mapping[str, str]], bool] | None = None
        self._reaches_back = False

    def only(self, counts: Callable[[Mapping[str, str]], bool], *, part: Hashable = None) -> Evidence:
        """The same evidence, which goes on growing, of those series alone whose labels ``counts`` takes.

        The requests of one caller, for instance, or those that one replica got; of a part of the evidence, a part of that.
        ``part`` stands for ``counts``, where one expectation looks at several parts.
        """
        found, before = copy(self), self._counts
        found._counts = counts if before is None else lambda labels: before(labels) and counts(labels)
        found._part = self._part if part is None else part
        return found

    def reaching_back(self) -> Evidence:
        """The same evidence, in which all that is counted begins with the last scrape, or second of load, before a window's start.

        So nothing at its start is left out. Histograms are taken as they are, too, although they trail their counters.
        """
        found = copy(self)
        found._reaches_back, found._part = True, ("reaching back", self._part)
        found.load = self.load.reaching_back()
        return found

    def rescale(self, scrape_interval: float) -> None:
        """The scrape interval turned out to be another one; what was summed up by the old one is forgotten."""
        self.scrape_interval = scrape_interval
        self._courses.clear()

    def lead(self, found: Iterable[Led]) -> None:
        """From then on, requests to a host that are counted at another one count with those that are counted at itself."""
        for one in found:
            known = self._led.setdefault(one.host, [Led(host=one.host, destination=one.host)])
            if all((one.destination, one.side) != (other.destination, other.side) for other in known):
                known.append(one)
        self._parts.clear()
        self._courses.clear()

    def destinations(self, host: str) -> Sequence[str]:
        """The hosts at which requests to a host are counted, itself first."""
        return tuple(one.destination for one in self._led.get(host, ()) if one.side is None) or (host,)

    def goes_by_other_names(self, host: str) -> bool:
        """Whether the host's pods may count its requests under another name, with those that were sent to them by that name."""
        return any(one.side is not None for one in self._led.get(host, ()))

    def parts(self, question: Question) -> Sequence[tuple[Question, float]]:
        """What has to be asked for a question: itself of each destination of its host, with the moment from which that counts."""
        if not isinstance(question, Requests | Durations) or question.host not in self._led:
            return ((question, float("-inf")),)
        if question not in self._parts:
            self._parts[question] = tuple(
                (
                    question.model_copy(update={"host": one.destination}),
                    float("-inf") if one.since is None else one.since,
                )
                for one in self._led[question.host]
                if one.side in (None, question.side)
            )
        return self._parts[question]

    def add(self, question: Question, found: Iterable[Series]) -> None:
        """Takes an answer's samples; one that is there already is not taken twice, nor is a copy of a series."""
        counters = self._counters.setdefault(question, {})
        for key, series in self.copies.without(found, counters):
            counter = counters.get(key)
            if counter is None:
                counter = counters[key] = Counter(series.labels)
            new = counter.add(series.samples)
            self._courses.note(new)
            self.scrapes.note(counter.source, new)

    def answered(self) -> Iterator[tuple[Question, Sequence[Counter]]]:
        """Every question that was answered, with its series."""
        return ((question, tuple(counters.values())) for question, counters in self._counters.items())

    def knows(self, question: Question) -> bool:
        """Whether a question was ever answered, be it by nothing."""
        return question in self._counters

    def counters(self, question: Question) -> Sequence[Counter]:
        """The series of a question, of all destinations of its host; none where it was never answered."""
        return [one for one, _ in self._since(question)]

    def answers(self, question: Question) -> Iterable[Counter]:
        """The series that were answered to a question as it was asked, at its own host."""
        return self._counters.get(question, {}).values()

    def _since(self, question: Question) -> Iterator[tuple[Counter, float]]:
        """The series of a question, each with the moment from which it counts."""
        for part, since in self.parts(question):
            for one in self._counters.get(part, {}).values():
                if self._counts is None or self._counts(one.labels):
                    yield one, since

    def last_scrape(self, question: Question) -> float:
        """The newest sample of any series of a question; minus infinity without one."""
        every = (one for part, _ in self.parts(question) for one in self._counters.get(part, {}).values())
        return max((one.times[-1] for one in every if one.times), default=float("-inf"))

    def counted(self, question: Question, window: Window) -> Iterator[tuple[Counter, Count]]:
        """The events of each series of a question in a window.

        A series that vanished during the window gives a lower bound.
        """
        until = min(window.end, self.last_scrape(question))
        for one, since in self._since(question):
            start = max(self._start(one, window), since)
            found = count(one, start, window.end, scrapes=self.scrapes, interval=self.scrape_interval)
            yield one, self._bounded(one, found, until)

    def counted_around(self, question: Question, window: Window) -> Iterator[tuple[Counter, Count]]:
        """The events of each series from the last scrape of its process before a window to the first one after it.

        So all events of the window are among them, where the process was scraped on both sides of it.
        """
        for one, since in self._since(question):
            times = self.scrapes.get(one.source, one.times)
            before, after = bisect_right(times, window.start) - 1, bisect_left(times, window.end)
            start = times[before] if before >= 0 else window.start
            end = times[after] if after < len(times) else window.end
            found = count(one, max(start, since), end, scrapes=self.scrapes, interval=self.scrape_interval)
            yield one, self._bounded(one, found, end)

    def scraped(self, questions: Iterable[Question], window: Window) -> Window | None:
        """The part of a window that lies between scrapes of all processes that count questions; ``None`` where there is none.

        One that is scraped no more ends it, as one that is scraped for the first time begins it.
        """
        spans = []
        for one in (one for question in questions for one in self.counters(question)):
            times = self.scrapes.get(one.source, one.times)
            begin, end = bisect_left(times, window.start), bisect_right(times, window.end)
            if begin < end:
                spans.append((times[begin], times[end - 1]))
        first, last = max((begin for begin, _ in spans), default=0.0), min((end for _, end in spans), default=0.0)
        return Window(first, last) if first < last else None

    def scraped_until(self, questions: Iterable[Question], moment: float) -> float:
        """The last scrape up to a moment of any process that counts questions; the moment itself where none does."""
        scrapes = (self.scrapes.get(one.source, one.times) for asked in questions for one in self.counters(asked))
        return max((times[place - 1] for times in scrapes if (place := bisect_right(times, moment))), default=moment)

    def complete_until(self, questions: Iterable[Question], moment: float) -> float:
        """Up to when, at most a moment, every process that is still scraped has told what it counted; samples may come late."""
        counters = [one for question in questions for one in self.counters(question) if one.times]
        newest = min(moment, max((one.times[-1] for one in counters), default=moment))
        gone = (one.is_gone(newest, self.scrape_interval) for one in counters)
        return min([moment, *(one.times[-1] for one, ended in zip(counters, gone, strict=True) if not ended)])

    def rises(self, question: Question, window: Window) -> Sequence[tuple[float, float]]:
        """The scrapes of a window between which any series of a question rose, in the order of time."""
        rises = (rise for one in self.counters(question) for rise in self.rises_of(one, window))
        return sorted((rise for rise in rises if rise[0] >= window.start), key=lambda rise: rise[1])

    def rises_of(self, one: Counter, window: Window) -> Iterator[tuple[float, float]]:
        """The scrapes between which a series rose, the later one in a window; where it fell, its process started again, and it rose since.

        Its birth is a rise since the scrape before it.
        """
        times = one.times
        if times and one.values[0] and window.start < times[0] <= window.end:
            scrapes = self.scrapes.get(one.source, ())
            earlier = bisect_left(scrapes, times[0])
            yield (scrapes[earlier - 1] if earlier else times[0] - self.scrape_interval), times[0]
        first = bisect_right(one.changes, window.start, key=times.__getitem__)
        last = bisect_right(one.changes, window.end, key=times.__getitem__)
        yield from ((times[place - 1], times[place]) for place in one.changes[first:last])

    def timed(
        self, host: str, bound: float, window: Window, *, side: Side = Side.CALLERS
    ) -> Iterator[tuple[Counter, int, Count]]:
        """Each histogram towards a host with its events in a window: how many of them within a bound in milliseconds, and all.

        Histograms trail their counters, so the window starts later. One whose bucket was not recorded can't tell what
        was in time.
        """
        whole = Durations(host=host, side=side)
        buckets: Mapping[frozenset[tuple[str, str]], Counter] = {
            bucket.histogram: bucket for bucket in self.counters(Durations(host=host, within=bound, side=side))
        }
        until = min(window.end, self.last_scrape(whole))
        for one, since in self._since(whole):
            start = max(self._start(one, window), since) + (0.0 if self._reaches_back else self.histogram_lag)
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
        past = self._courses.until(window.end, less=_SETTLED * self.scrape_interval)
        known = self._courses.setdefault((self._part, key, window.start), [Tally()]) if key is not None else [Tally()]
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

    def _start(self, one: Counter, window: Window) -> float:
        """From when on a series is counted in a window."""
        times = self.scrapes.get(one.source, one.times) if self._reaches_back else ()
        before = bisect_right(times, window.start)
        return times[before - 1] if before else window.start

    def _bounded(self, one: Counter, found: Count, until: float) -> Count:
        missing = found.events > 0 and one.is_gone(until, self.scrape_interval)
        return Count(found.events, lower_bound=True) if missing else found
