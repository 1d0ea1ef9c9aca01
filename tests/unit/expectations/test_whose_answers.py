"""Whose answers an expectation counts: of a service anywhere, to one caller, of every replica; and by gRPC's statuses."""

from __future__ import annotations

import pytest

from chaos.errors import InputError
from chaos.expectations import ClientExpectation, Expectation, ReplicaExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Look
from chaos.model.verdict import Outcome, ReasonCode
from chaos.testing.shop import Shop
from chaos.testing.traffic import Times
from chaos.values.answers import Answer
from chaos.values.questions import Durations, Requests, Side
from chaos.values.series import Series
from tests.support.shop_runs import reasons, run

ORDERS = Requests(host="order-svc.staging.svc.cluster.local")
EACH = "{title: each is fine, service: order-svc, per: replica, good: {status: '<500'}, atLeast: 90%}"
ALL = "{title: fine, service: order-svc, good: {status: '<500'}, atLeast: 80%}"
LOOK = Look(phase="fault", window=Window(0, 10), namespace="staging", confidence=0.99)


def evidence(question: Requests, *counted: tuple[dict[str, str], int]) -> Evidence:
    """Counters that rise evenly to these numbers between second 1 and 9."""
    found = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    for labels, n in counted:
        samples = tuple((1.0 + second, float(n * second // 8)) for second in range(9))
        found.add(question, [Series(labels=labels, samples=samples)])
    return found


def answered(code: str, **labels: str) -> dict[str, str]:
    return {"response_code": code, "source_workload": "web", "source_workload_namespace": "staging", **labels}


@pytest.mark.parametrize(("service", "host"), [
    ("order-svc", "order-svc.staging.svc.cluster.local"), ("shop/order-svc", "order-svc.shop.svc.cluster.local"),
])  # fmt: skip
def test_a_service_of_another_namespace_is_observed_by_its_full_name(service: str, host: str) -> None:
    one = Expectation("t", service=service, within="1s", at_least="9%")
    assert set(one.questions("staging")) == {Durations(host=host, within=1000), Durations(host=host)}
    with pytest.raises(InputError, match="such as order-svc, or namespace/name such as shop/order-svc"):
        Expectation("t", service="shop/", status="2xx", at_least="9%")


def test_only_the_requests_of_the_declared_caller_count() -> None:
    counted = evidence(ORDERS, (answered("200"), 500), (answered("500", source_workload="batch"), 500),
                       (answered("500", source_workload_namespace="shop"), 500))  # fmt: skip
    for caller, answer in ((None, "violated"), ("web", "holds"), ("batch", "violated"), ("shop/web", "violated")):
        one = Expectation("t", service="order-svc", caller=caller, status="<500", at_least="95%")
        assert one.decide(counted, LOOK).answer == answer, caller
    nobody = Expectation("t", service="order-svc", caller="nobody", status="<500", at_least="95%")
    assert nobody.decide(counted, LOOK).answer is Answer.UNDECIDED


@pytest.mark.parametrize(("grpc", "answer"), [
    ("OK", "violated"), ("OK|UNAVAILABLE", "violated"), ("OK|UNAVAILABLE|NOT_FOUND", "holds"),
])  # fmt: skip
def test_grpc_statuses_are_told_apart(grpc: str, answer: str) -> None:
    counted = evidence(ORDERS, *((answered("200", grpc_response_status=status), 300) for status in ("0", "5", "14")))
    one = Expectation("t", service="order-svc", good=Good(grpc=grpc), at_least="95%")
    assert one.decide(counted, LOOK).answer == answer


def test_an_answer_that_is_not_of_grpc_has_no_good_grpc_status() -> None:
    counted = evidence(ORDERS, (answered("200", grpc_response_status=""), 500), (answered("200"), 500))
    one = Expectation("t", service="order-svc", good=Good(grpc="OK"), at_least="5%")
    assert one.decide(counted, LOOK).answer is Answer.VIOLATED


@pytest.mark.parametrize("grpc", ["FINE", "ok", "OK,NOT_FOUND", ""])
def test_a_grpc_status_that_does_not_exist_is_told(grpc: str) -> None:
    with pytest.raises(InputError, match=r"expected gRPC statuses.*OK, CANCELLED"):
        Good(grpc=grpc)


def test_what_can_not_be_counted_is_told() -> None:
    with pytest.raises(InputError, match="not both"):
        Good(grpc="OK", status="2xx")
    with pytest.raises(InputError, match="the load speaks HTTP"):
        ClientExpectation("t", good=Good(grpc="OK"), at_least="9%")


def test_three_good_replicas_hold() -> None:
    verdict = run(Shop(replicas=3), EACH, ALL)
    assert verdict.passed, verdict.reasons
    assert verdict.fault[0].observed.startswith("the worst of 3 replicas: ")


def test_one_bad_replica_of_three_is_named_though_the_service_holds() -> None:
    verdict = run(Shop(replicas=3, spoilt=0.5), EACH, ALL)
    assert verdict.outcome is Outcome.FAILED
    assert [one.answer for one in verdict.fault][1] != Answer.VIOLATED
    assert "observed order-svc-1-c (1 of 3 replicas): " in reasons(verdict)[ReasonCode.EXPECTATION_VIOLATED]


def test_a_replica_that_gets_no_request_leaves_it_open() -> None:
    verdict = run(Shop(replicas=3, ejected=Times(0.0)), EACH)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "order-svc-1-c (1 of 3 replicas): no event" in reasons(verdict)[ReasonCode.NO_TRAFFIC]


def test_each_replica_has_its_own_baseline_and_a_part_of_alpha() -> None:
    counted = evidence(Requests(host=ORDERS.host, side=Side.CALLED),
                       *((answered(code, pod=pod), n) for pod in ("a", "b") for code, n in (("200", 98), ("500", 2))))  # fmt: skip
    one = ReplicaExpectation("t", service="order-svc", status="<500", at_least="90%")
    assert one.decide(counted, LOOK).confidence == pytest.approx(1 - 0.01 / 2 * 0.8)


def test_of_a_replica_only_the_callers_requests_count() -> None:
    counted = evidence(Requests(host=ORDERS.host, side=Side.CALLED), (answered("200", pod="a"), 500), (answered("200", pod="b"), 500),
                       (answered("500", pod="b", source_workload="batch"), 500))  # fmt: skip
    for caller, answer in (("web", "holds"), (None, "violated")):
        one = ReplicaExpectation("t", service="order-svc", caller=caller, status="<500", at_least="90%")
        assert one.decide(counted, LOOK).answer == answer
