"""What the load generator's own numbers say: did it keep the declared rate?"""

from __future__ import annotations

from collections import Counter
from typing import Final

from chaos.judge.facts import Facts
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode

_KEPT: Final = 0.95
"""Least share of the intended requests that must have been sent, and of the seconds that must have been reported."""
_LATE: Final = 1.0
"""Seconds behind its intended moment from which a request started too late."""
_LATE_SECONDS: Final = 0.05
"""Share of seconds with such a request that is still taken."""
_EDGES: Final = 3.0
"""Seconds at the edges of a window, and on the way to the harness, that are not missed."""

_TOLD: Final = 3
"""Statuses that are told; further ones are rare."""


def judge_load(facts: Facts) -> Reason | None:
    """Why the load was not what was declared; ``None`` where it was."""
    start = facts.marks.get(Mark.BASELINE_FROM)
    if start is None:
        return None
    end = facts.marks.get(Mark.LOAD_STOPPED)
    seconds = facts.evidence.load.between(start, float("inf") if end is None else end)
    if not seconds and end is not None and end - start <= _EDGES:
        return None  # it ended before there was a whole second to report
    if not seconds:
        return Reason(code=ReasonCode.LOAD_STARVED, message="the load generator reported nothing")
    hint = "lower load.rate, or give the generator more CPU"
    if end is not None and len(seconds) < _KEPT * (end - start) - _EDGES:
        text = f"the load generator reported {len(seconds)} of {end - start:.0f} seconds"
        return Reason(code=ReasonCode.LOAD_STARVED, message=text, hint=hint)
    intended, sent = sum(s.intended for s in seconds), sum(s.sent for s in seconds)
    late = sum(s.worst_lag > _LATE for s in seconds)
    if sent >= _KEPT * intended and late <= _LATE_SECONDS * len(seconds):
        return None
    return Reason(
        code=ReasonCode.LOAD_STARVED,
        message=f"the load generator sent {sent} of {intended} intended requests and was over {_LATE:g} s late in "
        f"{late} of {len(seconds)} seconds",
        hint=hint,
    )


def statuses(facts: Facts) -> str:
    """What the load got all along, most frequent first: ``404 on 300 of 300 requests``; empty before its first answer."""
    counts = Counter[str]()
    for second in facts.evidence.load.seconds:
        for cell in second.cells:
            counts[str(cell.status) if cell.status else f"no answer ({cell.error})"] += cell.count
    return ", ".join(f"{got} on {count}" for got, count in counts.most_common(_TOLD)) + (
        f" of {counts.total()} requests" if counts else ""
    )
