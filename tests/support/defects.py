"""Broken variants of the shop in memory, and their healthy twins: what an experiment is for, and has to tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final, Generic, Literal, TypeVar

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop
from chaos.testing.traffic import Times

Moment = Literal["start", "fault", "restore"]
V = TypeVar("V")
"""How a variant of a shop is described."""
FORM: Final = """\
experiment: orders
profile: {profile}
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{{{fault}}}]
load: {{rate: {rate}, requests: [{{path: /orders/42}}]}}
steadyState: [{{title: expected, {expected}}}]
guardrails: [{guardrail}]
recovery: {{within: {within}}}
"""
ANSWERED: Final = 'service: order-svc, good: {status: "<500"}, atLeast: '
IN_TIME: Final = "service: order-svc, good: {within: 1s}, atLeast: 95%"
WHOLE: Final = 'from: client, good: {status: 2xx, jsonPath: {order.id: "42"}}, atLeast: 95%'
WHOLE_ALWAYS: Final = WHOLE.replace("95%", "99%")
DEGRADED: Final = "fallback: {jsonPath: {degraded: true}}, atLeast: 20%"
BREAKER: Final = "breaker: order-svc, opensWithin: 10s"
EJECTION: Final = "ejection: order-svc, within: 15s"
ALERT: Final = "alert: OrdersDegraded, firesWithin: 10s"
MOST: Final = "abort: {percentage: 80, httpStatus: 503}"
FOR_A_WHILE: Final = {"profile": "default"}
"""What a phase of some seconds does not see."""
DELAY: Final = "delay: {percentage: 50, fixedDelay: 3s}"
ENDLESS: Final = 10_000.0
DECLARED: Final[Mapping[str, str]] = {
    "profile": "quick",
    "fault": "abort: {percentage: 50, httpStatus: 503}",
    "rate": "40",
    "expected": ANSWERED + "95%",
    "guardrail": "",
    "within": "20s",
}


@dataclass(frozen=True)
class Change:
    """From a moment on, the shop behaves in another way.

    Args:
        since: From when on its seconds count.
        seconds: So long after that.
        traffic: Attributes of the shop's traffic.
    """

    since: Moment
    seconds: float
    traffic: Mapping[str, Any]


def changes(since: Moment, *steps: tuple[float, Mapping[str, Any]]) -> Sequence[Change]:
    return [Change(since, seconds, traffic) for seconds, traffic in steps]


def outages(length: float, every: float, share: float = 1.0) -> Sequence[Change]:
    """Some time in which a share of all orders fails, again and again, as long as anybody looks."""
    found: list[Change] = []
    for number in range(int(400 / every)):
        at = (number + 0.6) * every
        found += changes("start", (at, {"broken": share}), (at + length, {"broken": 0.0}))
    return found


@dataclass(frozen=True)
class Variant:
    """A shop as it behaves: what it does from the beginning, and how it changes.

    Args:
        distribution: Seconds until the proxies lose what was taken out.
    """

    shop: Mapping[str, Any] = field(default_factory=dict)
    later: Sequence[Change] = ()
    distribution: float = 0.0


@dataclass(frozen=True)
class Defect(Generic[V]):
    """One defect: the experiment that somebody would write, both shops, and the reason that must come.

    Args:
        reason: Of the broken shop.
        broken: Which has the defect.
        twin: Which has it not.
        declared: What differs from ``DECLARED``.
        or_else: Reasons that may come beside it, or in its place.
        names: What the messages have to name.
    """

    reason: ReasonCode
    broken: V
    twin: V
    declared: Mapping[str, str] = field(default_factory=dict)
    or_else: Sequence[ReasonCode] = ()
    names: str = ""

    def told(self, verdict: Verdict) -> bool:
        """Whether a verdict on the broken shop has the right reason, and no other one."""
        codes = {reason.code for reason in verdict.reasons}
        messages = " ".join(reason.message for reason in verdict.reasons)
        return bool(codes) and codes <= {self.reason, *self.or_else} and self.names in messages


def shop(**behaviour: Any) -> Variant:
    return Variant(behaviour)


def then(since: Moment, *steps: tuple[float, Mapping[str, Any]]) -> Variant:
    return Variant(later=changes(since, *steps))


def expecting(text: str, **declared: str) -> dict[str, str]:
    return {"expected": text, **declared}


def during(**changed: Any) -> Variant:
    """What changes with the fault, and back with its end."""
    return Variant(later=[Change("fault", 0, changed), Change("restore", 0, usual(changed))])


def afterwards(seconds: float, **changed: Any) -> Variant:
    """What changes with the fault's end, and back some seconds later."""
    return Variant(later=[Change("restore", 0, changed), Change("restore", seconds, usual(changed))])


