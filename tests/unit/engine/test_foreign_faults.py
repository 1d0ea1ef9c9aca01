"""A fault of somebody else breaks what is expected: no failure of the system, unless the run's own fault breaks it, too."""

from __future__ import annotations

import pytest

from chaos.model.verdict import Outcome, ReasonCode
from chaos.testing.shop import Shop
from chaos.testing.traffic import Times
from tests.support.shop_runs import reasons, run

MILD = "abort: {percentage: 20, httpStatus: 503}"
ANSWERED = '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}'
OF_CLIENTS = '{title: answered, from: client, good: {status: "<500"}, atLeast: 90%}'
OF_CATALOG = '{title: catalog, service: catalog-svc, good: {status: "<500"}, atLeast: 90%}'


def put_fault(shop: Shop, percentage: float = 80) -> None:
    """An abort of calls of ``payment-svc``, which every order makes."""
    fault = {"abort": {"percentage": {"value": percentage}, "httpStatus": 503}}
    route = {"route": [{"destination": {"host": "payment-svc"}}], "fault": fault}
    shop.mesh.put({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "left", "namespace": "staging"}, "spec": {"hosts": ["payment-svc"], "http": [route]},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "seconds"), [(ANSWERED, 40.0), (OF_CLIENTS, 52.0)], ids=["during the fault", "after it"]
)
def test_what_it_may_have_broken_is_not_red(expected: str, seconds: float) -> None:
    shop = Shop(bears=0.8)
    shop.clock.later(seconds, lambda: put_fault(shop))
    verdict = run(shop, expected, fault=MILD)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons
    assert "requests of order-svc to payment-svc" in reasons(verdict)[ReasonCode.FOREIGN_FAULT]


def test_what_is_broken_without_it_is_red() -> None:
    shop = Shop(bears=0.8)
    shop.clock.later(40.0, lambda: setattr(shop.traffic, "broken", 0.9))
    shop.clock.later(40.0, lambda: put_fault(shop, 5))
    assert run(shop, ANSWERED, fault=MILD).outcome is Outcome.FAILED


def test_what_does_not_need_it_is_red() -> None:
    shop = Shop(spreads=0.5)
    shop.clock.later(40.0, lambda: put_fault(shop))
    assert (
        run(shop, OF_CATALOG, ANSWERED.replace("90%", "5%"), fault=MILD.replace("20", "97")).outcome is Outcome.FAILED
    )


@pytest.mark.parametrize(
    ("fires", "outcome"), [(Times(None), Outcome.FAILED), (Times(2, after=1e9), Outcome.INCONCLUSIVE)]
)
def test_it_is_no_reason_for_an_alert_that_does_not_fire(fires: Times, outcome: Outcome) -> None:
    """But it may be one for an alert that goes on firing."""
    shop = Shop(bears=0.8, alerts={"OrdersDegraded": fires})
    shop.clock.later(40.0, lambda: put_fault(shop))
    verdict = run(shop, "{title: told, alert: OrdersDegraded, firesWithin: 10s}", fault=MILD)
    assert verdict.outcome is outcome, verdict.reasons
