"""Broken variants of the shop in memory, and their healthy twins: what an experiment is for, and has to tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.support.defects.after_the_fault import AFTER
from tests.support.defects.again_and_again import AGAIN
from tests.support.defects.around_the_fault import AROUND
from tests.support.defects.during_the_fault import DURING
from tests.support.defects.variants import Defect, Variant

DEFECTS: Final[Mapping[str, Defect[Variant]]] = {**DURING, **AROUND, **AGAIN, **AFTER}
