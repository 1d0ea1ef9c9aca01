"""Verdicts on the page that CI shows for a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from chaos.errors import InputError
from chaos.ports import Listener, Result
from chaos.reporting.prose import verdict_markdown

VARIABLE: Final = "GITHUB_STEP_SUMMARY"
"""Names the file whose Markdown GitHub shows as the job's summary (GitHub Actions: workflow commands)."""


class JobSummary(Listener):
    """Appends each verdict to the job's summary, where CI names one."""

    def finished(self, result: Result) -> None:
        """In one write, since several workers may append to the same file.

        Raises:
            InputError: it can't be written.
        """
        target = os.environ.get(VARIABLE)
        if not target:
            return
        try:
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(verdict_markdown(result.verdict) + "\n")
        except OSError as error:
            raise InputError(f"{VARIABLE}={target}: expected a file that can be written: {error.strerror}") from error
