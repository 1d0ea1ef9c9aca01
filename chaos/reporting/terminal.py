"""A run for people while it lasts: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from math import ceil
from operator import itemgetter
from typing import Final

from rich.control import Control
from rich.segment import ControlType

from chaos.model.events import Event
from chaos.model.history import PhaseName
from chaos.model.plan import Plan
from chaos.ports import Listener, Progress, Result
from chaos.reporting.console import STYLES, Stream, console
from chaos.reporting.prose import changed_lines, headline, unshown_lines
from chaos.values.answers import Answer

_EVERY: Final = 5.0
"""Seconds between two plain lines of one phase."""
_CLEAR: Final = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))


class Terminal(Listener):
    """Tells a terminal or a log what happens.

    Args:
        stream: Where it writes; by default standard error.
        width: Columns of a terminal that can't be asked.
        colour: Whether colours may be used.
    """

    def __init__(self, stream: Stream | None = None, *, width: int | None = None, colour: bool = True) -> None:
        stream = stream or sys.stderr
        self._console = console(stream, width=width, colour=colour)
        self._live = stream.isatty() and not self._console.is_dumb_terminal
        self._next = 0.0
        self._begun: float | None = None

    def started(self, plan: Plan) -> None:
        """Says what is going to be done."""
        experiment = plan.experiment
        strategies = ", ".join(dict.fromkeys(one.strategy for one in plan.injections))
        self.say(f"{experiment.name}: {experiment.headline} (run {plan.run}, strategy {strategies})", style="bold")
        for warning in plan.warnings:
            self.say(f"  warning: {warning.message}", style="yellow")

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        """A plain log gets a line for each phase; the live line shows it anyway."""
        del run
        self._begun = at if self._begun is None else self._begun
        self._next = 0.0
        if not self._live:
            self.say(f"{self._time(at)}  {phase}")

    def event(self, run: str, event: Event) -> None:
        """What people should not miss."""
        del run
        if event.live:
            self.say(f"{self._time(event.at)}  {event.kind}: {event.sentence}")

    def progress(self, progress: Progress) -> None:
        """Phase, elapsed time, rate, the worst good share so far, what is decided."""
        if self._live:
            self._console.control(_CLEAR)
            # A line that wraps could not be taken back: only its last row would be cleared.
            self._console.print(_progress(progress)[: self._console.width - 1], end="")
        elif progress.elapsed >= self._next and progress.expectations:
            self._next = progress.elapsed + _EVERY
            self.say(_progress(progress))

    def finished(self, result: Result) -> None:
        """What else changed, what was not shown, and the verdict in one line; the table comes at the end of all."""
        for line in (*changed_lines(result.verdict), *unshown_lines(result.verdict)):
            self.say(f"  {line}")
        self.say(f"  => {headline(result.verdict)}", style=STYLES[result.verdict.outcome])

    def say(self, text: str, *, style: str | None = None) -> None:
        """A line of its own, in the place of the live one."""
        if self._live:
            self._console.control(_CLEAR)
        self._console.print(text, style=style)

    def _time(self, at: float) -> str:
        return f"  {at - (self._begun if self._begun is not None else at):5.1f} s"


def _progress(progress: Progress) -> str:
    parts = [f"  {progress.elapsed:5.1f} s  {progress.phase}"]
    if progress.rate is not None:
        parts.append(f"{progress.rate:.0f} answers/s")
    shares = [
        (one.tally.share, one.interval)
        for one in progress.expectations
        if one.tally.share is not None and one.interval is not None
    ]
    if shares:
        share, interval = min(shares, key=itemgetter(0))
        parts.append(f"good {interval.around(share)}")
    if progress.wait:
        parts.append(f"at least {ceil(progress.wait)} s more")
    elif progress.expectations:
        decided = sum(one.answer is not Answer.UNDECIDED for one in progress.expectations)
        parts.append(f"{decided} of {len(progress.expectations)} decided")
    if progress.proof is not None and progress.proof.counted:
        parts.append(f"{progress.proof.counted} faulted")
    return ", ".join(parts)
