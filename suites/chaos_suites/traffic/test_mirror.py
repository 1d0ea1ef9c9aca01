"""A mirror that fails changes nothing for users (G7)."""

from __future__ import annotations

import pytest

from chaos import Abort, ClientExpectation, Delay, Experiment, Fault, Good, Harness, Load, Request, Target
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G7")


def test_users_do_not_notice_that_the_mirror_fails(harness: Harness, services: Services, configured: Configure) -> None:
    """The fault hits what the mirror depends on. That it is felt at all proves that requests are mirrored."""
    mirror = configured(services.mirror)
    harness.check(
        Experiment(
            "mirror-fails-unnoticed",
            target=Target(services.namespace, mirror.dependency, callers={services.label: mirror.mirror}),
            faults=[Fault(abort=Abort(percentage=50, http_status=503), delay=Delay(percentage=50, fixed_delay="2s"))],
            load=Load(rate=services.rate, requests=[Request(mirror.path, method=mirror.method)], host=services.host),
            steady_state=[
                ClientExpectation(
                    "users get their answers in time", good=Good(status="<400", within="1s"), at_least="97%"
                )
            ],
        )
    )
