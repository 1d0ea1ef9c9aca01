"""A service goes on answering while all of its dependencies fail and hang at the same time (compound faults)."""

from __future__ import annotations

import pytest

from chaos import Abort, Delay, Expectation, Experiment, Fault, Harness, Load, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G1")
BROKEN = Fault(abort=Abort(percentage=50, http_status=503), delay=Delay(percentage=50, fixed_delay="5s"))
"""Of the calls a quarter is delayed, a quarter fails, a quarter fails late, and a quarter is well."""


def test_it_answers_while_all_its_dependencies_are_broken(
    harness: Harness, services: Services, configured: Configure
) -> None:
    degraded = configured(services.degraded)
    first, *others = (
        Target(services.namespace, one, callers={services.label: degraded.service}) for one in degraded.dependencies
    )
    harness.check(
        Experiment(
            "answers-while-dependencies-are-broken",
            target=first,
            faults=[BROKEN, *(BROKEN.model_copy(update={"target": one}) for one in others)],
            load=Load(
                rate=services.rate, requests=[Request(degraded.path, method=degraded.method)], host=services.host
            ),
            steady_state=[
                Expectation(
                    "it answers in time and without an error",
                    service=degraded.service, status="<400", within=degraded.within, at_least="97%",
                )
            ],
        )
    )  # fmt: skip
