"""While istiod is down, traffic goes on with what the proxies know, and nothing new is distributed (G16). Only on the lab."""

from __future__ import annotations

from collections import Counter

import pytest

from chaos import Abort, Expectation, Experiment, Harness, Load, MeshAccess, Outcome, ReasonCode, Request, Target
from chaos_suites.asking import Entry
from chaos_suites.configuring import Configure
from chaos_suites.lab import istiod_down
from chaos_suites.services import Services
from chaos_suites.watching import meanwhile

pytestmark = pytest.mark.guide("G16")


def test_traffic_goes_on_and_a_fault_that_nobody_has_is_not_judged(
    harness: Harness, services: Services, entry: Entry, configured: Configure, lab: MeshAccess
) -> None:
    found = configured(services.control_plane, mesh=True)
    with istiod_down(lab), meanwhile(lambda: entry.ask(found.path, 5, method=found.method)) as seen:
        result = harness.run(
            Experiment(
                "nothing-is-distributed",
                target=Target(services.namespace, found.service, callers={services.label: found.caller}),
                faults=[Abort(percentage=100, http_status=503)],
                load=Load(rate=services.rate, requests=[Request(found.path, method=found.method)], host=services.host),
                steady_state=[Expectation("the caller goes on", service=found.caller, status="<500", at_least="95%")],
                profile="quick",
            )
        )
    assert set(sum(seen, Counter[int]())) == {200}
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert ReasonCode.NOT_DISTRIBUTED in {reason.code for reason in result.verdict.reasons}
