"""Progress and verdicts for people: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence
from typing import IO, Final, NamedTuple

from chaos.model.history import Event, PhaseName
from chaos.model.plan import Plan
from chaos.model.verdict import Outcome, Verdict
from chaos.ports import Finished, Progress
from chaos.reporting.prose import headline
from chaos.values.answers import Answer
from chaos.values.quantities import format_share

_EVERY: Final = 5.0
"""Seconds between two plain lines of one phase."""
_TOLD: Final = (
    "injected",
    "restored",
    "restore-retried",
    "ownership",
    "gone",
    "proxies-silent",
    "removal-not-awaited",
    "guardrail",
    "not-steady",
    "no-callers",
    "foreign-fault",
    "trouble",
)
_CLEAR: Final = "\r\x1b[2K"
_COLOURS: Final = {Outcome.PASSED: "32", Outcome.INCONCLUSIVE: "33", Outcome.REFUSED: "33"}


class Terminal:
    """The ``Sink`` for a terminal or a log.

    Args:
        stream: Where it writes; standard error where absent.
        live: Whether one line is redrawn; as the stream is a terminal where absent.
        width: Columns of the live line; those of the terminal where absent.
    """

    def __init__(
        self, stream: IO[str] | io.TextIOBase | None = None, *, live: bool | None = None, width: int | None = None
    ) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() if live is None else live
        self._width = width
        self._phase: PhaseName | None = None
        self._next = 0.0
        self._begun = 0.0

    def started(self, plan: Plan) -> None:
        """Says what is going to be done."""
        experiment, injection = plan.experiment, plan.injection
        strategy = f", strategy {injection.strategy}" if injection else ""
        self._line(f"{experiment.name}: {experiment.headline} (run {plan.run}{strategy})")
        for warning in plan.warnings:
            self._line(f"  warning: {warning.message}")

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        """A plain log gets a line for each phase; the live line shows it anyway."""
        del run
        self._begun = self._begun or at
        self._phase, self._next = phase, 0.0
        if not self._live:
            self._line(f"  {at - self._begun:5.1f} s  {phase}")

    def event(self, run: str, event: Event) -> None:
        """What people should not miss."""
        del run
        if event.kind in _TOLD:
            self._line(f"  {event.at - self._begun:5.1f} s  {event.kind}: {event.message}")

    def progress(self, progress: Progress) -> None:
        """Phase, elapsed time, rate, the worst good share so far, what is decided."""
        text = _progress(progress)
        if self._live:
            # A line that wraps could not be taken back: only its last row would be cleared.
            columns = self._width or shutil.get_terminal_size().columns
            self._write(f"{_CLEAR}{text[: columns - 1]}")
        elif progress.elapsed >= self._next and progress.claims:
            self._next = progress.elapsed + _EVERY
            self._line(text)

    def finished(self, finished: Finished) -> None:
        """The verdict in one line; the table comes at the end of all."""
        self._line(f"  => {self._coloured(finished.verdict)}")
        self._phase, self._begun = None, 0.0

    def _coloured(self, verdict: Verdict) -> str:
        text = headline(verdict)
        if not self._live or os.environ.get("NO_COLOR"):
            return text
        return f"\x1b[{_COLOURS.get(verdict.outcome, '31')}m{text}\x1b[0m"

    def _line(self, text: str) -> None:
        self._write(f"{_CLEAR if self._live else ''}{text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _progress(progress: Progress) -> str:
    parts = [f"  {progress.elapsed:5.1f} s  {progress.phase}"]
    if progress.rate is not None:
        parts.append(f"{progress.rate:.0f} answers/s")
    if progress.good is not None:
        parts.append(f"good {format_share(progress.good)}")
    if progress.claims:
        decided = sum(claim.answer is not Answer.UNDECIDED for claim in progress.claims)
        parts.append(f"{decided} of {len(progress.claims)} decided")
    if progress.proof is not None and progress.proof.by_caller:
        parts.append(f"{sum(progress.proof.by_caller.values())} faulted")
    return ", ".join(parts)


class Row(NamedTuple):
    """One experiment in the table: its name, its outcome and why."""

    name: str
    outcome: str
    reasons: Sequence[str]


def row_of(verdict: Verdict) -> Row:
    """A verdict's row."""
    return Row(verdict.experiment, verdict.outcome.value, [f"{one.code}: {one.message}" for one in verdict.reasons])


def verdict_table(verdicts: Sequence[Verdict], *, width: int = 100) -> str:
    """All verdicts with their reasons, as text that reads without colour."""
    return "\n".join(table([row_of(verdict) for verdict in verdicts], width=width))


def table(rows: Sequence[Row], *, width: int = 100) -> list[str]:
    """The lines of a table: a head, a rule, then the rows."""
    wide = max((len(row.name) for row in rows), default=0)
    wide = max(wide, len("experiment"))
    broad = max([len(row.outcome) for row in rows] + [len("verdict")])
    lines = [f"{'experiment':<{wide}}  {'verdict':<{broad}}  reason", "-" * min(width, wide + broad + 40)]
    for row in rows:
        for index, reason in enumerate(row.reasons or [""]):
            name, outcome = (row.name, row.outcome) if index == 0 else ("", "")
            lines.append(f"{name:<{wide}}  {outcome:<{broad}}  {reason}".rstrip())
    return lines