def usual(names: Iterable[str]) -> Mapping[str, Any]:
    return {name: getattr(Shop().traffic, name) for name in names}


R = ReasonCode
VIOLATED, LATE = R.EXPECTATION_VIOLATED, R.NOT_RECOVERED
EARLY_END: Final = (R.TOO_FEW_FAULTED, R.UNDECIDED_DURING_FAULT, R.FAULT_NOT_SEEN, R.NO_TRAFFIC)
"""Reasons that come with one that ended the run at once."""
NOW_AND_THEN: Final = (
    R.BURSTY,
    R.NOT_STEADY_BEFORE,
    R.UNDECIDED_BEFORE,
    R.UNDECIDED_DURING_FAULT,
    R.UNDECIDED_RECOVERY,
    LATE,
)
"""Reasons of what comes so rarely that a phase may see it once."""
DEFECTS: Final[Mapping[str, Defect[Variant]]] = {
    # during the fault
    "hard dependency": Defect(VIOLATED, shop(bears=0.0), shop()),
    "fallback that throws for a fifth": Defect(VIOLATED, shop(bears=0.8), shop()),
    "2 % too many errors for the bound": Defect(
        VIOLATED, shop(bears=0.92), shop(bears=0.98), expecting(ANSWERED + "98%", rate="80")
    ),
    "no time-out": Defect(VIOLATED, shop(), shop(time_out=0.5), expecting(IN_TIME, fault=DELAY)),
    "slow answers with good statuses": Defect(VIOLATED, during(takes=1500.0), during(takes=300.0), expecting(IN_TIME)),
    "answers that slow down while the fault lasts": Defect(
        VIOLATED,
        then("fault", *((at, {"takes": 80.0 * at}) for at in range(1, 30)), (60, {"takes": 20.0})),
        shop(takes=80.0),
        expecting(IN_TIME, within="60s") | FOR_A_WHILE,
    ),
    "collapse in the second half of the fault": Defect(
        VIOLATED, then("fault", (15, {"broken": 0.5}), (50, {"broken": 0.0})), shop(), {"within": "60s"} | FOR_A_WHILE
    ),
    "collapse that a guardrail ends": Defect(
        R.GUARDRAIL_TRIPPED, during(broken=0.95), during(broken=0.01),
        {"guardrail": f"{{title: on fire, {ANSWERED}50%}}"}, or_else=[VIOLATED, *EARLY_END],
    ),
    "requests that hang": Defect(R.REQUESTS_HANG, shop(stuck=0.2), shop(), or_else=[R.UNDECIDED_RECOVERY]),
    "storm of requests": Defect(
        VIOLATED, during(others=200.0), during(others=20.0), expecting("metric: request-rate, service: order-svc")
    ),
    "slow answers in the 99th percentile": Defect(
        VIOLATED, during(takes=200.0), during(takes=80.0), expecting("metric: latency, service: order-svc")
    ),
    "configurations that arrive late": Defect(VIOLATED, shop(converges=4.0), shop(converges=0.4), expecting("metric: convergence")),
    "control plane that sends without end": Defect(VIOLATED, during(pushes=20.0), during(pushes=1.0), expecting("metric: pushes")),
    "proxy that grows": Defect(
        VIOLATED, during(memory=300e6), during(memory=150e6), expecting("metric: proxy-memory"), names="payment-svc-1-a"
    ),
    "control plane whose load a guardrail ends": Defect(
        R.GUARDRAIL_TRIPPED, during(cpus=1.9), during(cpus=1.2), {"guardrail": "{title: istiod is busy, metric: istiod-cpu}"} | FOR_A_WHILE,
        or_else=EARLY_END,
    ),
    "error as 200": Defect(VIOLATED, shop(bears=0.5, fails_as=200), shop(), expecting(WHOLE)),
    "somebody else's data": Defect(VIOLATED, shop(mixes=0.4), shop(), expecting(WHOLE)),
    "fallback that never shows": Defect(VIOLATED, shop(degrades=0.0), shop(), expecting(DEGRADED)),
    "unbounded retries": Defect(
        VIOLATED, shop(tries=10), shop(tries=2),
        expecting("attempts: inventory-svc, per: order-svc, atMost: 1.2, duringFault: 2.5", fault=MOST),
    ),
    "retries of two layers": Defect(
        VIOLATED, shop(bears=0.0, tries=3, retries=3), shop(tries=3),
        expecting("attempts: inventory-svc, atMost: 1.5, duringFault: 4", fault=MOST),
    ),
    "retries used up": Defect(
        VIOLATED, shop(bears=0.0, retries=1), shop(bears=1.0, retries=1),
        expecting("service: order-svc, flags: [URX, UT], atMost: 1%, duringFault: at most 5%"),
    ),
    "breaker that never opens": Defect(VIOLATED, shop(), shop(breaker=Times(3, 5)), expecting(BREAKER)),
    "breaker that opens too late": Defect(
        VIOLATED, shop(breaker=Times(20, 5)), shop(breaker=Times(3, 5)), expecting(BREAKER)
    ),
    "one bad replica of three": Defect(
        VIOLATED, shop(replicas=3, spoilt=0.3), shop(replicas=3, spoilt=0.0),
        expecting(ANSWERED + "85%, per: replica"), names="order-svc-1-c",
    ),
    "bad replica that is not ejected": Defect(
        VIOLATED, shop(replicas=3, spoilt=0.6), shop(replicas=3, spoilt=0.6, ejected=Times(5, 10)), expecting(EJECTION)
    ),
    "errors of one caller's requests": Defect(
        VIOLATED, shop(bears=0.7, others=400.0), shop(bears=1.0, others=400.0),
        expecting(ANSWERED + "95%, caller: ingress"),
    ),
    "cascade to others": Defect(
        VIOLATED, shop(spreads=0.1), shop(), expecting("unaffected: [catalog-svc, platform/session-svc]") | FOR_A_WHILE,
        names="session-svc",
    ),
    "alert that never fires": Defect(
        VIOLATED, shop(alerts={"OrdersDegraded": Times(None)}), shop(), expecting(ALERT)
    ),
    "fault outside its scope": Defect(
        R.FAULT_OUTSIDE_SCOPE, shop(leaks=5.0), shop(), or_else=EARLY_END, names="report-svc",
    ),
    # of a few requests, or somewhat late
    "somebody else's data in one of fifty answers": Defect(
        VIOLATED, shop(mixes=0.04), shop(), expecting(WHOLE_ALWAYS) | FOR_A_WHILE
    ),
    "fallback that shows too rarely": Defect(VIOLATED, shop(degrades=0.3), shop(), expecting(DEGRADED)),
    "replica that fails for an eighth": Defect(
        VIOLATED, shop(replicas=3, spoilt=0.12), shop(replicas=3, spoilt=0.02),
        expecting(ANSWERED + "95%, per: replica") | FOR_A_WHILE, names="order-svc-1-c",
    ),
    "few requests that hang": Defect(
        R.REQUESTS_HANG, shop(stuck=0.02), shop(), expecting(ANSWERED + "99%") | FOR_A_WHILE, or_else=[R.UNDECIDED_RECOVERY]
    ),
    "errors in good time": Defect(VIOLATED, shop(bears=0.0, fails_as=504), shop(), expecting(IN_TIME)),
    "404 in the place of errors": Defect(
        R.NO_SUCCESS, shop(bears=0.0, fails_as=404), shop(), {"fault": "abort: {percentage: 100, httpStatus: 503}"}
    ),
    "alert that fires too late": Defect(VIOLATED, shop(alerts={"OrdersDegraded": Times(20, 4)}), shop(), expecting(ALERT)),
    "another alert than the one": Defect(
        VIOLATED, shop(alerts={"OrdersDegraded": Times(2, 4), "ShopDown": Times(5)}), shop(),
        expecting(ALERT + ", only: true") | FOR_A_WHILE, names="ShopDown",
    ),
    "well only with the fault": Defect(
        R.NOT_STEADY_BEFORE, Variant(later=[Change("start", 0, {"broken": 0.3}), Change("fault", 0, {"broken": 0.0})]), shop()
    ),
    # again and again
    "down for 2 s in every 20 s": Defect(
        VIOLATED, Variant(later=outages(2, 20)), Variant(later=outages(2, 20, 0.02)), expecting(ANSWERED + "97%"), or_else=NOW_AND_THEN
    ),
    "down for 1 s in every 8 s": Defect(
        VIOLATED, Variant(later=outages(1, 8)), Variant(later=outages(1, 8, 0.02)), or_else=NOW_AND_THEN
    ),
    # after the fault
    "recovery after three times the deadline": Defect(LATE, shop(heals=60.0), shop(heals=10.0)),
    "recovery somewhat later than the deadline": Defect(
        LATE, afterwards(25, broken=1.0), afterwards(18, broken=1.0), FOR_A_WHILE
    ),
    "relapse after 12 s, for ever": Defect(LATE, then("restore", (12, {"broken": 0.6})), shop(), {"within": "10s"} | FOR_A_WHILE),
    "relapse after 12 s, for 12 s": Defect(
        LATE, then("restore", (12, {"broken": 0.6}), (24, {"broken": 0.0})), shop(), {"within": "10s"} | FOR_A_WHILE,
        or_else=[R.BURSTY, R.UNDECIDED_RECOVERY], names="for a time that ended 2",
    ),
    "never well again": Defect(LATE, afterwards(ENDLESS, broken=0.3), afterwards(6, broken=0.3)),
    "slow for ever after the fault": Defect(LATE, afterwards(ENDLESS, takes=1500.0), afterwards(4, takes=1500.0), expecting(IN_TIME)),
    "stuck pool": Defect(LATE, afterwards(ENDLESS, status=0, takes=9000.0), afterwards(6, status=0, takes=9000.0)),
    "pool that does not refill": Defect(
        LATE, shop(unfilled=0.4), shop(), expecting("throughput: catalog-svc, atLeast: 90%")
    ),
    "alert that does not resolve": Defect(
        LATE, shop(alerts={"OrdersDegraded": Times(2, ENDLESS)}), shop(), expecting(ALERT)
    ),
    "fallback that is cached for ever": Defect(LATE, shop(sticks=ENDLESS), shop(sticks=5.0), expecting(DEGRADED)),
    "breaker that never closes": Defect(LATE, shop(breaker=Times(3, ENDLESS)), shop(breaker=Times(3, 5)), expecting(BREAKER)),
    "replica that stays ejected": Defect(
        LATE, shop(replicas=3, spoilt=0.6, ejected=Times(5, ENDLESS)), shop(replicas=3, spoilt=0.6, ejected=Times(5, 10)),
        expecting(EJECTION),
    ),
    "a tenth of errors ever after": Defect(
        LATE, afterwards(ENDLESS, broken=0.1), afterwards(ENDLESS, broken=0.02), FOR_A_WHILE
    ),
    "leak that grows slowly": Defect(
        LATE, then("restore", *((at, {"broken": at * 0.004}) for at in range(5, 200, 5))), shop(), FOR_A_WHILE
    ),
    "good and bad by turns": Defect(
        LATE, then("restore", *((2 * at, {"broken": 0.6 * (at % 2)}) for at in range(100))), shop(), FOR_A_WHILE
    ),
    "relapse after 25 s, for ever": Defect(
        LATE, then("restore", (25, {"broken": 0.6})), shop(), {"within": "10s"} | FOR_A_WHILE
    ),
    "latency that comes back slowly": Defect(
        LATE, then("restore", *((at, {"takes": 100.0 + at * 40}) for at in range(0, 100, 2))), afterwards(6, takes=1500.0),
        expecting(IN_TIME) | FOR_A_WHILE,
    ),
    "cache that was poisoned": Defect(
        LATE, Variant({"sticks": ENDLESS}, changes("restore", (0, {"mixes": 1.0}))), shop(sticks=ENDLESS), expecting(WHOLE)
    ),
    "retries that go on": Defect(
        LATE, afterwards(ENDLESS, asks=3.0), afterwards(6, asks=3.0),
        expecting("attempts: inventory-svc, per: order-svc, atMost: 1.5, duringFault: 3") | FOR_A_WHILE,
    ),
    "pool that refills too late": Defect(
        LATE, Variant({"unfilled": 0.4}, changes("restore", (60, {"unfilled": 0.0}))),
        Variant({"unfilled": 0.4}, changes("restore", (8, {"unfilled": 0.0}))),
        expecting("throughput: catalog-svc, atLeast: 90%") | FOR_A_WHILE,
    ),
    "breaker that is half open for ever": Defect(
        LATE, shop(breaker=Times(3, ENDLESS, of_every=(1, 4))), shop(breaker=Times(3, 5)), expecting(BREAKER) | FOR_A_WHILE
    ),
    "ejection again and again": Defect(
        LATE, shop(replicas=3, spoilt=0.6, ejected=Times(3, ENDLESS, of_every=(8, 16))),
        shop(replicas=3, spoilt=0.6, ejected=Times(3, 6, of_every=(3, 6))), expecting(EJECTION) | FOR_A_WHILE,
    ),
    "alert that fires again and again": Defect(
        LATE, shop(alerts={"OrdersDegraded": Times(2, ENDLESS, of_every=(3, 10))}), shop(), expecting(ALERT) | FOR_A_WHILE
    ),
    "service that is asked no more": Defect(
        LATE, shop(skipped=1.0, unfilled=1.0), shop(skipped=1.0), expecting("throughput: catalog-svc, atLeast: 90%")
    ),
    "fault that stays in the proxies": Defect(R.STILL_FAULTED, Variant(distribution=45.0), Variant(distribution=10.0)),
}  # fmt: skip


