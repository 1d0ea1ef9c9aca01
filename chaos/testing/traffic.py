"""What is asked, answered and counted in the shop in memory, second by second."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import floor, inf, prod
from string import ascii_lowercase
from threading import RLock
from typing import Final, Protocol

from chaos.istio.delegates import merged
from chaos.istio.hosts import resolve_host, service_fqdn
from chaos.istio.virtual_services import hosts_of, order_for_namespace
from chaos.ports import Clock, Object
from chaos.testing.counters import Counted, Counters
from chaos.testing.felt import GRPC, Felt
from chaos.testing.internals import Internals
from chaos.testing.orders import Order, Says
from chaos.testing.shares import Shares
from chaos.testing.stalls import Arrivals, split
from chaos.values.content import Marker
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Durations, Question, Side, requests_to
from chaos.values.series import Series

NAMESPACE: Final = "staging"
ENTRY: Final = "order-svc"
TARGET: Final = "inventory-svc"
SECOND: Final = "payment-svc"
STRANGER: Final = "report-svc"
"""A caller of the target that no experiment declares."""
OTHERS: Final = (("catalog-svc", NAMESPACE), ("session-svc", "platform"))
"""Services that each order asks too, and their namespaces."""
_ORDERS: Final = service_fqdn(ENTRY, NAMESPACE)
_AT_ONCE: Final = 1.0
"""Milliseconds after which a breaker answers."""
BOUNDS: Final = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
"""Of the histogram, in milliseconds; some of Istio's."""

_UNANSWERED: Final = Order(0, "-", 0.0, Says.NOTHING)
"""An order that hangs, and is not counted."""


Failing = Mapping[str, Mapping[str, float]]
"""The share of the orders that fail, by what is asked for and by replica."""


class Obeyed(Protocol):
    """Where the proxies have their configuration from."""

    def in_effect(self, at: float) -> Sequence[Object]:
        """The VirtualServices that they obey at a moment."""
        ...


