"""The metrics that operators of Istio watch, by name: what each asks, how its values are read, and its range.

The ranges are those of an operations guide for Istio 1.22: a normal range, and the threshold of an alarm. What a metric really
counts, and where that differs from what such guides say, is in docs/reference/key-metrics.md.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import inf, nextafter
from operator import attrgetter
from typing import Final, NamedTuple

from chaos.expectations.bound import read_most
from chaos.expectations.counting import Counter
from chaos.expectations.evidence import Evidence, Found, Window
from chaos.expectations.kind import Look
from chaos.istio.hosts import host_of
from chaos.istio.metrics import BUCKETS_MS
from chaos.values.quantities import format_number, parse_duration
from chaos.values.questions import Convergence, ProcessorTime, ProxyMemory, Pushes, Question, Requests

_SECONDS: Final = 5.0
_SCRAPES: Final = 2
"""A speed is read over so many seconds and so many scrape intervals at least."""
_MINUTE: Final = 60.0
_TIMES: Final = 3
"""Scrapes of a value before it counts as inside its range."""
_FEW: Final = 30
"""Requests; three times as many as are expected are no chance."""
_PART: Final = 0.99
"""The part of the configurations whose time is told."""
_BOUNDS: Final = (0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds; those of istiod's histogram (``pilot/pkg/xds/monitoring.go``)."""
_SUFFIXES: Final = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|Ki|Mi|Gi)?")


def _speed_takes(interval: float) -> float:
    """The shortest time over which a speed is read, in seconds."""
    return max(_SECONDS, _SCRAPES * interval)


class Reading(NamedTuple):
    """A value, and whose it is. Of equal ones the larger is that of the earlier series, whose place is told as a negative number."""

    value: float
    place: int
    where: str


@dataclass(frozen=True)
class Read:
    """What was read in a window.

    Args:
        number: Of readings; 0 where nothing could be read yet.
        good: Those in the range.
        worst: The largest one.
        most: The largest value that is in the range.
        to_come: What the newest reading may come to once it is complete.
        enough: It was read for long enough to say that it stays in the range.
    """

    number: int
    good: int
    worst: Reading | None
    most: float
    to_come: float = -inf
    enough: bool = True

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        most: float,
        whose: tuple[int, str] = (0, ""),
        *,
        to_come: float = -inf,
        enough: bool = True,
    ) -> Read:
        """Of values that are one series', or of none in particular."""
        worst = Reading(max(values), *whose) if values else None
        good = list(map(float(most).__ge__, values)).count(True)
        return cls(len(values), good, worst, most, to_come, enough)

    @classmethod
    def together(cls, parts: Iterable[Read], most: float, *, enough: bool = True) -> Read:
        """Of several series, or times."""
        every = list(parts)
        worst = max(filter(None, map(_WORST, every)), default=None)
        return cls(sum(map(_NUMBER, every)), sum(map(_GOOD, every)), worst, most, enough=enough)


_NUMBER, _GOOD, _WORST = map(attrgetter, ("number", "good", "worst"))


@dataclass(frozen=True)
class Asked:
    """What is asked of the evidence: a question's counters in a window, and the largest value as a number."""

    question: Question
    evidence: Evidence
    window: Window
    look: Look
    most: float

    @property
    def counters(self) -> Sequence[Counter]:
        """All series."""
        return list(self.evidence.counters(self.question))

    @property
    def seconds(self) -> float:
        """The shortest time over which a speed is read."""
        return _speed_takes(self.evidence.scrape_interval)


