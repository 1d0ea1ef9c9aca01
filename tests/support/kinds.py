"""An expectation of every kind; a new kind gets a sample here."""

from __future__ import annotations

from chaos.expectations import (
    AlertExpectation,
    AttemptsExpectation,
    BreakerExpectation,
    ClientExpectation,
    EjectionExpectation,
    Expectation,
    FallbackExpectation,
    FlagsExpectation,
    MetricExpectation,
    PromqlExpectation,
    ReplicaExpectation,
    ThroughputExpectation,
    UnaffectedExpectation,
)
from chaos.expectations.good import Good

SAMPLES = (
    Expectation("taken", service="order-svc", status="<500", at_least="95%", during_fault="baseline - 1%"),
    Expectation("taken soon", service="order-svc", within="1s", at_least=0.95),
    ClientExpectation("seen soon", within="300ms", at_least="99%", request="GET /orders"),
    AttemptsExpectation("few", attempts="stock", per="web", caller="web", at_most=1.5, during_fault="baseline * 2"),
    AttemptsExpectation("few in all", attempts="shop/stock", at_most="baseline * 1.5"),
    FlagsExpectation(
        "not shed", service="shop/order-svc", flags=["UO", "UH"], at_most="1%", during_fault="at least 5%"
    ),
    BreakerExpectation("opens", breaker="order-svc", flags="UH", opens_within="8s"),
    EjectionExpectation("out", ejection="order-svc", within="8s"),
    ClientExpectation("their own", good=Good(status="2xx", json_path={"order.id": "42"}), at_least="99%"),
    FallbackExpectation("degraded", fallback=Good(header={"x-stock": "unknown"}), at_least="20%", at_most="2%"),
    ReplicaExpectation("taken by each", service="shop/order-svc", caller="web", good=Good(grpc="OK"), at_least="95%"),
    UnaffectedExpectation("the rest", unaffected=["catalog-svc", "platform/session-svc"], margin="2%"),
    AlertExpectation("told", alert="OrdersDegraded", fires_within="30s", only=True),
    ThroughputExpectation("refills", throughput="order-svc", at_least="80%", during_fault="50%"),
    MetricExpectation("no storm", metric="request-rate", service="order-svc", at_most="baseline * 2"),
    MetricExpectation("small", metric="proxy-memory", at_most="256Mi"),
    PromqlExpectation("up", promql="sum(up) > 3"),
)
