"""Text for people, in colour where a terminal shows it; it reads as well without (NO_COLOR, a file, a pipe)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from io import TextIOBase
from typing import IO, Final, cast

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.theme import Theme

from chaos.model.verdict import Outcome

_GOOD, _BAD, _OPEN = "green", "red", "yellow"
Stream = IO[str] | TextIOBase
STYLES: Final[Mapping[str, str]] = {
    Outcome.PASSED: _GOOD,
    Outcome.INCONCLUSIVE: _OPEN,
    Outcome.REFUSED: _OPEN,
    **dict.fromkeys((Outcome.FAILED, Outcome.BLAST_RADIUS_VIOLATED, Outcome.CLEANUP_FAILED, "error"), _BAD),
}
"""Colours of the outcomes, and of an error before there was one."""
_UNWRAPPED: Final = 10_000
"""Columns of what is no terminal: there a line may be as long as it is, so that it can be searched for."""


class _Words(RegexHighlighter):
    """Answers, severities, hints, and the lines of a diff."""

    highlights = (
        r"(?m): (?P<good>PASSED|holds)\b",
        r"(?m): (?P<open>INCONCLUSIVE|REFUSED|undecided|warning)\b",
        r"(?m): (?P<bad>FAILED|BLAST-RADIUS-VIOLATED|CLEANUP-FAILED|violated|error)\b",
        r"(?m)^(?P<open>warning|refused):",
        r"(?P<bad>NOBODY RENEWS IT)",
        r"(?m)^ +(?P<hint>hint|more):",
        r"(?m)^(?P<good>\+.*)$",
        r"(?m)^(?P<bad>-.*)$",
    )


class _Console(Console):
    """Ignores a closed pipe; the command's exit code reports it."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(stream: Stream, *, width: int | None = None, colour: bool = True) -> Console:
    """Prints text as it is, to a stream; words stand out only where ``highlight=True`` asks for it.

    ``width`` counts where the stream is a terminal that can't be asked.
    """
    return _Console(
        file=cast("IO[str]", stream),
        width=width if stream.isatty() else _UNWRAPPED,
        color_system="auto" if colour else None,
        highlighter=_Words(),
        theme=Theme({"good": _GOOD, "bad": _BAD, "open": _OPEN, "hint": "cyan"}),
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )


def show(text: str) -> None:
    """Prints text on standard output; words stand out."""
    console(sys.stdout).print(text, highlight=True)
