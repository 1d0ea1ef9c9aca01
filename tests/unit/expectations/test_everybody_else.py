"""What happens to services that are not the target: claimed, and told without being asked."""

from __future__ import annotations

import pytest

from chaos.model.verdict import Outcome, ReasonCode
from chaos.reporting.prose import verdict_markdown, verdict_text
from chaos.testing.shop import Shop
from tests.support.shop_runs import reasons, run

REST = "{title: the rest is as before, unaffected: [catalog-svc, platform/session-svc]}"
FINE = '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}'


def test_services_that_keep_their_baseline_pass_and_nothing_changed() -> None:
    verdict = run(Shop(), REST)
    assert verdict.passed, verdict.reasons
    assert verdict.changed == ()
    (told,) = verdict.fault
    assert (
        told.expected == "at least baseline - 1% of the answers of catalog-svc, platform/session-svc with status <500"
    )
    assert told.observed.startswith("the worst of 2 services: ")


@pytest.mark.parametrize("spreads", [0.3, 0.15])
def test_a_fault_that_spreads_is_found_out_and_named(spreads: float) -> None:
    verdict = run(Shop(spreads=spreads), REST)
    assert list(reasons(verdict)) == [ReasonCode.EXPECTATION_VIOLATED]
    assert "observed catalog-svc, platform/session-svc: " in reasons(verdict)[ReasonCode.EXPECTATION_VIOLATED]
    assert (verdict.reasons[0].hint or "").startswith("the fault spreads")


def test_which_edges_changed_is_told_without_being_asked_and_is_no_reason() -> None:
    verdict = run(Shop(spreads=0.5), FINE)
    assert verdict.passed, "nobody claimed anything of these services"
    assert {f"{one.caller} → {one.service}" for one in verdict.changed} == {
        "order-svc → catalog-svc", "order-svc → platform/session-svc",
    }  # fmt: skip
    line = "changed during the fault: order-svc → catalog-svc: 0% → 50% errors, 20 → 20 requests per second"
    assert line in verdict_text(verdict)
    assert line in verdict_markdown(verdict)


def test_more_requests_than_before_are_a_change_too() -> None:
    verdict = run(
        Shop(retries=3, bears=0.0),
        '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 60%}',
    )
    rates = {one.service: one.rates for one in verdict.changed}
    assert rates["catalog-svc"][1] == pytest.approx(37, abs=3), "the gateway sends each failed order again"
    assert rates["catalog-svc"][0] == pytest.approx(20)


def test_a_service_that_is_bad_before_the_fault_has_nothing_to_keep() -> None:
    verdict = run(Shop(broken=0.5), "{title: orders too, unaffected: [order-svc]}")
    assert list(reasons(verdict)) == [ReasonCode.NOT_STEADY_BEFORE]


@pytest.mark.parametrize(
    ("service", "rule"), [("nobody-svc", "observed-not-found"), ("inventory-svc", "target-is-affected")]
)
def test_the_plan_refuses_what_could_not_be_seen(service: str, rule: str) -> None:
    verdict = run(Shop(), f"{{title: the rest, unaffected: [catalog-svc, {service}]}}")
    assert verdict.outcome is Outcome.REFUSED
    assert [reason.message.split(":")[0] for reason in verdict.reasons] == [rule]
