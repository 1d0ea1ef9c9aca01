"""What goes wrong for a short time, again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from chaos.model.verdict import ReasonCode
from tests.support.defects.experiment import ANSWERED, FOR_A_WHILE, IN_TIME, LATE, VIOLATED, expecting
from tests.support.defects.variants import Defect, Variant, outages, shop, then

NOW_AND_THEN: Final = (
    ReasonCode.BURSTY,
    ReasonCode.NOT_STEADY_BEFORE,
    ReasonCode.UNDECIDED_BEFORE,
    ReasonCode.UNDECIDED_DURING_FAULT,
    ReasonCode.UNDECIDED_RECOVERY,
    LATE,
)
"""Reasons of what comes so rarely that a phase may see it once."""


def pauses(milliseconds: float) -> Iterable[tuple[float, Mapping[str, Any]]]:
    """Some seconds in which answers take longer, as while a process cleans its memory."""
    for at in range(2, 180, 4):
        yield from ((at, {"takes": milliseconds}), (at + 1, {"takes": 20.0}))


AGAIN: Final[Mapping[str, Defect[Variant]]] = {
    "down for 2 s in every 20 s": Defect(
        VIOLATED, Variant(later=outages(2, 20)), Variant(later=outages(2, 20, 0.02)), expecting(ANSWERED + "97%"), or_else=NOW_AND_THEN
    ),
    "down for 1 s in every 8 s": Defect(
        VIOLATED, Variant(later=outages(1, 8)), Variant(later=outages(1, 8, 0.02)), or_else=NOW_AND_THEN
    ),
    "still for 1 s in every 4 s": Defect(
        VIOLATED, then("fault", *pauses(3000.0)), then("fault", *pauses(300.0)), expecting(IN_TIME) | FOR_A_WHILE, or_else=NOW_AND_THEN
    ),
    "10 s good and 10 s bad by turns": Defect(
        LATE, then("restore", *((10 * at, {"broken": 0.5 * ((at + 1) % 2)}) for at in range(30))), shop(), FOR_A_WHILE
    ),
}  # fmt: skip
