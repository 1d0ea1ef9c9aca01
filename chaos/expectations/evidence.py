"""The counted evidence of a run while it grows; a stored history gives the same once all of it is added."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeVar

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


ALWAYS: Final = Window(float("-inf"), float("inf"))


class _Past:
    """What was made out of times that are long past, until samples come that change it."""

    def __init__(self) -> None:
        self.courses: dict[tuple[Hashable, Hashable, float], list[Tally]] = {}
        """Sums of events from a moment on up to each of a row of later ones."""
        self.found: dict[Hashable, Any] = {}
        """Whatever else was made out in a window, also by what was not there."""
        self._newest = self._summed = self._known = float("-inf")

    def note(self, new: Sequence[float], *, before: float) -> None:
        """There are samples of these times, the first after one of ``before``. Sums lack them if they come late, and what was not there may be there."""
        if new:
            self._newest = max(self._newest, new[-1])
            if new[0] <= self._summed:
                self.courses.clear()
            if before < self._known:
                self.found.clear()

    def sums_until(self, end: float, *, less: float) -> float:
        """Up to when sums may be kept: so many seconds less than to the newest sample, or to a moment before it."""
        until = min(end, self._newest) - less
        self._summed = max(self._summed, until)
        return until

    def is_past(self, end: float, *, less: float) -> bool:
        """Whether what was found up to a moment may be kept."""
        if end > self._newest - less:
            return False
        self._known = max(self._known, end)
        return True

    def clear(self) -> None:
        """Forgets everything."""
        self.courses.clear()
        self.found.clear()


Found = TypeVar("Found")


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
        self._newest: dict[Question, float] = {}
        self._led: dict[str, list[Led]] = {}
        self._parts: dict[Question, Sequence[tuple[Question, float]]] = {}
        self._past = _Past()
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
        self._past.clear()

    def lead(self, found: Iterable[Led]) -> None:
        """From then on, requests to a host that are counted at another one count with those that are counted at itself."""
        for one in found:
            known = self._led.setdefault(one.host, [Led(host=one.host, destination=one.host)])
            if all((one.destination, one.side) != (other.destination, other.side) for other in known):
                known.append(one)
        self._parts.clear()
        self._past.clear()

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
            before = counter.times[-1] if counter.times else float("-inf")
            new = counter.add(series.samples)
            self._past.note(new, before=before)
            self.scrapes.note(counter.source, new)
            if new:
                self._newest[question] = max(new[-1], self._newest.get(question, new[-1]))

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
        return max((self._newest.get(part, float("-inf")) for part, _ in self.parts(question)), default=float("-inf"))

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
        """The scrapes of a window between which any series of a question rose, each pair once, in the order of time."""
        rises = {rise for one in self.counters(question) for rise in self.rises_of(one, window)}
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
        self,
        tally: Callable[[Window], Tally],
        window: Window,
        seconds: float,
        *,
        key: Hashable = None,
        of_load: bool = False,
    ) -> Sequence[tuple[int, int]]:
        """Good and all events of a window, cut into batches of so many seconds; those without an event are left out."""
        whole = max(1, int((window.end - window.start) / seconds))
        course = self.course(tally, window, seconds, whole - 1, key=key, of_load=of_load)
        course.append(tally(window))
        steps = ((b.good - a.good, b.total - a.total) for a, b in pairwise(course))
        return [(min(max(0, good), total), total) for good, total in steps if total > 0]

    def course(
        self,
        tally: Callable[[Window], Tally],
        window: Window,
        seconds: float,
        number: int,
        *,
        key: Hashable = None,
        of_load: bool = False,
    ) -> list[Tally]:
        """The events from a window's start up to each of a number of moments, so many seconds apart; first those of no time.

        With a ``key``, which stands for ``tally``, sums up to moments that are long past are kept. ``of_load``: it also counts the load's
        seconds, which are told at times of their own.
        """
        told = self._told if of_load else float("inf")
        past = self._past.sums_until(min(window.end, told), less=_SETTLED * self.scrape_interval)
        known = [Tally()]
        if key is not None:
            known = self._past.courses.setdefault((self._part, key, window.start), known)
        course = known[: number + 1]
        for place in range(len(course), number + 1):
            at = window.start + place * seconds
            course.append(tally(Window(window.start, at)))
            if at <= past and place == len(known):
                known.append(course[-1])
        return course

    def kept(self, key: Hashable, window: Window, find: Callable[[], Found]) -> Found:
        """What is found in a window; once that is long past, it is found no second time. ``key`` stands for ``find``, and for the window."""
        if window.end > self._told or not self._past.is_past(window.end, less=_SETTLED * self.scrape_interval):
            return find()
        place = self._part, key
        if place not in self._past.found:
            self._past.found[place] = find()
        found: Found = self._past.found[place]
        return found

    @property
    def _told(self) -> float:
        """The end of the last second of the load that is known."""
        return max((second.at + 1 for second in self.load.seconds[-1:]), default=float("-inf"))

    def _start(self, one: Counter, window: Window) -> float:
        """From when on a series is counted in a window."""
        times = self.scrapes.get(one.source, one.times) if self._reaches_back else ()
        before = bisect_right(times, window.start)
        return times[before - 1] if before else window.start

    def _bounded(self, one: Counter, found: Count, until: float) -> Count:
        missing = found.events > 0 and one.is_gone(until, self.scrape_interval)
        return Count(found.events, lower_bound=True) if missing else found
