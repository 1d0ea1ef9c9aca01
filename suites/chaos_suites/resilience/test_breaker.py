"""A connection pool sheds what it can't hold, and takes everything again afterwards (G4)."""

from __future__ import annotations

import pytest

from chaos import BreakerExpectation, Delay, Experiment, Harness, Load, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G4")


def test_the_pool_sheds_while_the_service_is_slow(harness: Harness, services: Services, configured: Configure) -> None:
    breaker = configured(services.breaker)
    harness.check(
        Experiment(
            "pool-sheds-overload",
            target=Target(services.namespace, breaker.dependency, callers={services.label: breaker.service}),
            faults=[Delay(percentage=100, fixed_delay=breaker.slow)],
            load=Load(rate=services.rate, requests=[Request(breaker.path, method=breaker.method)], host=services.host),
            steady_state=[
                BreakerExpectation(
                    "the pool sheds",
                    breaker=breaker.service, caller=breaker.caller, opens_within=breaker.opens_within, at_most="3%",
                )
            ],
        )
    )  # fmt: skip
