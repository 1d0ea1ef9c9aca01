"""Ways in which a run tests nothing although every expectation holds, and a run of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop
from chaos.testing.traffic import Times
from tests.support.disturbed import afterwards, when_faulted

EXPERIMENT: Mapping[str, str] = {
    "target": "namespace: staging, service: inventory-svc, callers: {app: order-svc}",
    "fault": "abort: {percentage: 50, httpStatus: 503}",
    "load": "rate: 20, requests: [{path: /orders/42}]",
    "expectation": 'service: order-svc, good: {status: "<500"}, atLeast: 90%',
    "guardrail": 'service: order-svc, good: {status: "<500"}, atLeast: 30%',
    "more": "{}",
}
FORM = """\
experiment: orders
profile: quick
target: {{{target}}}
faults: [{{{fault}}}]
load: {{{load}}}
steadyState: [{{title: answered, {expectation}}}]
guardrails: [{{title: on fire, {guardrail}}}]
recovery: {{within: 20s}}
"""


@dataclass(frozen=True)
class Way:
    """One way: what differs from an experiment at a shop that passes, and the reason that tells it.

    Args:
        traffic: Attributes of the shop's traffic.
        faulted: The same, right after the fault was written.
        restored: The same, once it is taken out.
        added: More of the experiment file.
        hints: What the reason's hint has to say.
    """

    reason: ReasonCode
    experiment: Mapping[str, str] = field(default_factory=dict)
    traffic: Mapping[str, Any] = field(default_factory=dict)
    faulted: Mapping[str, Any] = field(default_factory=dict)
    restored: Mapping[str, Any] = field(default_factory=dict)
    added: str = ""
    hints: str = ""


def expecting(text: str) -> dict[str, str]:
    return {"expectation": text}


CLIENT = "from: client, "
NO_GUARDRAIL = {"guardrail": "alert: ShopDown"}
R = ReasonCode


class Always(Times):
    """An alert that fires whether there is a fault or not."""

    def cover(self, fault: tuple[float, float], at: float) -> bool:
        return True


ALWAYS = Always(0.0)
MANY = ", ".join(f"{{path: /orders/{number}, name: order {number}, weight: 10000}}" for number in range(40))
WAYS: Mapping[str, Way] = {
    # the system did not work before
    "the target has no endpoint": Way(R.TARGET_NOT_ANSWERING, traffic={"target_status": "503"}),
    "the target answers only errors": Way(R.TARGET_NOT_ANSWERING, traffic={"target_status": "500"}),
    "the target knows no path": Way(R.TARGET_NOT_ANSWERING, traffic={"target_status": "404"}),
    "the target lets nobody in": Way(R.TARGET_NOT_ANSWERING, traffic={"target_status": "403"}),
    "the target never answers": Way(R.TARGET_NOT_ANSWERING, traffic={"target_status": "0"}),
    "the entry knows no path": Way(R.NO_SUCCESS, traffic={"status": 404}),
    "the entry wants credentials": Way(R.NO_SUCCESS, traffic={"status": 401}),
    "the entry redirects to a login": Way(R.NO_SUCCESS, traffic={"status": 302}),
    "404 for clients": Way(
        R.NO_SUCCESS, expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%'), traffic={"status": 404}
    ),
    "404 in time": Way(R.NO_SUCCESS, expecting(CLIENT + "good: {within: 1s}, atLeast: 90%"), traffic={"status": 404}),
    "the target is called no more once the fault is gone": Way(R.NO_CALLERS, restored={"asks": 0.0}),
    "the target answers only errors once the fault is gone, which its callers bear": Way(
        R.TARGET_NOT_ANSWERING, restored={"target_status": "500"}, hints="what became of the target's pods"
    ),
    "the entry redirects to a login once the fault is gone": Way(R.NO_SUCCESS, restored={"status": 302}),
    **{
        f"every order fails from the start, and only {what} is expected": Way(
            R.NO_SUCCESS, expecting(expectation) | NO_GUARDRAIL, traffic={"broken": 1.0}
        )
        for what, expectation in {
            "a rate": "throughput: catalog-svc, atLeast: 90%",
            "a number of attempts": "attempts: inventory-svc, atMost: 5",
            "a share of flags": "service: order-svc, flags: UO, atMost: 1%",
            "an alert": "alert: OrdersDegraded, firesWithin: 10s",
            "a key metric": "metric: istiod-cpu",
            "that others are unaffected": "unaffected: [catalog-svc]",
        }.items()
    },
    **{
        f"every order fails once the fault is gone, and only {what} is expected": Way(
            R.NO_SUCCESS, expecting(expectation) | NO_GUARDRAIL, restored={"broken": 1.0}
        )
        for what, expectation in {
            "a rate": "throughput: catalog-svc, atLeast: 90%",
            "a key metric": "metric: request-rate, service: order-svc",
        }.items()
    },
    **{
        f"401 of other services, of which only {what} is expected": Way(
            R.NO_SUCCESS,
            expecting(expectation),
            traffic={"spreads_as": "401", "lingers": 60.0},
            faulted={"spreads": 1.0},
        )
        for what, expectation in {
            "that they are unaffected": "unaffected: [catalog-svc, platform/session-svc]",
            "how often they are asked": "throughput: catalog-svc, atLeast: 90%",
        }.items()
    },
    "404 as soon as there is a fault": Way(R.NO_SUCCESS, faulted={"status": 404}),
    "only a time, and fast errors from the start": Way(
        R.NOT_STEADY_BEFORE, expecting("service: order-svc, good: {within: 1s}, atLeast: 90%"), traffic={"broken": 1.0}
    ),
    "a guardrail that is violated without any fault": Way(
        R.NOT_STEADY_BEFORE,
        {"guardrail": 'service: order-svc, good: {status: "<500"}, atLeast: 99%'},
        traffic={"broken": 0.06},
    ),
    "a guardrail by an alert that fires without any fault": Way(
        R.NOT_STEADY_BEFORE, {"guardrail": "alert: ShopDown"}, traffic={"alerts": {"ShopDown": ALWAYS}}
    ),
    "a guardrail by a key metric that is over its range without any fault": Way(
        R.NOT_STEADY_BEFORE,
        {"guardrail": "metric: istiod-cpu"},
        traffic={"cpus": 1.9},
        added="limits: {baseline: 60s}\nobserve: {atLeast: 60s}",
    ),
    # nothing could break
    "a rare delay": Way(R.CANNOT_BREAK, {"fault": "delay: {percentage: 10, fixedDelay: 2s}"}),
    "a percentage that was meant as a share": Way(
        R.CANNOT_BREAK,
        {"fault": "abort: {percentage: 0.5, httpStatus: 503}"}
        | expecting('service: order-svc, good: {status: "<500"}, atLeast: 50%'),
    ),
    "half is enough during a fault of half": Way(
        R.CANNOT_BREAK, expecting('service: order-svc, good: {status: "<500"}, atLeast: 90%, duringFault: 45%')
    ),
    "more may be lost than is hit": Way(
        R.CANNOT_BREAK,
        expecting('service: order-svc, good: {status: "<500"}, atLeast: 90%, duringFault: baseline - 60%'),
    ),
    "as many degraded answers as without the fault are enough": Way(
        R.CANNOT_BREAK,
        expecting("fallback: {jsonPath: {degraded: true}}, atLeast: 1%, atMost: 5%"),
        traffic={"degraded": 0.02},
    ),
    "as many refused requests as without the fault are enough": Way(
        R.CANNOT_BREAK, expecting("service: order-svc, flags: UO, atMost: 5%, duringFault: at least 5%")
    ),
    "requests are refused with the fault and without it, so nothing shows that a breaker opens": Way(
        R.UNDECIDED_DURING_FAULT,
        expecting("breaker: order-svc, opensWithin: 10s, atMost: 10%"),
        traffic={"breaker": ALWAYS, "sheds": 0.02},
        hints="some requests are refused without any fault",
    ),
    "every answer is good": Way(R.CANNOT_BREAK, expecting('service: order-svc, good: {status: "<600"}, atLeast: 90%')),
    "few of the load's requests call the target": Way(R.FAULT_TOO_SMALL, traffic={"asks": 0.1}),
    "the load's requests call the target less often than declared": Way(
        R.FAULT_TOO_SMALL,
        {
            "target": "namespace: staging, service: inventory-svc, callers: {app: order-svc}, callsPerRequest: 10",
            "fault": "abort: {percentage: 5, httpStatus: 503}",
        },
    ),
    **{
        f"only {what} is expected, which the fault can't reach": Way(
            R.OUT_OF_REACH, expecting(expectation) | NO_GUARDRAIL
        )
        for what, expectation in {
            "the answers of a service that the caller calls beside the target": 'service: catalog-svc, good: {status: "<500"}, atLeast: 90%',
            "the answers of another namespace": 'service: platform/session-svc, good: {status: "<500"}, atLeast: 90%',
            "a share of flags": "service: payment-svc, flags: UO, atMost: 1%",
        }.items()
    },
    "only the target's answers to a caller that is not hit are expected": Way(
        R.OUT_OF_REACH,
        expecting('service: inventory-svc, caller: report-svc, good: {status: "<500"}, atLeast: 90%') | NO_GUARDRAIL,
        traffic={"spared": 20.0},
    ),
    "only the answers of the target's own replicas are expected, which no fault of their callers reaches": Way(
        R.OUT_OF_REACH,
        expecting('service: inventory-svc, per: replica, good: {status: "<500"}, atLeast: 90%') | NO_GUARDRAIL,
        traffic={"bears": 0.0},
    ),
    "faults hit the orders of others": Way(
        R.FAULT_HITS_OTHERS,
        expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%'),
        traffic={"asks": 0.0, "others": 20.0},
    ),
    "faults hit the orders of others mostly": Way(
        R.FAULT_HITS_OTHERS,
        expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%'),
        traffic={"asks": 0.1, "others": 40.0},
    ),
    "others send as much as the load to a service whose throughput is compared": Way(
        R.OTHERS_CALL, expecting("throughput: inventory-svc"), traffic={"others": 20.0}
    ),
    "others send as much as the load to a service whose attempts are counted": Way(
        R.OTHERS_CALL, expecting("attempts: inventory-svc, atMost: 5"), traffic={"others": 20.0}
    ),
    # too little was seen
    "a few faulted requests": Way(R.TOO_FEW_FAULTED, traffic={"asks": 0.05}, added="limits: {fault: 40s}"),
    "a service that is to stay unaffected is called no more": Way(
        R.NO_TRAFFIC,
        expecting("unaffected: [catalog-svc]"),
        traffic={"skipped": 1.0},
        hints="were counted before the fault",
    ),
    "fewer faulted requests than are asked for": Way(
        R.TOO_FEW_FAULTED, traffic={"asks": 0.5}, added="minFaulted: 1000"
    ),
    "99.9 % of 1200 events": Way(
        R.CANNOT_DECIDE, expecting('service: order-svc, good: {status: "<500"}, atLeast: 99.9%')
    ),
    "a delay that takes all of the fault's time": Way(
        R.CANNOT_DECIDE, {"fault": "delay: {percentage: 50, fixedDelay: 119s}"}
    ),
    "a fault of one in a thousand": Way(
        R.CANNOT_DECIDE,
        {"fault": "abort: {percentage: 0.1, httpStatus: 503}"}
        | expecting('service: order-svc, good: {status: "<500"}, atLeast: 99.95%'),
    ),
    "a request of which too few are sent": Way(
        R.CANNOT_DECIDE,
        {"load": "rate: 20, requests: [{path: /orders/42, weight: 99}, {path: /rare}]"}
        | expecting(CLIENT + 'request: GET /rare, good: {status: "<500"}, atLeast: 90%'),
    ),
    "a guardrail for a caller that there is not": Way(
        R.GUARDRAIL_BLIND,
        {"guardrail": 'service: order-svc, caller: order-svc-v2, good: {status: "<500"}, atLeast: 30%'},
    ),
    "a guardrail for a request that nobody sends": Way(
        R.GUARDRAIL_BLIND,
        {
            "load": f"rate: 20, requests: [{MANY}, {{path: /rare, name: rare}}]",
            "guardrail": 'from: client, request: rare, good: {status: "<500"}, atLeast: 30%',
        },
    ),
    "a guardrail by a speed that so short a fault does not show": Way(
        R.GUARDRAIL_BLIND, {"guardrail": "metric: istiod-cpu"}
    ),
    "a key metric whose data end with the fault": Way(
        R.METRICS_LOST, expecting("metric: istiod-cpu"), faulted={"dark": {"istiod-1-a"}}
    ),
    "one of two callers is scraped no more": Way(
        R.CALLER_NOT_SCRAPED, traffic={"others": 5.0}, faulted={"dark": {"mobile"}}
    ),
    "nobody is scraped any more during the fault": Way(
        R.FAULT_NOT_SEEN,
        expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%') | NO_GUARDRAIL,
        faulted={"dark": {"order-svc", "ingress", "order-svc-1-a", "inventory-svc-1-a"}},
        hints="do what metrics-lost says",
    ),
    "one of two callers is scraped no more after the fault": Way(
        R.CALLER_NOT_SCRAPED, traffic={"others": 5.0}, restored={"dark": {"mobile"}}
    ),
    "requests that are never answered": Way(
        R.REQUESTS_HANG, expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%'), traffic={"stuck": 0.3}
    ),
    "users of a locustfile who are never answered": Way(
        R.REQUESTS_HANG, {"load": "locustfile: shop.py, users: 10"}, faulted={"waiting": (3.5, 3.5, 3.5)}
    ),
    # others
    "no load reaches the system": Way(R.NO_TRAFFIC, traffic={"kept": 0.0}),
    "the load does not call the target": Way(R.NO_CALLERS, traffic={"asks": 0.0}),
    "a generator that is too slow": Way(R.LOAD_STARVED, traffic={"kept": 0.5}),
    "a generator that is too slow after the fault, where rates are compared": Way(
        R.LOAD_STARVED, expecting("throughput: catalog-svc, atLeast: 90%"), restored={"kept": 0.5}
    ),
    "a generator that is a little too slow after a long fault, where rates are compared": Way(
        R.LOAD_STARVED,
        {"fault": "abort: {percentage: 50, httpStatus: 503}, stages: [{for: 110s}]"}
        | expecting("throughput: catalog-svc, atLeast: 90%"),
        restored={"kept": 0.86},
    ),
    "a generator that was too slow before the fault, where rates are compared": Way(
        R.LOAD_STARVED,
        expecting("metric: request-rate, service: order-svc"),
        traffic={"kept": 0.2},
        faulted={"kept": 1.0},
    ),
}


def run(way: Way) -> tuple[Shop, Verdict]:
    shop = Shop()

    def change(attributes: Mapping[str, Any]) -> Callable[[], None]:
        def act() -> None:
            for name, value in attributes.items():
                assert hasattr(shop.traffic, name)
                setattr(shop.traffic, name, value)

        return act

    change(way.traffic)()
    shop.clock.sleep(10)  # what was there before, the metrics know
    when_faulted(shop, change(way.faulted), after=0.0)
    afterwards(shop, "delete_virtual_service", change(way.restored), after=1.0)
    text = FORM.format(**{**EXPERIMENT, **way.experiment}) + way.added
    with TemporaryDirectory() as folder:
        return shop, shop.harness(report_dir=folder).run(parse_experiment(text)).verdict
