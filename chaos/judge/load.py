"""What the load generator's own numbers say: did it keep the declared rate?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from chaos.expectations.evidence import ALWAYS, Window
from chaos.judge.facts import Facts
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.answers import WHEN
from chaos.values.load import LoadSecond

_KEPT: Final = 0.95
"""Least share of the intended requests that must have been sent, and of the seconds that must have been reported."""
_LATE: Final = 1.0
"""Seconds behind its intended moment from which a request started too late, if no expectation endures less."""
_LATE_SECONDS: Final = 0.05
"""Share of seconds with such a request that is still taken."""
_FEW: Final = 2
"""Late seconds that are taken however short the run is: a machine may be slow once."""
_BUSY: Final = 0.8
"""Share of a processor from which the generator itself is what is slow."""
_EDGES: Final = 3.0
"""Seconds at the edges of a window, and on the way to the harness, that are not missed."""
_BUSY_MACHINE: Final = "run less on this machine at the same time, or lower load.rate"

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
        return Reason(code=ReasonCode.LOAD_STARVED, message="the load generator reported nothing", hint=_BUSY_MACHINE)
    if end is not None and len(seconds) < _KEPT * (end - start) - _EDGES:
        text = f"the load generator reported {len(seconds)} of {end - start:.0f} seconds"
        return _starved(text, seconds)
    spans = list(_spans(facts, Window(start, float("inf") if end is None else end)))
    when, asked = min(spans, key=lambda one: _kept(one[1]))
    kinds = facts.experiment.every
    bound = min(_LATE, *(one.endures for one in kinds))
    late = [s for s in seconds if s.worst_lag > bound]
    if _kept(asked) >= _KEPT and len(late) <= max(_FEW, _LATE_SECONDS * len(seconds)):
        return None
    sent, intended = sum(s.sent for s in asked), sum(s.intended for s in asked)
    text = f"{when}, the load generator sent {sent} of {intended} intended requests, in {len(asked)} s"
    if late:
        worst = max(late, key=lambda s: s.worst_lag)
        text += (
            f"; in {len(late)} of {len(seconds)} seconds it was over {bound:g} s late, at most {worst.worst_lag:.1f} s, "
            f"{worst.at - facts.started:.0f} s after the run began"
        )
    return _starved(text, late or seconds)


def _spans(facts: Facts, whole: Window) -> Iterator[tuple[str, Sequence[LoadSecond]]]:
    """The seconds for which the rate has to be kept: all together, and those of each phase where rates of phases are compared."""
    found: list[tuple[str, Window | None]] = [("from the baseline on", whole)]
    if any(one.follows_load for one in facts.experiment.every):
        phases = facts.baseline, facts.faulted(whole.end), facts.restored(whole.end)
        found += zip(WHEN.values(), phases, strict=True)
    yield from ((when, facts.evidence.load.between(one.start, one.end)) for when, one in found if one is not None)


def _kept(seconds: Sequence[LoadSecond]) -> float:
    """The share of the intended requests that was sent; all where none was intended."""
    intended = sum(s.intended for s in seconds)
    return sum(s.sent for s in seconds) / intended if intended else 1.0


def _starved(text: str, seconds: Sequence[LoadSecond]) -> Reason:
    """With what the generator's process had of a processor meanwhile: was it the machine, or is the rate too high?"""
    shares = [second.cpu for second in seconds if second.cpu is not None]
    hint = _BUSY_MACHINE
    if shares:
        had = sum(shares) / len(shares)
        busy = had >= _BUSY
        why = "its rate is too much for one process" if busy else "other processes kept the machine busy"
        text += f"; it had {had:.0%} of a processor meanwhile, so {why}"
        hint = "lower load.rate" if busy else _BUSY_MACHINE
    return Reason(code=ReasonCode.LOAD_STARVED, message=text, hint=hint)


def statuses(facts: Facts, window: Window = ALWAYS) -> str:
    """The load's statuses of the whole got all along, or of a window, most frequent first: ``status 404 on 300 of 310 requests``; empty without an answer."""
    counts = Counter[str]()
    for cell in facts.evidence.load.cells(window.start, window.end):
        counts[f"status {cell.status}" if cell.status else f"no answer ({cell.error})"] += cell.count
    if len(counts) == 1:
        return f"{next(iter(counts))} on all {counts.total()} requests"
    return ", ".join(f"{got} on {count}" for got, count in counts.most_common(_TOLD)) + (
        f" of {counts.total()} requests" if counts else ""
    )
