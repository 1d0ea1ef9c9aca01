"""Orders are taken whatever kind of error payment answers with."""

from __future__ import annotations

import pytest

from chaos import Experiment
from chaos.harness.harness import Harness


@pytest.mark.parametrize("status", [429, 500, 503])
def test_orders_are_taken(harness: Harness, status: int) -> None:
    harness.check(
        Experiment.model_validate(
            {
                "experiment": f"orders-survive-payment-{status}",
                "owner": "checkout",
                "target": {"namespace": "staging", "service": "payment-svc", "callers": {"app": "order-svc"}},
                "faults": [{"abort": {"percentage": 100, "httpStatus": status}}],
                "load": {"rate": 40, "requests": [{"method": "POST", "path": "/orders"}]},
                "steadyState": [
                    {"title": "orders are taken", "service": "order-svc", "good": {"status": "<500"}, "atLeast": "95%"}
                ],
                "recovery": {"within": "30s"},
            }
        )
    )
