"""Progress and verdicts for people: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import IO, Final

from chaos.model.history import Event, PhaseName
from chaos.model.plan import Plan
from chaos.model.quantities import format_share
from chaos.model.verdict import Answer, Outcome, Verdict
from chaos.ports import Finished, Progress
from chaos.reporting.prose import headline

_EVERY: Final = 5.0
"""Seconds between two plain lines of one phase."""
_TOLD: Final = ("injected", "restored", "restore-retried", "guardrail", "not-steady", "no-callers", "trouble")
_CLEAR: Final = "\r\x1b[2K"
_COLOURS: Final = {Outcome.PASSED: "32", Outcome.INCONCLUSIVE: "33", Outcome.REFUSED: "33"}


class Terminal:
    """The ``Sink`` for a terminal or a log.

    Args:
        stream: Where it writes; standard error where absent.
        live: Whether one line is redrawn; as the stream is a terminal where absent.
    """

    def __init__(self, stream: IO[str] | io.TextIOBase | None = None, *, live: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() if live is None else live
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
            self._write(f"{_CLEAR}{text}")
        elif progress.elapsed >= self._next and progress.claims:
            self._next = progress.elapsed + _EVERY
            self._line(text)

    def finished(self, finished: Finished) -> None:
        """The verdict in one line; the table comes at the end of all."""
        self._line(f"  => {self._coloured(finished.verdict)}")
        self._phase, self._begun = None, 0.0

    def _coloured(self, verdict: Verdict) -> str:
        text = headline(verdict)
        if not self._live:
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


def verdict_table(verdicts: Sequence[Verdict], *, width: int = 100) -> str:
    """All verdicts with their reasons, as text that reads without colour."""
    wide = max((len(verdict.experiment) for verdict in verdicts), default=10)
    lines = [f"{'experiment':<{wide}}  {'verdict':<21}  reason", "-" * min(width, wide + 60)]
    for verdict in verdicts:
        for index, reason in enumerate(verdict.reasons):
            name, outcome = (verdict.experiment, verdict.outcome.value) if index == 0 else ("", "")
            lines.append(f"{name:<{wide}}  {outcome:<21}  {reason.code}: {reason.message}")
    return "\n".join(lines)