@dataclass(frozen=True, kw_only=True)
class KeyMetric:
    """A metric with a name. Its values are facts that were read, and leave nothing to chance.

    Args:
        asks: Its question, by the target's namespace and the service, if it is that of one.
        read: Its values; nothing for ``latency``, which is a share of answers and judged as one.
        normal: The largest value that is expected in a steady state.
        alarm: The largest value before the alarm, that of a guardrail.
        number: A largest value as a number; raises ``ValueError`` where it is none.
        form: What a largest value looks like.
        expected: What is expected, in words, with ``most`` and ``service``.
        told: A value in words.
        missing: What to do where there are no data.
        over: What to do where it is over its range.
        of_service: It is that of a service, which has to be named.
        takes: Seconds of the shortest time over which it is read, by the scrape interval.
        from_injection: The injection itself is what it shows, so what comes between baseline and fault counts to the fault.
    """

    asks: Callable[[str, str], Question]
    read: Callable[[Asked], Read]
    normal: str
    alarm: str
    number: Callable[[str], float]
    form: str
    expected: str
    told: Callable[[float], str]
    missing: str
    over: str
    takes: Callable[[float], float] = _speed_takes
    of_service: bool = False
    from_injection: bool = False


# --- how values are read -----------------------------------------------------------------------------------------------


def _request_rate(asked: Asked) -> Read:
    """Requests per second, over stretches in which the baseline makes so many that chance does not multiply them."""
    baseline = asked.look.baseline
    before = _speeds_of_all(asked, baseline or asked.window, asked.seconds)
    usual = sum(before) / len(before) if before else 0.0
    known = usual * asked.seconds * len(before) >= _FEW
    if baseline is None or not known:
        return Read.of(before, inf, enough=baseline is None and known)
    speeds = _speeds_of_all(asked, asked.window, max(asked.seconds, _FEW / usual))
    return Read.of(speeds, asked.most * usual)


def _nothing(asked: Asked) -> Read:
    return Read.of((), asked.most)


def _pushes(asked: Asked) -> Read:
    """What all istiods sent in each minute that ends with a scrape; what is less than a minute may come to more."""
    counters, window = asked.counters, asked.window
    # What is scraped at the window's very start counts, too.
    times = asked.evidence.times(asked.question, Window(nextafter(window.start, -inf), window.end))
    if len(times) < 2:
        return _nothing(asked)

    def minute(place: int) -> Window:
        return Window(max(times[0], times[place + 1] - _MINUTE), times[place + 1])

    key = asked.question, window.start
    sent = asked.evidence.each(partial(_risen, counters), minute, len(times) - 1, key=key)
    passed = min(_MINUTE, times[-1] - times[0])
    return Read.of(list(map(float, sent)), asked.most, to_come=sent[-1] * _MINUTE / passed)


def _convergence(asked: Asked) -> Read:
    """The least bound within which so many were sent. Where nothing was to be sent nothing was late; a fault has to be sent."""
    if not any(last - first > 1 for first, last in (_inside(one, asked.window) for one in asked.counters)):
        return _nothing(asked)
    within: dict[float, int] = {}
    for one in asked.counters:
        bound = float(one.labels["le"])
        within[bound] = within.get(bound, 0) + _risen([one], asked.window)
    total = within.get(inf, 0)
    if not total:
        return Read.of([0.0] if asked.look.phase != "fault" else [], asked.most)
    return Read.of([min(bound for bound, number in within.items() if number >= _PART * total)], asked.most)


def _memory(asked: Asked) -> Read:
    """Each value of each proxy."""
    counters, window = asked.counters, asked.window
    known: dict[int, tuple[int, Read]] = asked.evidence.growing((asked.question, window.start, asked.most), dict)
    for place, one in enumerate(counters):
        first, last = _inside(one, window)
        until, read = known.get(place, (first, _nothing(asked)))
        if until > last:
            until, read = first, _nothing(asked)
        new = Read.of(one.values[max(until, first) : last], asked.most, (-place, one.read(_whose)))
        known[place] = last, Read.together([read, new], asked.most)  # of one series, nothing comes late
    parts = (known[place][1] for place in range(len(counters)))
    times = {at for one in counters for at in _first_times(one, window)}
    return Read.together(parts, asked.most, enough=len(times) >= _TIMES)


