"""Verdicts on the page that CI shows for a job."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chaos.model.verdict import Verdict
from chaos.reporting.prose import verdict_markdown

VARIABLE: Final = "GITHUB_STEP_SUMMARY"
"""Names the file whose Markdown GitHub shows as the job's summary (GitHub Actions: workflow commands)."""


def summarise(verdicts: Sequence[Verdict]) -> None:
    """Appends verdicts to the job's summary, where CI names one.

    A summary that can't be written is told on stderr; the verdicts stand without it.
    """
    target = os.environ.get(VARIABLE)
    if not target or not verdicts:
        return
    text = "\n".join(verdict_markdown(verdict) for verdict in verdicts) + "\n"
    try:
        # In one write, since several workers may append to the same file.
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        sys.stderr.write(f"the job's summary ({VARIABLE}={target}) can't be written: {error.strerror}\n")
