"""Retries happen, and are bounded (G3)."""

from __future__ import annotations

import pytest

from chaos import Abort, AttemptsExpectation, Experiment, FlagsExpectation, Harness, Load, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G3")
BOUNDED = "there is no storm of attempts"


def test_the_caller_tries_again_so_often_and_no_more(
    harness: Harness, services: Services, configured: Configure
) -> None:
    """The service fails by what it depends on, since an abort at the hop itself is never retried."""
    retries = configured(services.retries)
    result = harness.check(
        Experiment(
            "retries-are-bounded",
            target=Target(
                services.namespace,
                retries.dependency,
                callers={services.label: retries.service},
                calls_per_request=1 + retries.attempts,
            ),
            faults=[Abort(percentage=100, http_status=503)],
            load=Load(rate=services.rate, requests=[Request(retries.path, method=retries.method)], host=services.host),
            steady_state=[
                AttemptsExpectation(
                    BOUNDED,
                    attempts=retries.service, caller=retries.caller, at_most=1.5, during_fault=retries.attempts + 3,
                ),
                FlagsExpectation(
                    "all retries are used",
                    service=retries.service, caller=retries.caller, flags="URX", at_most="3%", during_fault="at least 95%",
                ),
            ],
        )
    )  # fmt: skip
    (tally,) = (one.tally for one in result.verdict.fault if one.title == BOUNDED)
    mean = (tally.total - tally.good) / tally.good
    assert round(mean) == 1 + retries.attempts, f"{mean:.2f} attempts for each request"
