"""Each template finds a defect that it is for, and passes the healthy twin. ``benchmarks/defects.py`` has more of them, by chance."""

from __future__ import annotations

import pytest

from chaos.library import TEMPLATES
from tests.support.defects.experiment import run
from tests.support.library_defects import LIBRARY
from tests.support.scope import EVERY

ONE_OF_EACH = {name.partition(":")[0]: name for name in reversed([*LIBRARY])}


def test_every_template_has_a_defect_that_it_finds() -> None:
    assert set(ONE_OF_EACH) == {template.key for template in TEMPLATES}


@pytest.mark.parametrize("name", LIBRARY if EVERY else ONE_OF_EACH.values())
def test_a_template_tells_a_defect_from_its_healthy_twin(name: str) -> None:
    defect = LIBRARY[name]
    broken, twin = run(defect.declared, defect.broken), run(defect.declared, defect.twin)
    assert defect.told(broken), broken.reasons
    assert twin.passed, twin.reasons
