"""Orders are taken whatever kind of error payment answers with."""

from __future__ import annotations

import pytest

from chaos import Abort, Expectation, Experiment, Harness, Load, Recovery, Request, Target


@pytest.mark.parametrize("status", [429, 500, 503])
def test_orders_are_taken(harness: Harness, status: int) -> None:
    harness.check(
        Experiment(
            f"orders-survive-payment-{status}",
            owner="checkout",
            target=Target("staging", "payment-svc", callers={"app": "order-svc"}),
            faults=[Abort(percentage=100, http_status=status)],
            load=Load(rate=40, requests=[Request.post("/orders")]),
            steady_state=[Expectation("orders are taken", service="order-svc", status="<500", at_least="95%")],
            recovery=Recovery("30s"),
        )
    )
