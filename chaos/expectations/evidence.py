"""The counted evidence of a run while it grows; a stored history gives the same once all of it is added."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from operator import itemgetter
from typing import Final, Generic, Literal, TypeVar

from chaos.expectations.answered import Answered, Wanted
from chaos.expectations.copies import Copies
from chaos.expectations.counting import Count, Counter, Scrapes, count, count_pair
from chaos.expectations.dependence import Batches
from chaos.expectations.kept import Past
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
Found = TypeVar("Found")
OfLoad = Literal["too", "alone"] | None
Rise = tuple[float, float]
"""The scrapes before and after something rose."""


class _InOrder(Generic[Found]):
    """What is found in the order of time, up to a moment."""

    def __init__(self) -> None:
        self.until = float("-inf")
        self.every: list[Found] = []


class _Batched:
    """The batches between settled sums, and how many there are up to each of these: those without an event are left out."""

    def __init__(self) -> None:
        self.numbers = [0]
        self.batches = Batches()


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
        self._answered: dict[Question, Answered] = {}
        self._led: dict[str, list[Led]] = {}
        self._parts: dict[Question, Sequence[tuple[Question, float]]] = {}
        self._past = Past()
        self._wanted: Wanted = ()
        self._reaches_back = False

    def only(self, what: Callable[[Mapping[str, str]], Hashable], *values: Hashable) -> Evidence:
        """The same evidence, which goes on growing, of those series alone of whose labels ``what`` reads any of some values.

        The requests of one caller, for instance, or those that one replica got; of a part of the evidence, a part of that.
        """
        found = copy(self)
        found._wanted = (*self._wanted, (what, frozenset(values)))
        return found

    def reaching_back(self) -> Evidence:
        """The same evidence, in which all that is counted begins with the last scrape, or second of load, before a window's start.

        So nothing at its start is left out. Histograms are taken as they are, too, although they trail their counters.
        """
        found = copy(self)
        found._reaches_back = True
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
        answered = self._answered.setdefault(question, Answered())
        for key, series in self.copies.without(found, answered.keyed):
            counter = answered.keyed.get(key)
            if counter is None:
                counter = Counter(series.labels)
                answered.add(key, counter)
            before = counter.times[-1] if counter.times else float("-inf")
            new = counter.add(series.samples)
            answered.newest = max(answered.newest, *new[-1:], before)
            self._past.note(new, before=before)
            self.scrapes.note(counter.source, new)

    def answered(self) -> Iterator[tuple[Question, Sequence[Counter]]]:
        """Every question that was answered, with its series."""
        return ((question, tuple(one.keyed.values())) for question, one in self._answered.items())

    def knows(self, question: Question) -> bool:
        """Whether a question was ever answered, be it by nothing."""
        return question in self._answered

    def counters(self, question: Question) -> Sequence[Counter]:
        """The series of a question, of all destinations of its host; none where it was never answered."""
        parts = [found for found, _ in self._of(question)]
        return parts[0] if len(parts) == 1 else [one for part in parts for one in part]

    def answers(self, question: Question) -> Iterable[Counter]:
        """The series that were answered to a question as it was asked, at its own host."""
        return self._answered[question].keyed.values() if question in self._answered else ()

    def _of(self, question: Question) -> Iterator[tuple[Sequence[Counter], float]]:
        """The series of each part of a question, with the moment from which that counts."""
        for part, since in self.parts(question):
            if part in self._answered:
                yield self._answered[part].chosen(self._wanted), since

    def last_scrape(self, question: Question) -> float:
        """The newest sample of any series of a question; minus infinity without one."""
        every = (self._answered[part].newest for part, _ in self.parts(question) if part in self._answered)
        return max(every, default=float("-inf"))

    def counted(self, question: Question, window: Window) -> Iterator[tuple[Counter, Count]]:
        """The events of each series of a question in a window.

        A series that vanished during the window gives a lower bound.
        """
        until = min(window.end, self.last_scrape(question))
        for series, since in self._of(question):
            for one in series:
                start = max(self._start(one, window) if self._reaches_back else window.start, since)
                found = count(one, start, window.end, scrapes=self.scrapes, interval=self.scrape_interval)
                yield one, self._bounded(one, found, until)

    def counted_around(self, question: Question, window: Window) -> Iterator[tuple[Counter, Count]]:
        """The events of each series from the last scrape of its process before a window to the first one after it.

        So all events of the window are among them, where the process was scraped on both sides of it.
        """
        for one, since in ((one, since) for series, since in self._of(question) for one in series):
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
        for times in self._scrapes(questions):
            begin, end = bisect_left(times, window.start), bisect_right(times, window.end)
            if begin < end:
                spans.append((times[begin], times[end - 1]))
        first, last = max((begin for begin, _ in spans), default=0.0), min((end for _, end in spans), default=0.0)
        return Window(first, last) if first < last else None

    def scraped_until(self, questions: Iterable[Question], moment: float) -> float:
        """The last scrape up to a moment of any process that counts questions; the moment itself where none does."""
        found = ((times, bisect_right(times, moment)) for times in self._scrapes(questions))
        return max((times[place - 1] for times, place in found if place), default=moment)

    def _scrapes(self, questions: Iterable[Question]) -> Iterable[Sequence[float]]:
        """When the processes that count questions were scraped, each once."""
        every = (self.scrapes.get(one.source, one.times) for asked in questions for one in self.counters(asked))
        return {id(times): times for times in every}.values()

    def complete_until(self, questions: Iterable[Question], moment: float) -> float:
        """Up to when, at most a moment, every process that is still scraped has told what it counted; samples may come late."""
        counters = [one for question in questions for one in self.counters(question) if one.times]
        newest = min(moment, max((one.times[-1] for one in counters), default=moment))
        gone = (one.is_gone(newest, self.scrape_interval) for one in counters)
        return min([moment, *(one.times[-1] for one, ended in zip(counters, gone, strict=True) if not ended)])

    def rises(self, question: Question, window: Window, *, after: float = float("-inf")) -> Iterator[Rise]:
        """The scrapes of a window between which any series of a question rose, each pair once, in the order of time.

        With ``after``, those of which the later one comes after that moment.
        """

        def found(start: float, end: float) -> Sequence[Rise]:
            part = Window(start, end)
            every = {rise for one in self.counters(question) for rise in self.rises_of(one, part)}
            return sorted(every, key=lambda rise: (rise[1], rise[0]))

        part = Window(max(window.start, after), window.end)
        every = self._in_order(found, itemgetter(1), part, key=(question, "rises"))
        return (rise for rise in every if rise[0] >= window.start)

    def times(self, question: Question, window: Window) -> Sequence[float]:
        """The moments after a window's start, and up to its end, of which any series of a question has a sample, each once."""

        def found(start: float, end: float) -> Sequence[float]:
            every = (one.times for one in self.counters(question))
            return sorted(
                {at for times in every for at in times[bisect_right(times, start) : bisect_right(times, end)]}
            )

        return list(self._in_order(found, float, window, key=(question, "times")))

    def _in_order(
        self,
        find: Callable[[float, float], Sequence[Found]],
        at: Callable[[Found], float],
        window: Window,
        *,
        key: Hashable,
    ) -> Iterator[Found]:
        """What is found after a window's start and up to its end, in the order of time; what is long past is found once."""
        known: _InOrder[Found] = self.growing(key, _InOrder)
        past = self.settled(window.end)
        if past > known.until:
            known.every += find(known.until, past)
            known.until = past
        first = bisect_right(known.every, window.start, key=at)
        last = bisect_right(known.every, window.end, key=at)
        return chain(islice(known.every, first, last), find(max(known.until, window.start), window.end))

    def through_rises(
        self, after: Callable[[Found, Rise], Found], begin: Found, question: Question, window: Window, *, key: Hashable
    ) -> Found:
        """What becomes of a beginning after each rise of a window, one by one; those that are long past are gone through once.

        ``key`` stands for ``after``.
        """
        known = self.growing((question, window.start, key), lambda: [(float("-inf"), begin)])
        until, found = known[0] if known[0][0] <= window.end else (float("-inf"), begin)
        settled = self.settled(window.end)
        for rise in self.rises(question, window, after=until):
            found = after(found, rise)
            if known[0][0] <= rise[1] <= settled:
                known[0] = rise[1], found
        return found

    def rises_of(self, one: Counter, window: Window) -> Iterator[Rise]:
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
        for one, since in ((one, since) for series, since in self._of(whole) for one in series):
            start = max(self._start(one, window) if self._reaches_back else window.start, since) + (
                0.0 if self._reaches_back else self.histogram_lag
            )
            bucket = buckets.get(one.histogram)
            if bucket is not None:
                within, every = count_pair(
                    bucket, one, start, window.end, scrapes=self.scrapes, interval=self.scrape_interval
                )
                yield one, min(within.events, every.events), self._bounded(one, every, until)

    def effect(
        self,
        tally: Callable[[Window], Tally],
        whole: Tally,
        window: Window,
        seconds: float,
        *,
        key: Hashable,
        of_load: OfLoad = None,
    ) -> float:
        """The design effect of a window's events, which are ``whole``, cut into batches of so many seconds; else as ``course``."""
        number = max(1, int((window.end - window.start) / seconds))
        sums = self.course(tally, window, seconds, number - 1, key=key, of_load=of_load)
        known = self.growing((key, window.start, seconds, "batches"), _Batched)
        settled = self.settled(window.end, of_load=of_load)
        while (place := len(known.numbers)) < number and window.start + place * seconds <= settled:
            for batch in _steps(sums[place - 1 : place + 1]):
                known.batches.add(batch)
            known.numbers.append(len(known.batches))
        before = min(len(known.numbers), number) - 1
        return known.batches.effect(known.numbers[before], _steps([*sums[before:], whole]))

    def course(
        self,
        tally: Callable[[Window], Tally],
        window: Window,
        seconds: float,
        number: int,
        *,
        key: Hashable,
        of_load: OfLoad = None,
    ) -> Sequence[Tally]:
        """The events from a window's start up to each of a number of moments, so many seconds apart; first those of no time."""
        start = window.start

        def up_to(place: int) -> Window:
            return Window(start, start + (place + 1) * seconds)

        return [Tally(), *self.each(tally, up_to, number, key=(key, start, seconds), of_load=of_load)]

    def each(
        self,
        find: Callable[[Window], Found],
        windows: Callable[[int], Window],
        number: int,
        *,
        key: Hashable,
        of_load: OfLoad = None,
    ) -> Sequence[Found]:
        """What is found in each of a number of windows, of which each ends later than the one before: what is long past is found once.

        Args:
            find: Gives what is found.
            windows: Gives them by their places, from 0 on.
            number: Of windows.
            key: Stands for ``find`` and ``windows``.
            of_load: It counts the load's seconds, which are told at times of their own, too, or them alone.
        """
        known: list[Found] = self.growing((key, "each"), list)
        found = known[:number]
        settled = self.settled(windows(number - 1).end, of_load=of_load) if len(found) < number else 0.0
        for place in range(len(found), number):
            window = windows(place)
            found.append(find(window))
            if window.end <= settled:
                known.append(found[-1])
        return found

    def kept(self, key: Hashable, window: Window, find: Callable[[], Found]) -> Found:
        """What is found in a window; once that is long past, it is found no second time. ``key`` stands for ``find``, and for the window."""
        if window.end > self._told:
            return find()
        return self._past.found(
            (self._wanted, self._reaches_back, key), window.end, find, less=_SETTLED * self.scrape_interval
        )

    def growing(self, key: Hashable, begin: Callable[[], Found]) -> Found:
        """Whatever grows with a run, as it begins at first; nothing may be in it of times after ``settled``."""
        return self._past.growing((self._wanted, self._reaches_back, key), begin)

    def settled(self, end: float, *, of_load: OfLoad = None) -> float:
        """Up to when, at most a moment, no more samples are expected; where some come, all that grows begins again."""
        end = min(end, self._told) if of_load is not None else end
        if of_load == "alone":
            return end  # none comes late
        return self._past.settled(end, less=_SETTLED * self.scrape_interval)

    @property
    def _told(self) -> float:
        """The end of the last second of the load that is known."""
        return max((second.at + 1 for second in self.load.seconds[-1:]), default=float("-inf"))

    def _start(self, one: Counter, window: Window) -> float:
        """The last scrape of a series' process up to a window's start, or that itself."""
        times = self.scrapes.get(one.source, one.times)
        before = bisect_right(times, window.start)
        return times[before - 1] if before else window.start

    def _bounded(self, one: Counter, found: Count, until: float) -> Count:
        missing = found.events > 0 and one.is_gone(until, self.scrape_interval)
        return Count(found.events, lower_bound=True) if missing else found


def _steps(sums: Sequence[Tally]) -> Iterator[tuple[int, int]]:
    """Good and all events between sums that follow each other; those without an event are left out."""
    for before, after in pairwise(sums):
        if (total := after.total - before.total) > 0:
            yield min(max(0, after.good - before.good), total), total