def _cpus(asked: Asked) -> Read:
    """The CPUs that each istiod used, over some seconds each."""
    counters = asked.counters

    def read(part: Window) -> Read:
        speeds = ((place, one, _rising([one], asked.window, part)) for place, one in enumerate(counters))
        return Read.together(
            (Read.of(found, asked.most, (-place, one.read(_whose))) for place, one, found in speeds), asked.most
        )

    return Read.together(_in_each(asked, asked.window, asked.seconds, read), asked.most)


def _whose(labels: Mapping[str, str]) -> str:
    """Of which pod a series is."""
    return labels.get("pod", "") or labels.get("instance", "")


def _inside(one: Counter, window: Window) -> tuple[int, int]:
    """The place of the first sample in a window, and the one after the last."""
    places = one.inside(window.start, window.end)
    return places.start, places.stop


def _first_times(one: Counter, window: Window) -> Sequence[float]:
    first, last = _inside(one, window)
    return one.times[first : min(last, first + _TIMES)]


def _risen(counters: Iterable[Counter], window: Window) -> int:
    """By how much counters rose between the samples in a window."""
    places = ((one, one.inside(window.start, window.end)) for one in counters)
    return sum(one.risen(at.start, at.stop - 1).events for one, at in places if at.start < at.stop)


def _speeds_of_all(asked: Asked, window: Window, seconds: float) -> Sequence[float]:
    """How fast all series rose together, in each stretch of a window."""
    counters = asked.counters
    return list(chain.from_iterable(_in_each(asked, window, seconds, lambda part: _rising(counters, window, part))))


def _in_each(asked: Asked, window: Window, seconds: float, find: Callable[[Window], Found]) -> Sequence[Found]:
    """What is found in each stretch of so many seconds of a window; a rest that is shorter is left out."""

    def stretch(place: int) -> Window:
        start = window.start + place * seconds
        return Window(start, start + seconds)

    number = int((window.end - window.start) / seconds)
    return asked.evidence.each(find, stretch, number, key=(asked.question, window.start, seconds, asked.most))


def _rising(counters: Sequence[Counter], window: Window, stretch: Window) -> Sequence[float]:
    """How fast counters rose per second in a stretch of a window, all together; by their own samples, also if some were missed.

    What a series had when it was born, and what it counted up to its restart, is not known; nothing where none is known.
    """
    found = (_speed(one, window, stretch.start, stretch.end) for one in counters)
    speeds = [speed for speed in found if speed is not None]
    return [sum(speeds)] if speeds else []


def _speed(one: Counter, window: Window, start: float, end: float) -> float | None:
    begin: int = one.inside(window.start, window.end).start
    first, last = max(begin, bisect_right(one.times, start) - 1), bisect_right(one.times, end) - 1
    if first >= last or one.values[last] < one.values[first]:
        return None
    return (one.values[last] - one.values[first]) / (one.times[last] - one.times[first])


# --- how a largest value is declared -----------------------------------------------------------------------------------


def _multiple(declared: str) -> float:
    most = read_most(declared)
    if not most.relative:
        raise ValueError(declared)
    return most.number


def _quantity(declared: str) -> float:
    """As Kubernetes writes it."""
    found = _QUANTITY.fullmatch(declared)
    if found is None or not float(found[1]):
        raise ValueError(declared)
    return float(found[1]) * _SUFFIXES[found[2] or ""]


def _milliseconds(declared: str) -> float:
    return _one_of(BUCKETS_MS, parse_duration(declared).total_seconds() * 1000)


def _bound_of_istiod(declared: str) -> float:
    return _one_of(_BOUNDS, parse_duration(declared).total_seconds())


def _time_of_istiod(value: float) -> str:
    """A bound of the histogram, or what is beyond the last one, or what there is where nothing was sent."""
    if not value:
        return "0 s, since nothing was sent"
    return f"{value:g} s" if value < inf else f"infinity, since {_BOUNDS[-1]:g} s were not enough"


