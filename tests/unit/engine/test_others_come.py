"""Other clients come, or send more, after the load began: what counts everybody's requests then tells nothing of the system."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from chaos.model.verdict import Outcome, ReasonCode, Verdict
from tests.support.defects.experiment import DELAY, MOST, expecting
from tests.support.defects.experiment import run as run_variant
from tests.support.defects.variants import Moment, Variant, changes, during, shop, then

FEW_TRIES = "attempts: inventory-svc, atMost: 1.2, duringFault: 1.4"
STORM = "attempts: inventory-svc, atMost: 1.2, duringFault: 2.5"
RATE = "throughput: inventory-svc, atLeast: 90%"
ELSEWHERE = {"door": "istio-ingress/gateway", "comes_by": "istio-ingress/gateway"}


def with_door(*later: tuple[Moment, Mapping[str, float]]) -> Variant:
    """Others who come by the same gateway as the load, which is in a namespace of its own."""
    return Variant(
        later=[*changes("start", (0, ELSEWHERE)), *(one for at, set_ in later for one in changes(at, (0, set_)))]
    )


def run(variant: Variant, expected: str, **declared: str) -> Verdict:
    return run_variant(expecting(expected, **declared), variant)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        pytest.param(during(others=60.0), FEW_TRIES, id="attempts during the fault"),
        pytest.param(then("restore", (0, {"others": 60.0})), FEW_TRIES, id="attempts after it"),
        pytest.param(then("restore", (0, {"asks": 0.5, "others": 20.0})), RATE, id="in the place of requests that are sent no more"),
        pytest.param(with_door(("fault", {"others": 60.0})), FEW_TRIES, id="by the load's own gateway"),
    ],
)  # fmt: skip
def test_what_counts_their_requests_is_not_decided(variant: Variant, expected: str) -> None:
    verdict = run(variant, expected)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons
    (reason,) = [one for one in verdict.reasons if one.code is ReasonCode.OTHERS_CALL]
    assert "requests per second more than in the baseline" in reason.message


def test_a_guardrail_that_they_trip_is_no_failure() -> None:
    guardrail = "{title: no storm, attempts: inventory-svc, atMost: 1.4}"
    verdict = run(during(others=60.0), 'service: order-svc, good: {status: "<500"}, atLeast: 95%', guardrail=guardrail)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons


@pytest.mark.parametrize(
    ("variant", "expected", "fault", "outcome"),
    [
        pytest.param(shop(tries=6), STORM, MOST, Outcome.FAILED, id="a storm of the system's own retries"),
        pytest.param(with_door(("fault", {"tries": 6})), STORM, MOST, Outcome.FAILED, id="the same, with a gateway elsewhere"),
        pytest.param(then("restore", (0, {"asks": 0.5})), RATE, MOST, Outcome.FAILED, id="half of the requests are sent no more"),
        pytest.param(during(others=1.0), FEW_TRIES, "abort: {percentage: 50, httpStatus: 503}", Outcome.PASSED, id="a trifle"),
        pytest.param(shop(), RATE, DELAY, Outcome.PASSED, id="delayed requests that are counted later"),
        pytest.param(with_door(), RATE, DELAY, Outcome.PASSED, id="the same, with a gateway elsewhere"),
    ],
)  # fmt: skip
def test_what_the_system_does_by_itself_is_judged(
    variant: Variant, expected: str, fault: str, outcome: Outcome
) -> None:
    verdict = run(variant, expected, fault=fault)
    assert verdict.outcome is outcome, verdict.reasons
