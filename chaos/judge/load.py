"""What the load generator's own numbers say: did it keep the declared rate, and which answers are still to come?"""

from __future__ import annotations

import math
from typing import Final

from chaos.model.history import History, Mark
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.load import LoadSecond

_KEPT: Final = 0.95
"""Least share of the intended requests that must have been sent, and of the seconds that must have been reported."""
_LATE: Final = 1.0
"""Seconds behind its intended moment from which a request started too late."""
_LATE_SECONDS: Final = 0.05
"""Share of seconds with such a request that is still taken."""
_EDGES: Final = 3.0
"""Seconds at the edges of a window, and on the way to the harness, that are not missed."""
_SURE: Final = 3.0
"""Standard deviations."""


def judge_load(history: History) -> Reason | None:
    """Why the load was not what was declared; ``None`` where it was."""
    start = history.marks.get(Mark.BASELINE_FROM)
    if start is None:
        return None
    end = history.marks.get(Mark.LOAD_STOPPED)
    seconds = list(history.seconds(start, float("inf") if end is None else end))
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


def overdue(history: History, start: float, end: float, *, rest: float = 0.0) -> int:
    """Requests without an answer at ``end`` that already wait longer than answers since ``start`` took, but for a ``rest``.

    Events are counted when they end, so a request that hangs is not counted at all, neither as good nor as bad: shortly
    after a fault begins, only what is fast has been seen. What waits longer than all that was seen may become either.
    The second in which an answered request began follows from its latency, up to the second's edge; chance that comes
    from there is taken off. Load of a locustfile, which counts a request when it ends, tells nothing.
    """
    seconds = [second for second in history.load if second.at + 1 <= end]
    if not seconds:
        return 0
    edge = seconds[-1].at + 1 - max(1, math.ceil(longest_wait(history, start, end, rest=rest)))
    waiting, variance = 0.0, 0.0
    for second in seconds:
        if second.at + 1 <= edge + 1e-6:
            waiting += second.sent - sum(cell.count for cell in second.cells)
            continue
        for share, count in _begun_by(edge, second):
            waiting -= share * count
            variance += share * (1 - share) * count
    return max(0, math.floor(waiting - _SURE * math.sqrt(variance)))


def longest_wait(history: History, start: float, end: float, *, rest: float) -> float:
    """Seconds within which all answers of a window came, but for a share of ``rest``."""
    found: dict[float, int] = {}
    for second in history.seconds(start, end):
        for cell in second.cells:
            for took, count in cell.latencies.items():
                found[took] = found.get(took, 0) + count
    left = rest * sum(found.values())
    for took in sorted(found, reverse=True):
        left -= found[took]
        if left < 0:
            return took / 1000
    return 0.0


def _begun_by(edge: float, second: LoadSecond) -> list[tuple[float, int]]:
    """The answers of a second: how likely they began before ``edge``, and how many."""
    return [
        (min(1.0, max(0.0, edge - (second.at - took / 1000))), count)
        for cell in second.cells
        for took, count in cell.latencies.items()
    ]
