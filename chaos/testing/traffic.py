"""What is asked, answered and counted in the shop in memory, second by second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any, Final, Protocol

from chaos.errors import LoadError, MetricsError
from chaos.istio.hosts import resolve_host, service_fqdn
from chaos.model.experiment import Load as LoadSpec
from chaos.ports import Clock, Object
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.quantities import parse_duration
from chaos.values.questions import Comparison, Durations, Question, Requests
from chaos.values.series import Series

NAMESPACE: Final = "staging"
ENTRY: Final = "order-svc"
TARGET: Final = "inventory-svc"
_HOST: Final = service_fqdn(TARGET, NAMESPACE)
_LATENCY: Final = 20.0
"""Milliseconds that an answer takes where nothing is delayed."""
_BOUNDS: Final = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
"""Of the histogram, in milliseconds; some of Istio's."""

Labels = tuple[tuple[str, str], ...]


class Obeyed(Protocol):
    """Where the proxies have their configuration from."""

    def in_effect(self, at: float) -> Sequence[Object]:
        """The VirtualServices that they obey at a moment."""
        ...


class Traffic:
    """The load calls ``order-svc``, and each order calls ``inventory-svc``, whose faults are those of the mesh.

    Args:
        clock: Time; seconds happen when somebody looks.
        mesh: Whose VirtualServices decide which calls are faulted.
    """

    def __init__(self, clock: Clock, mesh: Obeyed) -> None:
        self._clock = clock
        self._mesh = mesh
        self._next = float(floor(clock.now()))
        self._counters: dict[tuple[Question, Labels], tuple[int, list[tuple[float, float]]]] = {}
        self._owed: dict[object, float] = {}
        self._hit = (0.0, float("-inf"))
        self.rate = 0.0
        self.seconds: list[LoadSecond] = []
        """What the load generator did and got and has not told yet."""
        self.bears, self.heals, self.broken, self.kept = 1.0, 0.0, 0.0, 1.0
        self.asks = 1.0
        """Share of the load's orders that ask the target."""
        self.others = 0.0
        """Orders per second that somebody else sends, through ``mobile``: each asks the target, and succeeds."""
        self.stuck = 0.0
        """Share of the load's orders that are never answered while there is a fault."""
        self.waiting: tuple[float, ...] = ()
        """Seconds for which users of a locustfile wait for their answers."""
        self.status = 200
        """Of the orders that do not fail."""
        self.target_status = "200"
        """Of the target's answers."""
        self.dark: set[str] = set()
        """Proxies that are scraped no more."""
        self.scrape_interval = 1.0

    def catch_up(self) -> None:
        """Lets all seconds happen that have passed."""
        while self._next + 1 <= self._clock.now():
            self._happen(self._next)
            self._next += 1

    def series(self, question: Question, *, seconds: float) -> Sequence[Series]:
        """What was scraped of a question in the last seconds."""
        since = self._clock.now() - seconds
        found = []
        for (asked, labels), (_, samples) in self._counters.items():
            kept = tuple(sample for sample in samples if sample[0] > since) if asked == question else ()
            if kept:
                found.append(Series(labels=dict(labels), samples=kept))
        return found

    def _happen(self, at: float) -> None:
        number = round(self.rate * self.kept)
        abort, status, delay, late = self._fault(at)
        fine = self.target_status
        calls = {
            ("-", fine): (1 - abort) * (1 - delay), ("DI", fine): (1 - abort) * delay,
            ("FI", status): abort * (1 - delay), ("DI,FI", status): abort * delay,
        }  # fmt: skip
        for (flags, code), count in self._shared_out(calls, round(self.asks * number + self.others)).items():
            self._count(Requests(host=_HOST), ENTRY, code, flags, count)
        bad = min(1.0, self.broken + self._failing(abort, at))
        slow, hangs = (1 - bad) * delay, self.stuck if abort or delay else 0.0
        answers = {
            (self.status, _LATENCY): 1 - bad - slow - hangs, (self.status, _LATENCY + late): slow, (500, _LATENCY): bad,
            (0, 0.0): hangs,
        }  # fmt: skip
        orders = self._shared_out(answers, number)
        orders.pop((0, 0.0))  # what hangs is not counted
        self._count_orders("ingress", orders)
        self._count_orders("mobile", {(self.status, _LATENCY): round(self.others)})
        if (at + 1) % self.scrape_interval == 0:
            for (_, labels), (total, samples) in self._counters.items():
                if dict(labels)["instance"] not in self.dark:
                    samples.append((at + 1, float(total)))
        if self.rate:
            cells = (
                LoadCell(request="orders", status=code, latencies={took: n}) for (code, took), n in orders.items() if n
            )
            second = LoadSecond(at=at, intended=round(self.rate), sent=number, waiting=self.waiting, cells=tuple(cells))
            self.seconds.append(second)

    def _count_orders(self, caller: str, orders: Mapping[tuple[int, float], int]) -> None:
        host = service_fqdn(ENTRY, NAMESPACE)
        for (code, took), count in orders.items():
            for question in (Requests(host=host), Durations(host=host)):
                self._count(question, caller, str(code), "-", count)
            for bound in _BOUNDS:
                within = count if took <= bound else 0
                self._count(Durations(host=host, within=bound), caller, str(code), "-", within)

    def _failing(self, abort: float, at: float) -> float:
        """The share of the orders that fail for the fault's sake: while it is there, or for some time after it."""
        if abort:
            self._hit = (abort, at)
            return (1 - self.bears) * abort
        share, last = self._hit
        return share if at - last <= self.heals else 0.0

    def _fault(self, at: float) -> tuple[float, str, float, float]:
        """Share and status of what is aborted, share and milliseconds of what is delayed."""
        for vs in self._mesh.in_effect(at):
            hosts = [resolve_host(host, vs["metadata"]["namespace"]) for host in vs["spec"].get("hosts") or ()]
            for route in vs["spec"].get("http") or () if _HOST in hosts else ():
                if fault := route.get("fault"):
                    abort, delay = fault.get("abort") or {}, fault.get("delay") or {}
                    late = parse_duration(delay["fixedDelay"]).total_seconds() * 1000 if delay else 0.0
                    return _share(abort), str(abort.get("httpStatus", "")), _share(delay), late
        return 0.0, "", 0.0, 0.0

    def _shared_out(self, shares: Mapping[Any, float], number: int) -> dict[Any, int]:
        """Whole requests by their shares; what is left of one second is owed to the next, so that shares are kept."""
        owed = {key: self._owed.get(key, 0.0) + share * number for key, share in shares.items()}
        found = dict.fromkeys(shares, 0)
        for key in sorted(shares, key=lambda key: -owed[key]):
            found[key] = min(number - sum(found.values()), max(0, round(owed[key])))
        found[next(iter(shares))] += number - sum(found.values())
        self._owed |= {key: owed[key] - count for key, count in found.items()}
        return found

    def _count(self, question: Question, caller: str, code: str, flags: str, number: int) -> None:
        labels = {
            "job": "istio-proxies", "instance": caller, "reporter": "source", "source_workload": caller,
            "source_workload_namespace": NAMESPACE, "grpc_response_status": "", "response_code": code, "response_flags": flags,
        }  # fmt: skip
        key = (question, tuple(labels.items()))
        if number or key in self._counters:
            total, samples = self._counters.get(key, (0, []))
            self._counters[key] = (total + number, samples)


