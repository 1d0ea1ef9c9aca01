"""Pods that fail are ejected, and come back (G4)."""

from __future__ import annotations

import pytest

from chaos import Abort, BreakerExpectation, EjectionExpectation, Experiment, Harness, Load, Recovery, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G4")


def test_pods_that_fail_are_ejected_and_come_back(harness: Harness, services: Services, configured: Configure) -> None:
    """The pods fail by what they depend on: an abort at the hop itself is answered before outlier detection."""
    ejection = configured(services.ejection)
    if ejection.ejects == "all":
        expected: BreakerExpectation | EjectionExpectation = BreakerExpectation(
            "every pod is ejected",
            breaker=ejection.service, caller=ejection.caller, flags="UH", opens_within=ejection.within, at_most="3%",
        )  # fmt: skip
    else:
        expected = EjectionExpectation("a pod is ejected", ejection=ejection.service, within=ejection.within)
    harness.check(
        Experiment(
            "failing-pods-are-ejected",
            target=Target(services.namespace, ejection.dependency, callers={services.label: ejection.service}),
            faults=[Abort(percentage=100, http_status=503)],
            load=Load(
                rate=services.rate, requests=[Request(ejection.path, method=ejection.method)], host=services.host
            ),
            steady_state=[expected],
            recovery=Recovery(ejection.back_within),
        )
    )
