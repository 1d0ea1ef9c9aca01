"""Reads metrics and load at each look, and records what it reads and what it could not read. Hardly ever waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chaos import judge
from chaos.engine.freshness import Freshness
from chaos.engine.inquiries import Inquiries, Inquiry
from chaos.engine.recorder import Recorder
from chaos.errors import MetricsError
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.ports import Clock, Load, Metrics
from chaos.values.questions import Comparison, Question

_PATIENCE: Final = 10.0
"""Seconds without an answer to a question, beyond three scrape intervals, after which metrics count as lost."""

_SELDOM: Final = 5.0
"""Seconds between two times that a question is asked for which no decision waits; it may be about many series."""

_POLL: Final = 0.02
"""Seconds between two looks for answers that are waited for."""

_QUICK: Final = 0.25
"""Seconds for which a look waits for its answers: what is decided by the newest samples stays decided."""


class Observer:
    """Fills a recorder; the load generator is polled only while ``loading``.

    Args:
        also: Questions beside those of the plan.
    """

    def __init__(
        self, recorder: Recorder, metrics: Metrics, load: Load, clock: Clock, *, also: Sequence[Question] = ()
    ) -> None:
        plan = recorder.facts.plan
        self._questions, self._aside = tuple(dict.fromkeys((*judge.needed(plan), *also))), judge.aside(plan)
        self._aside_at = float("-inf")
        self._recorder = recorder
        self._metrics = metrics
        self._load = load
        self._clock = clock
        self._inquiries = Inquiries(metrics, clock)
        self._fresh = Freshness(recorder.facts.evidence, recorder.facts.started)
        self._failing: dict[Question, float] = {}
        self.loading = False

    def look(self, now: float) -> None:
        """One look at everything: takes what has come, asks again, and waits for quick answers; never raises if the outside does not answer."""
        self._poll()
        failure = self._load.failure() if self.loading else None
        if failure is not None:
            self._recorder.trouble(now, TroubleKind.LOAD_DIED, f"the load generator died: {failure}")
        self._take()
        asked = self._questions
        if now - self._aside_at >= _SELDOM:
            self._aside_at = now
            asked += self._aside
        parts = (part for one in asked for part, _ in self._recorder.facts.evidence.parts(one))
        self._inquiries.ask([self._inquiry(one, now) for one in dict.fromkeys(parts)])
        self._take()
        until = self._clock.now() + _QUICK
        while any(one.question not in self._aside for one in self._inquiries.under_way) and self._clock.now() < until:
            self._clock.sleep(_POLL)
            self._take()
        self._recorder.measured(lag=self._fresh.lag, questions=self._questions)

    def settle(self, now: float, seconds: float) -> None:
        """A last look, and its answers as far as they come within so many seconds; what was under way already is asked once more."""
        late = {one.question for one in self._inquiries.under_way}
        self._aside_at = float("-inf")
        self.look(now)
        until = self._clock.now() + seconds
        while self._inquiries.under_way and self._clock.now() < until:
            self._clock.sleep(_POLL)
            self._take()
            again = late - {one.question for one in self._inquiries.under_way}
            self._inquiries.ask([self._inquiry(one, now) for one in again])
            late -= again
        self._poll()

    def _poll(self) -> None:
        if self.loading:
            self._recorder.load(self._load.poll())

    def _inquiry(self, question: Question, now: float) -> Inquiry:
        """A comparison is about a moment of which the samples can be read."""
        at = now - self._recorder.facts.environment.lag if isinstance(question, Comparison) else now
        return Inquiry(question, at, self._fresh.looks_back(question, now))

    def _take(self) -> None:
        for reply in self._inquiries.replies():
            question = reply.inquiry.question
            if reply.error is None:
                self._recorder.samples(question, self._metrics.wording(question), reply.series)
                self._fresh.note(question, reply.inquiry.at)
                self._failing.pop(question, None)
            elif isinstance(reply.error, MetricsError):
                self._fail(reply.inquiry, reply.error)
            else:
                raise reply.error

    def _fail(self, inquiry: Inquiry, error: MetricsError) -> None:
        """Notes that metrics are lost, once a question had no answer for too long.

        What no decision waits for may go without one; a back end that can't give it leaves a verdict without it.
        """
        if inquiry.question in self._aside:
            return
        if not self._failing:
            self._recorder.events.append(events.MetricsSilent(at=inquiry.at, answer=error.message))
        since = self._failing.setdefault(inquiry.question, inquiry.at)
        if inquiry.at - since > _PATIENCE + 3 * self._recorder.facts.environment.scrape_interval:
            self._recorder.trouble(inquiry.at, TroubleKind.METRICS_LOST, error.message, hint=error.hint)
