"""A time-out fires at its bound (G2, G3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chaos import ClientExpectation, Delay, Experiment, FlagsExpectation, Good, Harness, Load, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G2", "G3")
SPARE = timedelta(milliseconds=700)
"""What the way to the proxy with the time-out and back may take."""
EARLY = 50.0
"""Milliseconds: Envoy's timers count from the beginning of a turn of its loop."""


def test_the_caller_gives_up_at_the_bound(harness: Harness, services: Services, configured: Configure) -> None:
    """The service is slow by what it depends on, since a delay of the hop itself would come before the time-out."""
    timeout = configured(services.timeout)
    result = harness.check(
        Experiment(
            "timeout-fires-at-its-bound",
            target=Target(services.namespace, timeout.dependency, callers={services.label: timeout.service}),
            faults=[Delay(percentage=50, fixed_delay=2 * timeout.bound + 2 * SPARE)],
            load=Load(rate=services.rate, requests=[Request(timeout.path, method=timeout.method)], host=services.host),
            steady_state=[
                FlagsExpectation(
                    "the proxy gives up only while the service is slow",
                    service=timeout.service, caller=timeout.caller, flags="UT", at_most="3%", during_fault="at least 40%",
                ),
                ClientExpectation(
                    "nobody waits longer", good=Good(status=">=200", within=timeout.bound + SPARE), at_least="97%"
                ),
            ],
        )
    )  # fmt: skip
    took = [
        at for second in result.history.load for cell in second.cells if cell.status == 504 for at in cell.latencies
    ]
    if not took:
        pytest.fail(
            f"inconclusive: no user got 504, so nothing shows how early it gives up: {timeout.caller} has to be the gateway, or to "
            "be followed by services that hand this status on",
            pytrace=False,
        )
    assert min(took) > timeout.bound / timedelta(milliseconds=1) - EARLY, "it gave up too early"