def run(declared: Mapping[str, str], variant: Variant, *, seed: int | None = None) -> Verdict:
    """The verdict on a shop; with a seed, chance decides about each order, and when what comes again and again comes."""
    shop = Shop(seed=seed, **variant.shop)
    offset = Random(seed).uniform(0, 30) if seed is not None else 0.0

    def change(traffic: Mapping[str, Any]) -> None:
        shop.traffic.catch_up()
        for name, value in traffic.items():
            assert hasattr(shop.traffic, name)
            setattr(shop.traffic, name, value)

    def begin(since: Moment) -> None:
        for one in variant.later:
            if one.since == since:
                shop.clock.later(one.seconds, partial(change, one.traffic))

    def after(name: str, since: Moment) -> None:
        write = getattr(shop.mesh, name)

        def writing(*arguments: Any, **options: Any) -> Any:
            if not options.get("dry_run"):
                shop.mesh.distribution = variant.distribution if since == "restore" else 0.0
                begin(since)
            return write(*arguments, **options)

        setattr(shop.mesh, name, writing)

    begin("start")
    shop.clock.sleep(10 + offset)
    after("create_virtual_service", "fault")
    after("delete_virtual_service", "restore")
    with TemporaryDirectory() as folder:
        return (
            shop.harness(report_dir=folder)
            .run(parse_experiment(declared.get("file", FORM).format(**{**DECLARED, **declared})))
            .verdict
        )
