"""Reads metrics and load at each look, and records what it reads and what it could not read."""

from __future__ import annotations

from typing import Final

from chaos.engine.recorder import Recorder
from chaos.errors import MetricsError
from chaos.judge import needed
from chaos.model.events import TroubleKind
from chaos.ports import Load, Metrics
from chaos.values.questions import Question

_PATIENCE: Final = 10.0
"""Seconds without an answer of the metrics, beyond three scrape intervals, after which metrics count as lost."""

_LOOK_BACK: Final = 30.0
"""Seconds that the first look goes back."""


class Observer:
    """Fills a recorder; the load generator is polled only while ``loading``."""

    def __init__(self, recorder: Recorder, metrics: Metrics, load: Load) -> None:
        self._questions = needed(recorder.facts.plan)
        self._recorder = recorder
        self._metrics = metrics
        self._load = load
        self._interval = recorder.facts.environment.scrape_interval
        self._answered: dict[Question, float] = {}
        self._silent_since: float | None = None
        self.loading = False

    def look(self, now: float) -> None:
        """One look at everything; never raises for what the outside fails to answer."""
        if self.loading:
            self._recorder.load(self._load.poll())
            failure = self._load.failure()
            if failure is not None:
                self._recorder.trouble(now, TroubleKind.LOAD_DIED, f"the load generator died: {failure}")
        try:
            for question in self._questions:
                self._ask(question, now)
        except MetricsError as error:
            self._silent_since = self._silent_since if self._silent_since is not None else now
            if now - self._silent_since > _PATIENCE + 3 * self._interval:
                self._recorder.trouble(now, TroubleKind.METRICS_LOST, error.message, hint=error.hint)
        else:
            self._silent_since = None

    def _ask(self, question: Question, now: float) -> None:
        since = now - self._answered.get(question, now - _LOOK_BACK)
        found = self._metrics.samples(question, seconds=since + 2 * self._interval + 2)
        self._recorder.samples(question, self._metrics.wording(question), found)
        self._answered[question] = now
