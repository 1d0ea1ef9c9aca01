"""Who listens to a run, outside pytest: the terminal, the picture, CI's summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos.model.history import Event, PhaseName
from chaos.model.plan import Plan
from chaos.ports import Finished, Progress, Sink
from chaos.reporting.prose import verdict_markdown
from chaos.reporting.terminal import Terminal, verdict_table

TIMELINE = "timeline.png"


class Pictures:
    """Draws the timeline beside the record."""

    def started(self, plan: Plan) -> None:
        """Nothing to draw yet."""

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        """Nothing to draw yet."""

    def event(self, run: str, event: Event) -> None:
        """Nothing to draw yet."""

    def progress(self, progress: Progress) -> None:
        """Nothing to draw yet."""

    def finished(self, finished: Finished) -> None:
        """Draws; a run without load has nothing to show."""
        from chaos.reporting.timeline import draw

        if finished.folder is not None and finished.history.load:
            draw(finished.history, finished.verdict, finished.folder / TIMELINE)


def sinks_for() -> list[Sink]:
    """Those of ``chaosctl run``."""
    return [Terminal(), Pictures()]


def finish(done: Sequence[Finished]) -> None:
    """The table of all verdicts on stderr, and where each record is; CI's summary where CI asks for one."""
    verdicts = [finished.verdict for finished in done]
    folders = [f"record    {finished.folder}" for finished in done if finished.folder]
    sys.stderr.write("\n" + "\n".join([verdict_table(verdicts), *folders]) + "\n")
    summarise(done)


def summarise(done: Sequence[Finished]) -> None:
    """Appends the verdicts to GitHub's job summary, where ``GITHUB_STEP_SUMMARY`` names one."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write("\n".join(verdict_markdown(finished.verdict) for finished in done) + "\n")
