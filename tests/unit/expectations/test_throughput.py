"""Requests per second that return after the fault, or do not."""

from __future__ import annotations

import pytest

from chaos.errors import InputError
from chaos.expectations import ThroughputExpectation
from chaos.expectations.good import Good
from chaos.model.verdict import ReasonCode
from chaos.testing.shop import Shop
from tests.support.shop_runs import reasons, run

REFILLS = "{title: the pool refills, throughput: catalog-svc, atLeast: 90%}"
GOES_ON = "{title: calls go on, throughput: catalog-svc, duringFault: 50%}"


def test_a_rate_that_returns_passes() -> None:
    verdict = run(Shop(), REFILLS, GOES_ON)
    assert verdict.passed, verdict.reasons
    assert verdict.recovery is not None
    told = verdict.recovery.expectations[0]
    assert told.expected == "at least 90% of the baseline's rate of requests to catalog-svc with status <500"
    assert told.observed == "20 per second, before 20, 0 to 30 s after the fault was gone"


@pytest.mark.parametrize("unfilled", [0.3, 1.0])
def test_a_pool_that_stays_stuck_is_found_out(unfilled: float) -> None:
    verdict = run(Shop(unfilled=unfilled), REFILLS)
    assert list(reasons(verdict)) == [ReasonCode.NOT_RECOVERED], "all answers that there are are good"
    assert (
        "'the pool refills' was violated after the fault: expected at least 90% of the baseline's rate"
        in reasons(verdict)[ReasonCode.NOT_RECOVERED]
    )


def test_a_rate_that_breaks_down_during_the_fault_is_a_reason_where_it_is_claimed() -> None:
    assert run(Shop(spreads=0.9), REFILLS).passed
    assert list(reasons(run(Shop(spreads=0.9), GOES_ON))) == [ReasonCode.EXPECTATION_VIOLATED]


def test_what_can_not_be_compared_is_told() -> None:
    with pytest.raises(InputError, match="no within"):
        ThroughputExpectation("t", throughput="s", good=Good(within="1s"))
    with pytest.raises(ValueError, match="declare it in steadyState"):
        ThroughputExpectation("t", throughput="s").as_guardrail()


def test_what_the_fault_answers_with_is_nothing_that_a_rate_after_it_counts() -> None:
    verdict = run(
        Shop(), "{title: asked again, throughput: inventory-svc}", fault="abort: {percentage: 100, httpStatus: 429}"
    )
    assert verdict.passed, verdict.reasons
