"""Which trace headers have to arrive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chaos import Experiment, Outcome
from chaos_suites.observability.test_trace_headers import test_trace_headers_arrive_at_each_hop as handed_on
from chaos_suites.services import Services


def as_it_is(part: Any) -> Any:
    """A table whose configuration is in the mesh already."""
    return part


@pytest.mark.parametrize(
    ("declared", "names"),
    [("w3c", {"traceparent"}), ("b3", {"x-b3-traceid"}), ("any", {"traceparent", "x-b3-traceid"})],
)
def test_a_service_that_hands_on_those_of_another_tracing_is_found(declared: str, names: set[str]) -> None:
    tracing = {"path": "/orders/42", "headers": declared, "hops": [["order-svc", "inventory-svc"]]}
    services = Services.model_validate({"namespace": "staging", "tracing": tracing})
    ran: list[Experiment] = []

    def run(experiment: Experiment) -> Any:
        ran.append(experiment)
        return SimpleNamespace(verdict=SimpleNamespace(reasons=(), outcome=Outcome.PASSED))

    harness: Any = SimpleNamespace(run=run)
    configured: Any = as_it_is
    handed_on(harness, services, configured)
    assert {name for match in ran[0].target.match for name in match.headers} == names
