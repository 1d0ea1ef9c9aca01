"""A file that uses a template of the library, on the lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from tests.e2e.experiments import BY_TEMPLATE, chaosctl, configured, on
from tests.support.scope import survive_only

pytestmark = [pytest.mark.lab, survive_only]


def test_a_file_that_uses_a_template_passes_where_the_dependency_is_a_soft_one(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(BY_TEMPLATE)
    done = chaosctl("run", "orders.yaml", *on(lab), "--profile", "quick", "--json", cwd=configured(tmp_path))
    assert done.returncode == 0, done.stderr
    attempts = json.loads(done.stdout)[0]["fault"][-1]["tally"]
    assert attempts["total"] / attempts["good"] == pytest.approx(3, rel=0.1), "one request, and two attempts for it"
