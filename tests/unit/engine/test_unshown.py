"""What a green verdict does not show, it says; and what only others' requests could have broken is not green."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from chaos.model.verdict import ReasonCode
from chaos.reporting.prose import verdict_markdown, verdict_text
from tests.support.defects.experiment import (
    ANSWERED,
    DEGRADED,
    DELAY,
    FORM,
    MOST,
    TWO_PATHS,
    expecting,
    run,
)
from tests.support.defects.variants import ENDLESS, Variant, afterwards, changes, shop, then

ANY_CALLER = FORM.replace(", callers: {{app: order-svc}}", "")
SECOND_TARGET = (
    "abort: {percentage: 50, httpStatus: 503}}, {target: {namespace: staging, service: payment-svc, callers: {app: order-svc}}, "
    "abort: {percentage: %d, httpStatus: 500}"
)
OF_CARTS = 'from: client, request: GET /carts/7, good: {status: "<500"}, atLeast: 95%'


@pytest.mark.parametrize(
    ("variant", "declared", "told"),
    [
        (shop(), {"fault": SECOND_TARGET % 2}, "the fault at staging/payment-svc alone was too small"),
        (shop(bears=0.0), expecting("metric: istiod-cpu"), "answers to the load were no successes (2xx), and before the fault 0 of"),
        (shop(bears=0.0), expecting("throughput: inventory-svc"), "no expectation is about the answers to requests"),
        (shop(bears=0.0), expecting("unaffected: [catalog-svc]"), "no expectation is about the answers to requests"),
        (shop(bears=0.5), expecting(DEGRADED), "no expectation is about the answers to requests"),
        (
            shop(bears=0.0, fails_as=429),
            {"fault": "abort: {percentage: 50, httpStatus: 429}"},
            "an answer that only passes on the fault's status 429 counts as good",
        ),
        (shop(bears=0.0, fails_as=429), expecting("metric: request-rate, service: order-svc"), "no expectation is about the answers to requests: during"),
        (afterwards(ENDLESS, broken=0.5), expecting("throughput: catalog-svc"), "no expectation is about the answers to requests: after the recovery"),
        (Variant({"fails_as": 429}, changes("restore", (0, {"broken": 0.5}))), {}, "as good that are no successes: of"),
        (shop(bears_at={"GET /orders/42": 0.0}), expecting(OF_CARTS, requests=TWO_PATHS), "is not about all of those to the load: during the fault"),
        (shop(bears=0.0, others=20.0), expecting(ANSWERED + "95%, caller: mobile"), "is not about all of those to the load: during the fault"),
        (shop(bears=0.0), expecting(ANSWERED.replace("order", "catalog") + "90%}, {title: more, throughput: catalog-svc"), "no expectation is about the answers to requests"),
        (shop(bears=0.0, fails_as=503), expecting("fallback: {status: '503'}, atLeast: 20%"), "counts as degraded"),
        (then("restore", (0, {"target_status": "503"}), (2, {"target_status": "200"})), {}, "staging/inventory-svc answers worse since the fault"),
        (shop(tries=50), expecting("attempts: inventory-svc, per: order-svc, atMost: 1.2, duringFault: 2.5"), "does not find endless retries"),
        (shop(), expecting(OF_CARTS, requests=TWO_PATHS), "'expected' is about the load's requests 'GET /carts/7'"),
        (then("restore", (0, {"asks": 0.15})), {}, "staging/inventory-svc is called less often since the fault"),
        (shop(bears=0.0, fails_as=404), {}, "'expected' holds only because it counts answers as good that are no successes"),
        (shop(), {"fault": DELAY}, "the fault holds requests back for 3s, and no expectation is about how long answers take"),
    ],
)  # fmt: skip
def test_a_green_verdict_tells_what_it_does_not_show(variant: Variant, declared: Mapping[str, str], told: str) -> None:
    verdict = run(declared, variant)
    assert verdict.passed, verdict.reasons
    (line,) = [line for line in verdict.unshown if told in line]
    assert f"not shown: {line}" in verdict_text(verdict)
    assert "not shown: " in verdict_markdown(verdict)


@pytest.mark.parametrize(
    ("variant", "declared"),
    [
        (shop(), {}),
        (shop(), {"fault": SECOND_TARGET % 30}),
        (shop(), expecting("throughput: inventory-svc")),
        (shop(tries=3), {"fault": MOST}),
        (then("fault", (0, {"asks": 3.0})), {}),
        (shop(time_out=0.5), expecting("service: order-svc, good: {within: 1s}, atLeast: 95%", fault=DELAY)),
    ],
)
def test_one_that_shows_all_of_it_says_nothing(variant: Variant, declared: Mapping[str, str]) -> None:
    verdict = run(declared, variant)
    assert verdict.passed, verdict.reasons
    assert not verdict.unshown


@pytest.mark.parametrize(
    ("variant", "declared"),
    [
        pytest.param(
            Variant({"asks": 0.03}, changes("start", (20, {"leaks": 20.0}))),
            {"file": ANY_CALLER, "expected": ANSWERED + "90%"},
            id="another caller's, which the answers do not need",
        ),
        pytest.param(
            Variant({"asks": 0.02}, changes("fault", (0, {"others": 40.0}))),
            expecting('from: client, good: {status: "<500"}, atLeast: 90%', profile="default"),
            id="those of others who came with the fault",
        ),
    ],
)
def test_hits_of_requests_that_the_answers_do_not_need_test_nothing(
    variant: Variant, declared: Mapping[str, str]
) -> None:
    verdict = run(declared, variant)
    assert {one.code for one in verdict.reasons} == {ReasonCode.FAULT_TOO_SMALL}, verdict.reasons
