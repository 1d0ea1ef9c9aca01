"""Files that use the templates of the library, on the lab: each tells a caller that bears the trouble from one that does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from chaos.lab.state import LabState
from tests.e2e.experiments import BY_TEMPLATE, chaosctl, configured, on
from tests.support.scope import survive_only

pytestmark = [pytest.mark.lab, survive_only]
GOOD: Final = {"service": "inventory-svc", "caller": "order-svc", "path": "/orders/42", "atLeast": "95%"}
NAIVE: Final = {**GOOD, "caller": "order-naive", "path": "/naive/orders/42"}
USES: Final[Mapping[str, Mapping[str, Any]]] = {
    "slower-than-its-time-out": {"timeOut": "300ms", "within": "1s"},  # order-svc tries twice
    "partly-failing": {},
    "rate-limited": {},
    "flapping": {"lasts": "5s", "times": 2},
}


def verdict_on(lab: LabState, folder: Path, uses: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on a file that uses a template."""
    file = folder / "experiment.yaml"
    declared = {"experiment": f"{uses}-{given.get('caller', 'users')}", "uses": uses, "with": given}
    file.write_text(json.dumps({**declared, "profile": "quick", "confidence": "80%"}))
    done = chaosctl("run", file, *on(lab), "--report-dir", folder, "--json", cwd=configured(folder), within=300)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout)[0])


def test_a_file_that_uses_a_template_passes_where_the_dependency_is_a_soft_one(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(BY_TEMPLATE)
    done = chaosctl("run", "orders.yaml", *on(lab), "--profile", "quick", "--json", cwd=configured(tmp_path))
    assert done.returncode == 0, done.stderr
    attempts = json.loads(done.stdout)[0]["fault"][-1]["tally"]
    assert attempts["total"] / attempts["good"] == pytest.approx(3, rel=0.1), "one request, and two attempts for it"


@pytest.mark.parametrize("uses", USES)
def test_a_template_passes_a_caller_that_bears_it(lab: LabState, tmp_path: Path, uses: str) -> None:
    verdict = verdict_on(lab, tmp_path, uses, {**GOOD, **USES[uses]})
    assert verdict["outcome"] == "passed", verdict["reasons"]


@pytest.mark.parametrize("uses", USES)
def test_a_template_finds_a_caller_that_does_not(lab: LabState, tmp_path: Path, uses: str) -> None:
    verdict = verdict_on(lab, tmp_path, uses, {**NAIVE, **USES[uses]})
    assert verdict["outcome"] == "failed"
    assert any(
        one["code"] == "expectation-violated" and "order-naive answers" in one["message"] for one in verdict["reasons"]
    ), verdict["reasons"]


@pytest.mark.parametrize(("path", "outcome"), [("/orders/42", "passed"), ("/naive/orders/42", "failed")])
def test_without_a_caller_it_is_told_by_what_users_get(lab: LabState, tmp_path: Path, path: str, outcome: str) -> None:
    given = {"service": "inventory-svc", "path": path, "atLeast": "95%"}
    verdict = verdict_on(lab, tmp_path, "dependency-down", given)
    assert verdict["outcome"] == outcome, verdict["reasons"]
