"""Who listens to a run, outside pytest: the terminal, the picture, CI's summary."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chaos.model.history import Event, PhaseName
from chaos.model.plan import Plan
from chaos.ports import Finished, Progress, Sink
from chaos.reporting.summary import summarise
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
    summarise(verdicts)
