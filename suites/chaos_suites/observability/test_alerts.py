"""The right alert fires while a dependency is down, and resolves after it (G14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from chaos import Abort, AlertExpectation, Experiment, Harness, Load, Recovery, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.lab import alert_rules
from chaos_suites.services import Services
from chaos_suites.tables import Alert

pytestmark = pytest.mark.guide("G14")


@pytest.fixture
def alert(request: pytest.FixtureRequest, services: Services, configured: Configure) -> Iterator[Alert]:
    """The team's alert; on the lab with its rules."""
    found = configured(services.alert)
    rules = () if request.config.getoption("chaos_context") else found.rules
    with alert_rules(request.getfixturevalue("lab"), rules, services.namespace) if rules else nullcontext():
        yield found


def test_the_alert_fires_and_resolves(harness: Harness, services: Services, alert: Alert) -> None:
    harness.check(
        Experiment(
            "alert-fires-and-resolves",
            target=Target(services.namespace, alert.dependency, callers={services.label: alert.service}),
            faults=[Abort(percentage=100, http_status=503)],
            load=Load(rate=services.rate, requests=[Request(alert.path, method=alert.method)], host=services.host),
            steady_state=[
                AlertExpectation("an alert fires", alert=alert.alert, fires_within=alert.fires_within, only=True)
            ],
            recovery=Recovery(alert.resolves_within),
        )
    )
