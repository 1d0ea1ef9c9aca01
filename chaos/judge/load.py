"""Did the load generator keep the declared rate?"""

from __future__ import annotations

from typing import Final

from chaos.model.history import History, Mark
from chaos.model.verdict import Reason, ReasonCode

_KEPT: Final = 0.95
"""Least share of the intended requests that must have been sent."""
_LATE: Final = 1.0
"""Seconds behind its intended moment from which a request started too late."""
_LATE_SECONDS: Final = 0.05
"""Share of seconds with such a request that is still taken."""


def judge_load(history: History) -> Reason | None:
    """Why the load was not what was declared; ``None`` where it was."""
    start = history.marks.get(Mark.BASELINE_FROM)
    if start is None:
        return None
    end = history.marks.get(Mark.LOAD_STOPPED, float("inf"))
    seconds = list(history.seconds(start, end))
    if not seconds:
        return Reason(code=ReasonCode.LOAD_STARVED, message="the load generator reported nothing")
    intended, sent = sum(s.intended for s in seconds), sum(s.sent for s in seconds)
    late = sum(s.worst_lag > _LATE for s in seconds)
    if sent >= _KEPT * intended and late <= _LATE_SECONDS * len(seconds):
        return None
    return Reason(
        code=ReasonCode.LOAD_STARVED,
        message=f"the load generator sent {sent} of {intended} intended requests and was over {_LATE:g} s late in "
        f"{late} of {len(seconds)} seconds",
        hint="lower load.rate, or give the generator more CPU",
    )
