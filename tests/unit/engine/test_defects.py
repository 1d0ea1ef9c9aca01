"""Each defect is found for the right reason, and its healthy twin passes. ``benchmarks/defects.py`` leaves more to chance."""

from __future__ import annotations

import pytest

from tests.support.defects import DEFECTS
from tests.support.defects.experiment import run
from tests.support.scope import one_of

TWINS = {f"{one.declared}, {one.twin}": name for name, one in DEFECTS.items()}
"""Some have the same."""


@pytest.mark.parametrize("name", one_of(2, [*DEFECTS]))
def test_a_defect_is_found_for_its_reason(name: str) -> None:
    defect = DEFECTS[name]
    verdict = run(defect.declared, defect.broken)
    assert defect.told(verdict), verdict.reasons


@pytest.mark.parametrize("name", one_of(8, [*TWINS.values()]))
def test_its_healthy_twin_passes(name: str) -> None:
    defect = DEFECTS[name]
    verdict = run(defect.declared, defect.twin)
    assert verdict.passed, verdict.reasons
