"""What goes wrong while the fault is there, or did before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.model.verdict import ReasonCode
from chaos.testing.traffic import Times
from tests.support.defects.experiment import (
    ALERT,
    ANSWERED,
    BREAKER,
    DEGRADED,
    DELAY,
    EARLY_END,
    EJECTION,
    FOR_A_WHILE,
    IN_TIME,
    MOST,
    TWO_PATHS,
    VIOLATED,
    WHOLE,
    WHOLE_ALWAYS,
    expecting,
)
from tests.support.defects.variants import Change, Defect, Variant, during, shop, then

DURING: Final[Mapping[str, Defect[Variant]]] = {
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
        ReasonCode.GUARDRAIL_TRIPPED, during(broken=0.95), during(broken=0.01),
        {"guardrail": f"{{title: on fire, {ANSWERED}50%}}"}, or_else=[VIOLATED, *EARLY_END],
    ),
    "requests that hang": Defect(ReasonCode.REQUESTS_HANG, shop(stuck=0.2), shop(), or_else=[ReasonCode.UNDECIDED_RECOVERY]),
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
        ReasonCode.GUARDRAIL_TRIPPED, during(cpus=1.9), during(cpus=1.2), {"guardrail": "{title: istiod is busy, metric: istiod-cpu}"} | FOR_A_WHILE,
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
        ReasonCode.FAULT_OUTSIDE_SCOPE, shop(leaks=5.0), shop(), or_else=EARLY_END, names="report-svc",
    ),
    "somebody else's data in one of fifty answers": Defect(
        VIOLATED, shop(mixes=0.04), shop(), expecting(WHOLE_ALWAYS) | FOR_A_WHILE
    ),
    "fallback that shows too rarely": Defect(VIOLATED, shop(degrades=0.3), shop(), expecting(DEGRADED)),
    "replica that fails for an eighth": Defect(
        VIOLATED, shop(replicas=3, spoilt=0.12), shop(replicas=3, spoilt=0.02),
        expecting(ANSWERED + "95%, per: replica") | FOR_A_WHILE, names="order-svc-1-c",
    ),
    "few requests that hang": Defect(
        ReasonCode.REQUESTS_HANG, shop(stuck=0.02), shop(), expecting(ANSWERED + "99%") | FOR_A_WHILE, or_else=[ReasonCode.UNDECIDED_RECOVERY]
    ),
    "errors in good time": Defect(VIOLATED, shop(bears=0.0, fails_as=504), shop(), expecting(IN_TIME)),
    "404 in the place of errors": Defect(
        ReasonCode.NO_SUCCESS, shop(bears=0.0, fails_as=404), shop(), {"fault": "abort: {percentage: 100, httpStatus: 503}"}
    ),
    "alert that fires too late": Defect(VIOLATED, shop(alerts={"OrdersDegraded": Times(20, 4)}), shop(), expecting(ALERT)),
    "another alert than the one": Defect(
        VIOLATED, shop(alerts={"OrdersDegraded": Times(2, 4), "ShopDown": Times(5)}), shop(),
        expecting(ALERT + ", only: true") | FOR_A_WHILE, names="ShopDown",
    ),
    "well only with the fault": Defect(
        ReasonCode.NOT_STEADY_BEFORE, Variant(later=[Change("start", 0, {"broken": 0.3}), Change("fault", 0, {"broken": 0.0})]), shop()
    ),
    "fallback for one of two paths": Defect(
        VIOLATED, shop(bears_at={"GET /carts/7": 0.0}), shop(),
        expecting('from: client, request: GET /carts/7, good: {status: "<500"}, atLeast: 95%', requests=TWO_PATHS),
    ),
    "slow at the tail": Defect(
        VIOLATED, during(tail=(0.12, 3000.0)), during(tail=(0.12, 400.0)), expecting(IN_TIME) | FOR_A_WHILE
    ),
    "error of gRPC behind a good status": Defect(
        VIOLATED, shop(bears=0.5, fails_as=200, fails_as_grpc="14"), shop(fails_as_grpc="14"),
        expecting("service: order-svc, good: {grpc: OK}, atLeast: 95%"),
    ),
    "connections that are reset": Defect(VIOLATED, shop(bears=0.0, fails_as=0), shop()),
    "gateway that gives up before the fallback comes": Defect(
        VIOLATED, shop(patience=1000.0), shop(patience=1000.0, time_out=0.5), expecting(ANSWERED + "95%", fault=DELAY)
    ),
    "orders that are paid twice": Defect(
        VIOLATED, during(pays=1.8), during(), expecting("attempts: payment-svc, per: order-svc, atMost: 1.3")
    ),
    "queue before the mesh": Defect(
        VIOLATED, during(queues=2000.0), during(queues=200.0), expecting("from: client, good: {within: 1s}, atLeast: 95%")
    ),
    "cache that hides the dependency for 20 s": Defect(
        VIOLATED, then("fault", (20, {"bears": 0.0}), (120, {"bears": 1.0})), shop(), FOR_A_WHILE
    ),
    "dependency that is asked again after 20 s": Defect(
        VIOLATED, then("fault", (0, {"asks": 0.0}), (20, {"asks": 1.0, "bears": 0.0}), (120, {"bears": 1.0})),
        then("fault", (0, {"asks": 0.0}), (10, {"asks": 1.0})), FOR_A_WHILE,
    ),
    "collapse at the last stage": Defect(
        VIOLATED, then("fault", (28, {"bears": 0.0}), (120, {"bears": 1.0})), shop(),
        {"fault": f"{MOST}, stages: [{{for: 12s, percentage: 20}}, {{for: 12s, percentage: 40}}, {{for: 20s}}]"} | FOR_A_WHILE,
    ),
    "second target that is borne badly": Defect(
        VIOLATED, shop(bears=0.6), shop(bears=0.98),
        {"fault": "abort: {percentage: 20, httpStatus: 503}}, {target: {namespace: staging, service: payment-svc, callers: "
                  "{app: order-svc}}, abort: {percentage: 30, httpStatus: 500}"},
    ),
    "degraded without any fault, too": Defect(ReasonCode.NOT_STEADY_BEFORE, shop(degraded=1.0), shop(), expecting(DEGRADED)),
}  # fmt: skip