class Traffic:
    """The load calls ``order-svc``, and each order calls ``inventory-svc`` and ``payment-svc``, whose faults are those of the mesh.

    How the shop behaves is said by the attributes that ``Shop`` describes; they may be changed at any moment.

    Args:
        clock: Time; seconds happen when somebody looks.
        mesh: Whose VirtualServices decide which calls are faulted.
    """

    def __init__(self, clock: Clock, mesh: Obeyed) -> None:
        self._clock = clock
        self._mesh = mesh
        self._looked_at = RLock()
        """One looks at a time: a run whose clock is real asks from several threads, and a second happens once."""
        self._next = float(floor(clock.now()))
        self._counters = Counters(NAMESPACE)
        self.shares = Shares()
        """Whether requests are shared out evenly, or by chance."""
        self._hit = (0.0, float("-inf"))
        self._faulted = (float("inf"), float("-inf"))
        self.rate = 0.0
        self._seconds: list[LoadSecond] = []
        """What the load generator did and got and has not told yet."""
        self.markers: Sequence[Marker] = ()
        """What the load generator looks for in the content of answers."""
        self.bears, self.heals, self.broken, self.kept = 1.0, 0.0, 0.0, 1.0
        self.degrades, self.degraded, self.mixes, self.sticks = 1.0, 0.0, 0.0, 0.0
        self.asks, self.pays, self.tries, self.retries = 1.0, 1.0, 1, 0
        self.replicas, self.spoilt, self.ejected, self.lingers = 1, 0.0, Times(None), 0.0
        self.sheds, self.breaker = 0.3, Times(None)
        self.others, self.stuck, self.status, self.target_status = 0.0, 0.0, 200, "200"
        self.spreads_as = "503"
        self.spreads = self.skipped = self.unfilled = self.leaks = self.spared = 0.0
        self.takes, self.tail, self.queues, self.patience = 20.0, (0.0, 0.0), 0.0, inf
        self.fails_as, self.fails_as_grpc = 500, ""
        self.requests: Mapping[str, float] = {"orders": 1.0}
        """What the load asks for: its names, and how often each comes among all."""
        self.bears_at: Mapping[str, float] = {}
        self.spoils: Mapping[str, float] = {}
        """By the name of a Service to which routes may send orders: the share of them that fails there."""
        self.known_as: Mapping[str, str] = {}
        """By host, the Service of the same pods under whose name they count what arrives."""
        self.alerts: Mapping[str, Times] = {"OrdersDegraded": Times(2, after=4), "ShopDown": Times(None)}
        self.waits = 0.0
        """Seconds for which the condition of an alert has to be true before it fires."""
        self.scrape_interval, self.time_out = 1.0, inf
        self.staggered = False
        """Whether proxies are scraped at moments of their own, as Prometheus does it, and not all at once."""
        self.pushes, self.converges, self.cpus, self.memory = 0.0, 0.2, 0.1, 60e6
        self._internals = Internals(NAMESPACE, self._next)
        self._obeyed: Sequence[Object] = ()
        self.arrivals = Arrivals()
        self.door, self.comes_by = "ingress", "mobile"
        """The workloads that send the orders of the load and of others, which may be the same."""
        self.waiting: tuple[float, ...] = ()
        """Seconds for which users of a locustfile wait for their answers."""
        self.dark: set[str] = set()
        """Pods whose proxies are scraped no more."""
        self.unscraped: Mapping[str, float] = {}
        """Shares of the requests of workloads that proxies count which were never scraped."""

    def catch_up(self) -> None:
        """Lets all seconds happen that have passed."""
        with self._looked_at:
            while self._next + 1 <= self._clock.now():
                self._happen(self._next)
                self._next += 1

    def series(self, question: Question, *, seconds: float, at: float) -> Sequence[Series]:
        """What was scraped of a question in the seconds up to a moment."""
        with self._looked_at:
            found = self._counters.series(question, since=at - seconds, until=at)
            return found or self._internals.series(question, since=at - seconds, until=at)

    def told(self) -> Sequence[LoadSecond]:
        """The seconds of the load generator that nobody has asked for yet."""
        with self._looked_at:
            self.catch_up()
            found, self._seconds = self._seconds, []
        return found

    @property
    def counted(self) -> bool:
        """Whether anything was counted and scraped."""
        return self._counters.scraped

    def alerting(self, name: str) -> Mapping[str, bool]:
        """Which alerts fire, and whether that of this name does, if there is one."""
        with self._looked_at:
            self.catch_up()
            fires = {one: times.cover(self._faulted, self._next - 1) for one, times in self.alerts.items()}
        return {one: firing for one, firing in fires.items() if firing or one == name}

    def _happen(self, at: float) -> None:
        lags = self.arrivals.lags(at, round(self.rate * self.kept))
        number = len(lags)
        faults = {service: self._fault(service, at) for service in (TARGET, SECOND)}
        abort = 1 - prod(1 - one.abort for one in faults.values())
        delay = 1 - prod(1 - one.delay for one in faults.values())
        late = min(max(one.late for one in faults.values()), 1000 * self.time_out)
        if abort or delay:
            self._faulted = (min(at, self._faulted[0]), at)
        took = self._took(delay, late)
        if abort:
            self._hit = (abort, at)
        bad = {
            request: {replica: self._bad(request, replica, abort, at) for replica in self._in_rotation(at)}
            for request in self.requests
        }
        shed = self.sheds if self.breaker.cover(self._faulted, at) else 0.0
        orders = self._orders(at, number, bad, shed, took)
        arrived = self._arrive(at, number * (1 - shed), self._together(bad), took)
        fine = Order(self.status, "-", self.takes, Says.WHOLE, self._fine)
        self._answered(Side.CALLERS, self.comes_by, fine, round(self.others), caller=self.comes_by)
        self._ask_others(arrived, at)
        asked = arrived * self.asks * _tries(faults[TARGET].abort, self.tries) + self.others
        self._ask(TARGET, asked, faults[TARGET], at)
        self._ask(SECOND, arrived * self.pays, faults[SECOND], at)
        self._ask(TARGET, self.leaks, faults[TARGET], at, caller=STRANGER)
        self._ask(TARGET, self.spared, Felt(), at, caller=STRANGER)
        before, self._obeyed = self._obeyed, tuple(self._mesh.in_effect(at))
        self._internals.happen(
            changed=before != self._obeyed,
            pushes=self.pushes,
            converges=self.converges,
            cpus=self.cpus,
            memory=self.memory,
        )
        if not self.arrivals.stalled(at):
            self._scrape(at + 1)
        if self.rate:
            cells = [
                LoadCell(
                    request=request,
                    status=order.code,
                    matched=self._matched(order),
                    latencies={order.took + self.queues: count},
                )
                for (request, order), count in orders.items()
                if count
            ]
            worst = max(lags, default=0.0) / 1000
            answers = tuple(split(cells, lags))
            second = LoadSecond(
                at=at, intended=round(self.rate), sent=number, worst_lag=worst, waiting=self.waiting, cells=answers
            )
            self._seconds.append(second)

    def _took(self, delay: float, late: float) -> Mapping[float, float]:
        """How long answers take, and the share of each; a share of them is delayed by so many milliseconds."""
        slow, at_most = self.tail
        found = dict.fromkeys((self.takes, at_most, self.takes + late, at_most + late), 0.0)
        for milliseconds, share in ((self.takes, 1 - slow), (at_most, slow)):
            found[milliseconds] += share * (1 - delay)
            found[milliseconds + late] += share * delay
        return {milliseconds: share for milliseconds, share in found.items() if share}

    def _scrape(self, at: float) -> None:
        """Prometheus scrapes those whose turn it is."""
        self._counters.scrape(at, dark=self.dark, every=self.scrape_interval, staggered=self.staggered)
        if at % self.scrape_interval == 0:
            self._internals.scrape(at, dark=self.dark)

    def _orders(
        self, at: float, number: int, bad: Failing, shed: float, took: Mapping[float, float]
    ) -> Mapping[tuple[str, Order], int]:
        """The orders of a second, as the ingress gateway counts them: each once, where the routes sent it."""
        found: Counter[tuple[str, Order]] = Counter()
        for request, asked in self.shares.out(self.requests, number).items():
            failing = _mean(bad[request])
            for host, part in self._sent(ENTRY, at, asked).items():
                spoilt = self.spoils.get(host.partition(".")[0], 0.0)
                orders = self._orders_at(host, at, part, failing + (1 - failing) * spoilt, shed, took)
                found.update({(request, order): count for order, count in orders.items()})
        return found

    def _orders_at(
        self, host: str, at: float, number: int, bad: float, shed: float, took: Mapping[float, float]
    ) -> Mapping[Order, int]:
        failed = (1 - shed) * bad ** (1 + self.retries)
        hangs = self.stuck if self._suffers(at) else 0.0
        shares: defaultdict[Order, float] = defaultdict(float)
        for says, part in self._said(at, 1 - shed - failed - hangs).items():
            for milliseconds, share in took.items():
                shares[self._in_time(Order(self.status, "-", milliseconds, says, self._fine))] += part * share
        shares[Order(self.fails_as, "URX" if self.retries else "-", self.takes, Says.NOTHING, self.fails_as_grpc)] += (
            failed
        )
        shares[Order(503, "UO", _AT_ONCE, Says.NOTHING)] += shed
        shares[_UNANSWERED] += hangs
        keyed = self.shares.out({(host, order): share for order, share in shares.items()}, number)
        found = {order: count for (_, order), count in keyed.items() if order is not _UNANSWERED}
        for order, count in found.items():
            self._answered(Side.CALLERS, self.door, order, count, host=host)
        return found

    def _in_time(self, order: Order) -> Order:
        """An order, unless the gateway gave it up before."""
        return order if order.took <= self.patience else Order(504, "UT", self.patience, Says.NOTHING)

    @property
    def _fine(self) -> str:
        """The gRPC status of orders that do not fail; none where HTTP is spoken."""
        return "0" if self.fails_as_grpc else ""

    def _said(self, at: float, good: float) -> Mapping[Says, float]:
        """Of the good orders, which share says what: the fault shows while it is there, or for some time after it."""
        share, last = self._hit
        borne = min(good, self.bears * share) if at - last <= self.sticks else 0.0
        foreign = borne * self.mixes
        degraded = borne * self.degrades + (good - borne) * self.degraded
        return {Says.WHOLE: good - degraded - foreign, Says.DEGRADED: degraded, Says.FOREIGN: foreign}

    def _together(self, bad: Failing) -> Mapping[str, float]:
        """The share of all orders that fail at each replica."""
        of_all = sum(self.requests.values())
        return {
            replica: sum(bad[request][replica] * weight / of_all for request, weight in self.requests.items())
            for replica in next(iter(bad.values()))
        }

    def _arrive(self, at: float, orders: float, bad: Mapping[str, float], took: Mapping[float, float]) -> int:
        """How often the gateway tried; the replicas of ``order-svc`` count what they answer."""
        arrived = self.shares.whole("arrived", orders * _tries(_mean(bad), 1 + self.retries))
        shares = {
            (replica, failed, milliseconds): share * part / len(bad)
            for replica, failing in bad.items()
            for failed, share in ((False, 1 - failing), (True, failing))
            for milliseconds, part in took.items()
        }
        answered = 1 - self.stuck if self._suffers(at) else 1.0
        for (replica, failed, milliseconds), count in self.shares.out(shares, arrived).items():
            code, grpc = (self.fails_as, self.fails_as_grpc) if failed else (200, self._fine)
            order = Order(code, "-", milliseconds, Says.NOTHING, grpc)
            self._answered(Side.CALLED, replica, order, round(count * answered))
        return arrived

    def _ask(self, service: str, calls: float, fault: Felt, at: float, *, caller: str = ENTRY) -> None:
        """The calls of a service; those that the fault answers do not get there."""
        abort, delay = fault.abort, fault.delay
        fine = self.target_status if service == TARGET else "200"
        ends = {
            ("-", fine): (1 - abort) * (1 - delay),
            ("FI", fault.status): abort * (1 - delay),
        }
        if fault.late > 1000 * self.time_out:
            ends["DI,DC", "0"] = delay  # Envoy decides on the abort after the delay
        else:
            ends["DI", fine] = (1 - abort) * delay
            ends["DI,FI", fault.status] = abort * delay
        number = self.shares.whole(f"{caller} {service}", calls)
        for host, part in self._sent(service, at, number).items():
            shares = {(host, caller, *end): share for end, share in ends.items()}
            for (*_, flags, code), count in self.shares.out(shares, part).items():
                self._count(_plain(host), count, caller=caller, pod=caller, code=code, flags=flags)
                if flags in ("-", "DI"):
                    asked = _plain(self.known_as.get(host, host), Side.CALLED)
                    self._count(asked, count, caller=caller, pod=f"{service}-1-a", code=code)

    def _sent(self, service: str, at: float, number: int) -> Mapping[str, int]:
        """Requests to a service by the hosts to which the first route of its VirtualService sends them."""
        host = service_fqdn(service, NAMESPACE)
        for vs in order_for_namespace(merged(self._mesh.in_effect(at)), NAMESPACE):
            if host in hosts_of(vs) and (parts := vs["spec"]["http"][0].get("route")):
                names = [resolve_host(one["destination"]["host"], vs["metadata"]["namespace"]) for one in parts]
                if len(names) > 1:
                    shares = {name: one.get("weight", 0) / 100 for name, one in zip(names, parts, strict=True)}
                    return self.shares.out(shares, number)
                return {names[0]: number}
        return {host: number}

    def _ask_others(self, calls: int, at: float) -> None:
        """The calls of the other services; some fail while there is a fault, where that spreads."""
        bad = self.spreads if self._suffers(at) else 0.0
        left_out = (
            self.skipped if at == self._faulted[1] else self.unfilled if self._faulted[1] > float("-inf") else 0.0
        )
        if left_out:
            calls = self.shares.whole("others", calls * (1 - left_out))
        for name, home in OTHERS:
            for (_, code), count in self.shares.out(
                {(name, "200"): 1 - bad, (name, self.spreads_as): bad}, calls
            ).items():
                self._count(_plain(service_fqdn(name, home)), count, caller=ENTRY, pod=ENTRY, code=code)

    def _in_rotation(self, at: float) -> Sequence[str]:
        """The replicas of ``order-svc`` that get requests; the last is the one that may be spoilt."""
        names = pods_of(ENTRY, self.replicas)
        return names[:-1] if self.replicas > 1 and self.ejected.cover(self._faulted, at) else names

    def _suffers(self, at: float) -> bool:
        """Whether there is a fault, or was one so short a time ago that it lingers."""
        return at - self._faulted[1] <= self.lingers

    def _bad(self, request: str, replica: str, abort: float, at: float) -> float:
        """The share of a replica's orders of one kind that fail."""
        spoilt = self._suffers(at) and replica == pods_of(ENTRY, self.replicas)[-1]
        return min(1.0, self.broken + self._failing(request, abort, at) + (self.spoilt if spoilt else 0.0))

    def _failing(self, request: str, abort: float, at: float) -> float:
        """The share of the orders that fail for the fault's sake: while it is there, or for some time after it."""
        if abort:
            return (1 - self.bears_at.get(request, self.bears)) * abort * min(1.0, self.asks)
        share, last = self._hit
        return share if at - last <= self.heals else 0.0

    def _matched(self, order: Order) -> tuple[str, ...]:
        """The markers that its answer has."""
        return tuple(str(marker) for marker in self.markers if marker.matches(order.says.value))

    def _fault(self, service: str, at: float) -> Felt:
        """What the calls of a service feel."""
        for vs in self._mesh.in_effect(at):
            hosts = [resolve_host(host, vs["metadata"]["namespace"]) for host in vs["spec"].get("hosts") or ()]
            for route in vs["spec"].get("http") or () if service_fqdn(service, NAMESPACE) in hosts else ():
                if fault := route.get("fault"):
                    return Felt.of(fault)
        return Felt()

    def _answered(
        self, side: Side, pod: str, order: Order, number: int, *, caller: str = "", host: str = _ORDERS
    ) -> None:
        """Counts orders, in the histogram too; ``pod`` is that whose proxy counts."""
        self._count(
            _asked(host, side), number, caller=caller or self.door, pod=pod, code=str(order.code), flags=order.flags,
            grpc=order.grpc, took=order.took,
        )  # fmt: skip

    def _count(
        self, asked: Sequence[tuple[Counted, float]], number: int, *, caller: str, pod: str, code: str, flags: str = "-",
        grpc: str = "", took: float = 0.0,
    ) -> None:  # fmt: skip
        code, grpc = ("200", code.removeprefix(GRPC)) if code.startswith(GRPC) else (code, grpc)
        if asked[0][0].side is Side.CALLERS:
            number = round(number * (1 - self.unscraped.get(caller, 0.0)))
        numbers = [(question, number if took <= bound else 0) for question, bound in asked]
        self._counters.count(numbers, caller=caller, pod=pod, code=code, flags=flags, grpc=grpc)


