"""What is true of every kind of expectation; a new kind gets a sample here."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from chaos.errors import InputError
from chaos.expectations import (
    KINDS,
    AlertExpectation,
    AnyExpectation,
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
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Kind, Look
from chaos.values.answers import Answer

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
LOOK = Look(phase="fault", window=Window(0, 100), namespace="staging", confidence=0.99)


def nothing() -> Evidence:
    return Evidence(scrape_interval=1.0, histogram_lag=5.0)


def test_every_kind_has_a_sample() -> None:
    assert {type(one) for one in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_a_kind_is_known_by_what_a_file_says_of_it(one: Kind) -> None:
    adapter: TypeAdapter[Kind] = TypeAdapter(AnyExpectation)
    assert adapter.validate_python(one.model_dump(mode="json", by_alias=True, exclude_none=True)) == one
    assert adapter.validate_python(one) is one


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_nothing_is_concluded_from_nothing(one: Kind) -> None:
    found = one.decide(nothing(), LOOK)
    told = one.tell(found, "fault")
    assert (found.answer, told.answer, told.tally.total) == (Answer.UNDECIDED, Answer.UNDECIDED, 0)
    assert told.observed.startswith("no ")


def test_what_python_users_get_wrong_is_told() -> None:
    with pytest.raises(InputError, match="either good, or status and within"):
        Expectation("t", service="s", good=Good(status="2xx"), within="1s", at_least="9%")
    with pytest.raises(InputError, match=r"at_most: '2x': expected a number over 0, such as 2, or 'baseline \* 2'"):
        AttemptsExpectation("t", attempts="s", at_most="2x")
    with pytest.raises(InputError, match="bucket bound"):
        Expectation("t", service="s", within="300ms", at_least="9%")
    with pytest.raises(InputError, match="only during_fault can be relative"):
        ClientExpectation("t", within="300ms", at_least="baseline")
    with pytest.raises(InputError, match="Expectation: status: 'fine'"):
        Expectation("t", service="s", status="fine", at_least="9%")