def _one_of(bounds: Sequence[float], value: float) -> float:
    if value not in bounds:
        raise ValueError(value)
    return value


# --- the table ---------------------------------------------------------------------------------------------------------

_CALLERS: Final = "check the name of the service, that its callers have a sidecar, and that Prometheus scrapes them"
_ISTIOD: Final = "let Prometheus scrape istiod (port 15014, /metrics) with the label pod"
_NEEDED: Final = "send each proxy only what it needs (a Sidecar)"
KEY_METRICS: Final[dict[str, KeyMetric]] = {
    "request-rate": KeyMetric(
        asks=lambda namespace, service: Requests(host=host_of(service, namespace)),
        read=_request_rate,
        normal="baseline * 3",
        alarm="baseline * 3",
        number=_multiple,
        form="a multiple of the baseline, such as 'baseline * 3'",
        expected="at most {most} requests per second to {service}",
        told=lambda value: f"{format_number(value, 3)} per second",
        missing=_CALLERS,
        over="see whether callers retry without a bound, or users send again what was not answered",
        of_service=True,
    ),
    "latency": KeyMetric(
        asks=lambda namespace, service: Requests(host=host_of(service, namespace)),
        read=_nothing,
        normal="100ms",
        alarm="500ms",
        number=_milliseconds,
        form=f"a bound of the mesh's histogram: {', '.join(f'{b:g}ms' for b in BUCKETS_MS[4:13])}, …",
        expected="99% of the answers of {service} within {most}",
        told=lambda value: f"{value:g} ms",
        missing=_CALLERS,
        over="see which of the services that it calls is slow",
        of_service=True,
    ),
    "pushes": KeyMetric(
        asks=lambda *_: Pushes(),
        read=_pushes,
        normal="100",
        alarm="1000",
        number=_quantity,
        form="a number of configurations in a minute, such as 100",
        expected="at most {most} configurations sent to proxies in a minute",
        told=lambda value: f"{format_number(value)} in a minute",
        missing=_ISTIOD,
        takes=lambda interval: interval,
        over=f"find out what changes so often (pilot_push_triggers), and {_NEEDED}",
        from_injection=True,
    ),
    "convergence": KeyMetric(
        asks=lambda *_: Convergence(),
        read=_convergence,
        normal="1s",
        alarm="10s",
        number=_bound_of_istiod,
        form=f"a bound of istiod's histogram: {', '.join(f'{b:g}s' for b in _BOUNDS)}",
        expected="99% of the configurations sent to their proxy within {most} of the change",
        told=_time_of_istiod,
        missing=f"{_ISTIOD}; before its first change it has no such metric",
        takes=lambda interval: interval,
        over=f"see whether istiod has enough CPU, and {_NEEDED}",
        from_injection=True,
    ),
    "proxy-memory": KeyMetric(
        asks=lambda namespace, _: ProxyMemory(namespace=namespace),
        read=_memory,
        normal="200M",
        alarm="500M",
        number=_quantity,
        form="a quantity of memory, such as 200M or 256Mi",
        expected="at most {most} bytes allocated by each proxy of the namespace",
        told=lambda value: f"{format_number(value / 1e6, 3)}M bytes",
        missing="let Prometheus scrape the proxies (port 15090, or 15020) with the labels namespace and pod",
        takes=lambda interval: (_TIMES - 1) * interval,
        over=f"{_NEEDED}, or give them more memory",
    ),
    "istiod-cpu": KeyMetric(
        asks=lambda *_: ProcessorTime(),
        read=_cpus,
        normal="1",
        alarm="1600m",
        number=_quantity,
        form="a quantity of CPUs, such as 1 or 1600m",
        expected="at most {most} CPUs used by each istiod",
        told=lambda value: f"{format_number(value, 2)} CPUs",
        missing=_ISTIOD,
        over="give istiod more CPU, or more replicas",
    ),
}  # fmt: skip
"""All of them, by their names."""