@cache
def _plain(host: str, side: Side = Side.CALLERS) -> tuple[tuple[Counted, float]]:
    """The question that a request is counted for without the histogram, whatever it takes."""
    return ((requests_to(host, side), inf),)


@cache
def _asked(host: str, side: Side) -> tuple[tuple[Counted, float], ...]:
    """The questions that a request is counted for, each if it takes so many milliseconds at most: the histogram's, too."""
    durations = [(Durations(host=host, within=bound, side=side), bound or inf) for bound in (None, *BOUNDS)]
    return (*_plain(host, side), *durations)


@dataclass(frozen=True)
class Times:
    """When something lasts, by the fault.

    Args:
        since: Seconds after the fault's begin from which; ``None``: never.
        after: Seconds after the fault's end up to which.
        of_every: Within that time, how many seconds of every how many; by default all.
    """

    since: float | None
    after: float = 0.0
    of_every: tuple[float, float] = (1.0, 1.0)

    def cover(self, fault: tuple[float, float], at: float) -> bool:
        """Whether it lasts at a moment; ``fault``: the first and the last second with one."""
        if self.since is None or not fault[0] + self.since <= at <= fault[1] + self.after:
            return False
        lasts, every = self.of_every
        return (at - fault[0] - self.since) % every < lasts


def pods_of(workload: str, replicas: int) -> Sequence[str]:
    """The names of its pods."""
    return [f"{workload}-1-{letter}" for letter in ascii_lowercase[:replicas]]


def _tries(failing: float, most: int) -> float:
    """The mean number of tries, if each fails with a share and the last one is the ``most``-th."""
    return sum(failing**before for before in range(most))


def _mean(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / len(shares)
