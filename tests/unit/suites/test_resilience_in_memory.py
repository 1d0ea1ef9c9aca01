"""The resilience suites on the shop in memory, with defects that the lab's shop does not have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import ExperimentFailed
from chaos.testing.shop import Shop
from chaos_suites.resilience.test_degraded import test_it_answers_while_all_its_dependencies_are_broken as degraded
from chaos_suites.resilience.test_timeout import test_the_caller_gives_up_at_the_bound as timed_out
from chaos_suites.services import Services

SERVICES = Services.model_validate({
    "namespace": "staging",
    "degraded": {"service": "order-svc", "path": "/orders/42", "dependencies": ["inventory-svc"]},
    "timeout": {
        "caller": "order-svc", "service": "inventory-svc", "path": "/orders/42", "dependency": "payment-svc", "bound": "1s",
    },
})  # fmt: skip


def as_it_is(part: Any) -> Any:
    """A table whose configuration is in the mesh already."""
    return part


def test_a_fallback_that_comes_too_late_is_no_degraded_answer(tmp_path: Path) -> None:
    """Errors are borne, and a call that hangs is waited for."""
    configured: Any = as_it_is
    degraded(Shop(time_out=0.3).harness(report_dir=tmp_path), SERVICES, configured)
    with pytest.raises(ExperimentFailed, match="in time"):
        degraded(Shop().harness(report_dir=tmp_path), SERVICES, configured)


def test_a_time_out_of_which_no_user_hears_is_undecided() -> None:
    """Between two services; the first one makes another status of 504."""
    configured: Any = as_it_is
    found = SimpleNamespace(history=SimpleNamespace(load=()))
    harness: Any = SimpleNamespace(check=lambda _: found)
    with pytest.raises(pytest.fail.Exception, match="inconclusive: no user got 504"):
        timed_out(harness, SERVICES, configured)
