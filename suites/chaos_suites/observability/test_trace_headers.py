"""Every service on the way of a request hands on its trace headers (G18)."""

from __future__ import annotations

import secrets

import pytest

from chaos import (
    AttemptsExpectation,
    Delay,
    Experiment,
    Harness,
    Load,
    Match,
    Outcome,
    ReasonCode,
    Request,
    StringMatch,
    Target,
)
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G18")


def test_trace_headers_arrive_at_each_hop(harness: Harness, services: Services, configured: Configure) -> None:
    """A fault that hits only requests of one trace proves that their headers arrive; a proxy makes a new trace where they don't."""
    tracing = configured(services.tracing)
    trace = secrets.token_hex(16)
    sent = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "x-b3-traceid": trace, "x-b3-spanid": trace[:16]}
    formats = {
        "w3c": Match(headers={"traceparent": StringMatch(regex=f".*{trace}.*")}),
        "b3": Match(headers={"x-b3-traceid": StringMatch(exact=trace)}),
    }
    arrived = [match for name, match in formats.items() if tracing.headers in (name, "any")]
    for caller, called in tracing.hops:
        result = harness.run(
            Experiment(
                f"{caller}-hands-on-trace-headers",
                target=Target(services.namespace, called, callers={services.label: caller}, match=arrived),
                faults=[Delay(percentage=100, fixed_delay="20ms")],
                load=Load(rate=services.rate, requests=[Request(tracing.path, headers=sent)], host=services.host),
                steady_state=[
                    AttemptsExpectation(
                        "each request is made once", attempts=called, caller=caller, per=caller, at_most=1.5
                    )
                ],
                profile="quick",
            )
        )
        reasons = {reason.code for reason in result.verdict.reasons}
        assert ReasonCode.FAULT_NOT_SEEN not in reasons, f"{caller} drops the trace headers of requests to {called}"
        assert result.verdict.outcome is Outcome.PASSED, result.verdict
