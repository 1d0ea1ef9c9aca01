"""The table of all verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from chaos.model.verdict import Verdict
from chaos.reporting.console import STYLES, Stream, console
from chaos.reporting.prose import after_reasons


class Row(NamedTuple):
    """One experiment: its name, its outcome and why."""

    name: str
    outcome: str
    reasons: Sequence[str]


def row_of(verdict: Verdict, *, hints: bool = False) -> Row:
    """A verdict's row; with hints, where nothing else tells what to do."""
    reasons: list[str] = []
    for one in verdict.reasons:
        reasons.append(f"{one.code}: {one.message}")
        reasons += [f"  hint: {one.hint}"] if hints and one.hint else []
    return Row(verdict.experiment, verdict.outcome.value, [*reasons, *after_reasons(verdict)])


def write_table(rows: Iterable[Row], stream: Stream, *, width: int | None = None, colour: bool = True) -> None:
    """Writes a row for each experiment, its reasons below each other, in the columns that a terminal has."""
    table = Table("EXPERIMENT", "VERDICT", "REASON", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for row in rows:
        table.add_row(row.name, Text(row.outcome, STYLES.get(row.outcome, "")), "\n".join(row.reasons))
    out = console(stream, width=width, colour=colour)
    with out.capture() as printed:
        out.print(table)
    stream.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))
