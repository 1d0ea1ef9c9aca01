"""Alerts that must fire with the fault and resolve after it, or never fire."""

from __future__ import annotations

import pytest

from chaos.errors import InputError
from chaos.expectations import AlertExpectation
from chaos.model.verdict import Outcome, ReasonCode
from chaos.testing.shop import Shop
from chaos.testing.traffic import Times
from tests.support.shop_runs import reasons, run

TOLD = "{title: an alert fires, alert: OrdersDegraded, firesWithin: 10s}"
ONLY = "{title: only they are told, alert: OrdersDegraded, firesWithin: 10s, only: true}"
QUIET = "{title: nobody is paged, alert: ShopDown}"


def test_an_alert_that_fires_with_the_fault_and_resolves_after_it_passes() -> None:
    verdict = run(Shop(), TOLD, ONLY, QUIET)
    assert verdict.passed, verdict.reasons
    told = {one.title: one.observed for one in verdict.fault}
    assert told["an alert fires"].startswith("it fired after ")
    assert told["nobody is paged"].startswith("it did not fire at ")


@pytest.mark.parametrize(("times", "code", "says"), [
    (Times(None), ReasonCode.EXPECTATION_VIOLATED, "expected OrdersDegraded fires within 10s; observed it did not fire at "),
    (Times(20), ReasonCode.EXPECTATION_VIOLATED, "expected OrdersDegraded fires within 10s; observed it"),
    (Times(2, after=1e9), ReasonCode.NOT_RECOVERED, "expected OrdersDegraded does not fire; observed it fired"),
])  # fmt: skip
def test_an_alert_that_does_not_is_found_out(times: Times, code: ReasonCode, says: str) -> None:
    verdict = run(Shop(alerts={"OrdersDegraded": times}), TOLD)
    assert list(reasons(verdict)) == [code]
    assert says in reasons(verdict)[code]


def test_other_alerts_are_told_and_are_a_reason_where_only_one_may_fire() -> None:
    noisy = {"OrdersDegraded": Times(2, after=4), "ShopDown": Times(3)}
    told = run(Shop(alerts=noisy), TOLD)
    assert told.passed, told.reasons
    assert told.fault[0].observed.endswith("; ShopDown began to fire too")
    assert "ShopDown began to fire too" in reasons(run(Shop(alerts=noisy), ONLY))[ReasonCode.EXPECTATION_VIOLATED]
    assert list(reasons(run(Shop(alerts=noisy), QUIET))) == [ReasonCode.EXPECTATION_VIOLATED]


def test_an_alert_that_must_never_fire_may_not_do_so_once_the_fault_has_ended_either() -> None:
    """A rule that waits fires late. What fired during the fault only has to resolve."""
    verdict = run(Shop(alerts={"ShopDown": Times(32, after=9)}), QUIET)
    assert list(reasons(verdict)) == [ReasonCode.NOT_RECOVERED]
    assert "expected ShopDown does not fire; observed it fired" in reasons(verdict)[ReasonCode.NOT_RECOVERED]
    verdict = run(Shop(alerts={"ShopDown": Times(3, after=9)}), QUIET)
    assert list(reasons(verdict)) == [ReasonCode.EXPECTATION_VIOLATED]


def test_an_alert_whose_rule_waits_longer_than_the_fault_lasts_is_not_shown_to_be_silent() -> None:
    long, short = (run(Shop(waits=waits), QUIET) for waits in (600.0, 20.0))
    assert list(reasons(long)) == [ReasonCode.UNDECIDED_DURING_FAULT]
    assert (
        "by its rule it can't fire before 600 s (for), and the fault lasted"
        in reasons(long)[ReasonCode.UNDECIDED_DURING_FAULT]
    )
    assert "observe.atLeast" in str(long.reasons[0].hint)
    assert short.passed, short.reasons


def test_users_of_a_locustfile_who_do_not_wait_are_no_reason_against_what_is_no_share() -> None:
    verdict = run(Shop(), TOLD, load="locustfile: l.py")
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize(("expected", "rule"), [
    ("{title: t, alert: Nothing, firesWithin: 10s}", "alert-not-found"),
    ("{title: t, alert: OrdersDegraded, firesWithin: 1h}", "fault-too-short"),
])  # fmt: skip
def test_the_plan_refuses_an_alert_that_can_not_fire(expected: str, rule: str) -> None:
    verdict = run(Shop(), expected)
    assert verdict.outcome is Outcome.REFUSED
    assert [reason.message.split(":")[0] for reason in verdict.reasons] == [rule]


def test_an_alert_that_must_fire_is_no_guardrail() -> None:
    assert AlertExpectation("t", alert="ShopDown").as_guardrail()
    with pytest.raises(ValueError, match="no firesWithin"):
        AlertExpectation("t", alert="ShopDown", fires_within="5s").as_guardrail()
    with pytest.raises(InputError, match="alert"):
        AlertExpectation("t", alert="")
