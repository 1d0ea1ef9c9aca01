"""Looks at metrics and load, once a tick, and notes what it sees and what it could not see."""

from __future__ import annotations

from typing import Final

from chaos.engine.recorder import Recorder
from chaos.errors import MetricsError
from chaos.judge import Query, needed
from chaos.model.events import TroubleKind
from chaos.model.plan import Plan
from chaos.ports import Load, Metrics
from chaos.values.series import QueryKind, Series

_PATIENCE: Final = 10.0
"""Seconds without an answer from Prometheus, beyond three scrape intervals, after which metrics count as lost."""


class Observer:
    """Fills a recorder.

    Args:
        plan: What is being run; decides which queries are needed.
        recorder: Where the facts go.
        metrics: Prometheus.
        load: The load generator; polled only between ``load_on`` and ``load_off``.
    """

    def __init__(self, plan: Plan, recorder: Recorder, metrics: Metrics, load: Load) -> None:
        self._queries: tuple[Query, ...] = needed(plan)
        self._recorder = recorder
        self._metrics = metrics
        self._load = load
        self._interval = recorder.environment.scrape_interval
        self._answered: dict[str, float] = {}
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
            for query in self._queries:
                self._ask(query, now)
        except MetricsError as error:
            self._silent_since = self._silent_since if self._silent_since is not None else now
            if now - self._silent_since > _PATIENCE + 3 * self._interval:
                self._recorder.trouble(now, TroubleKind.METRICS_LOST, error.message, hint=error.hint)
        else:
            self._silent_since = None

    def _ask(self, query: Query, now: float) -> None:
        if query.kind is QueryKind.PROMQL:
            value = 1.0 if self._metrics.holds(query.selector) else 0.0
            found = [Series(labels={}, samples=((now, value),))]
        else:
            since = now - self._answered.get(query.key, now - 30.0)
            found = list(self._metrics.samples(query.selector, seconds=since + 2 * self._interval + 2))
        self._recorder.samples(query.key, query.kind, query.selector, found)
        self._answered[query.key] = now