class ShopMetrics:
    """The ``Metrics`` port over the shop's traffic."""

    def __init__(self, clock: Clock, traffic: Traffic) -> None:
        self._clock = clock
        self._traffic = traffic
        self.lost = ""
        """Why they do not answer; nothing while they do."""
        self.untrue: set[str] = set()
        """Comparisons that have no result; all others have."""

    def now(self) -> float:
        """The shop's clock."""
        self._answer()
        return self._clock.now()

    def version(self) -> str:
        """None."""
        return ""

    def scrape_interval(self) -> float:
        """The shop's."""
        return self._traffic.scrape_interval

    def samples(self, question: Question, *, seconds: float) -> Sequence[Series]:
        """Raw samples of the last seconds."""
        self._answer()
        if isinstance(question, Comparison):
            holds = float(question.promql not in self.untrue)
            return [Series(labels={}, samples=((self._clock.now(), holds),))]
        return self._traffic.series(question, seconds=seconds)

    def wording(self, question: Question) -> str:
        """The question in words."""
        return str(question)

    def _answer(self) -> None:
        self._traffic.catch_up()
        if self.lost:
            raise MetricsError(self.lost)


class ShopLoad:
    """The ``Load`` port: orders at the declared rate."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._rate = 0.0
        self.died = ""
        """Why it is not running; nothing while it is well."""

    def prepare(self, spec: LoadSpec, *, entry: str, headers: Mapping[str, str], base: Path) -> None:  # noqa: ARG002
        """Takes note of the rate; ``LoadError`` where it has died."""
        if self.died:
            raise LoadError(self.died)
        self._rate = spec.rate

    def start(self) -> None:
        """Orders from now on."""
        self._traffic.catch_up()
        self._traffic.rate = self._rate

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call."""
        self._traffic.catch_up()
        found, self._traffic.seconds = tuple(self._traffic.seconds), []
        return found

    def failure(self) -> str | None:
        """Why it is no longer running; ``None`` while it is well."""
        return self.died or None

    def stop(self) -> None:
        """Orders no more."""
        self._traffic.catch_up()
        self._traffic.rate = 0.0


def _share(part: Mapping[str, Any]) -> float:
    return float(part["percentage"]["value"]) / 100 if part else 0.0
