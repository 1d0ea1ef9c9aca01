"""A service goes on answering without its dependencies, whatever is wrong with them, and without all of them at once."""

from __future__ import annotations

import pytest

from chaos import Abort, Delay, Expectation, Experiment, Fault, Harness, Load, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G1")
FAULTS = {
    "rate-limited": Fault(abort=Abort(percentage=100, http_status=429)),
    "down": Fault(abort=Abort(percentage=100, http_status=503)),
    "slow": Fault(delay=Delay(percentage=100, fixed_delay="5s")),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_it_answers_while_all_its_dependencies_are_broken(
    harness: Harness, services: Services, configured: Configure, kind: str
) -> None:
    degraded = configured(services.degraded)
    first, *others = (
        Target(services.namespace, one, callers={services.label: degraded.service}) for one in degraded.dependencies
    )
    fault = FAULTS[kind]
    faults = [fault, *(fault.model_copy(update={"target": one}) for one in others)]
    harness.check(
        Experiment(
            f"answers-while-dependencies-are-{kind}",
            target=first,
            faults=faults,
            load=Load(
                rate=services.rate, requests=[Request(degraded.path, method=degraded.method)], host=services.host
            ),
            steady_state=[
                Expectation("it answers without an error", service=degraded.service, status="<400", at_least="97%")
            ],
        )
    )
