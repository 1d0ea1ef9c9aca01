"""Reads metrics and load at each look, and records what it reads and what it could not read."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from chaos.engine.recorder import Recorder
from chaos.errors import MetricsError
from chaos.judge import needed
from chaos.model.events import TroubleKind
from chaos.ports import Load, Metrics
from chaos.values.questions import Edges, Question

_PATIENCE: Final = 10.0
"""Seconds without an answer of the metrics, beyond three scrape intervals, after which metrics count as lost."""

_SELDOM: Final = 5.0
"""Seconds between two times that a question is asked for which no decision waits; it may be about many series."""

_LOOK_BACK: Final = 30.0
"""Seconds before the run to which the first look goes back; so does that at a host to which routes begin to lead."""


class Observer:
    """Fills a recorder; the load generator is polled only while ``loading``."""

    def __init__(self, recorder: Recorder, metrics: Metrics, load: Load) -> None:
        every = needed(recorder.facts.plan)
        self._questions = [one for one in every if not isinstance(one, Edges)]
        self._aside = [one for one in every if isinstance(one, Edges)]
        self._aside_at = float("-inf")
        self._recorder = recorder
        self._metrics = metrics
        self._load = load
        self._interval = recorder.facts.environment.scrape_interval
        self._answered: dict[Question, float] = {}
        self._silent_since: float | None = None
        self._begun = recorder.facts.started
        self.loading = False

    def look(self, now: float) -> None:
        """One look at everything; never raises for what the outside fails to answer."""
        if self.loading:
            self._recorder.load(self._load.poll())
            failure = self._load.failure()
            if failure is not None:
                self._recorder.trouble(now, TroubleKind.LOAD_DIED, f"the load generator died: {failure}")
        try:
            parts = (part for one in self._questions for part, _ in self._recorder.facts.evidence.parts(one))
            for question in dict.fromkeys(parts):
                self._ask(question, now)
        except MetricsError as error:
            self._silent_since = self._silent_since if self._silent_since is not None else now
            if now - self._silent_since > _PATIENCE + 3 * self._interval:
                self._recorder.trouble(now, TroubleKind.METRICS_LOST, error.message, hint=error.hint)
        else:
            self._silent_since = None
            self._look_aside(now)

    def _look_aside(self, now: float) -> None:
        """What no decision waits for; a back end that can't answer it leaves a verdict without it."""
        if now - self._aside_at < _SELDOM:
            return
        self._aside_at = now
        with suppress(MetricsError):
            for question in self._aside:
                self._ask(question, now)

    def _ask(self, question: Question, now: float) -> None:
        since = now - self._answered.get(question, self._begun - _LOOK_BACK)
        found = self._metrics.samples(question, seconds=since + 2 * self._interval + 2)
        self._recorder.samples(question, self._metrics.wording(question), found)
        self._answered[question] = now
