"""What judging looks at: the facts of a run so far, with its counted evidence. A live run grows them, a record fills them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chaos.expectations.evidence import Evidence, Window
from chaos.model.experiment import Experiment
from chaos.model.history import Environment, History, Mark, ProxySeen, StageSeen
from chaos.model.plan import Plan
from chaos.model.verdict import RemovalResult


@dataclass
class Facts:
    """The facts of a run up to now.

    Args:
        unclear: Callers of whom a live run asks whether they have the labels of the declared ones.
    """

    plan: Plan
    environment: Environment
    started: float
    marks: Mapping[Mark, float]
    proxies: Sequence[ProxySeen]
    evidence: Evidence
    stages: Sequence[StageSeen] = ()
    unclear: Collection[str] = ()

    @classmethod
    def of(cls, history: History) -> Facts:
        """The facts of a stored history."""
        evidence = new_evidence(history.environment, history.plan)
        evidence.lead(history.led)
        for recorded in history.recorded:
            evidence.add(recorded.question, recorded.series)
        evidence.load.add(history.load)
        return cls(
            history.plan, history.environment, history.started, history.marks, history.proxies, evidence, history.stages
        )

    @property
    def experiment(self) -> Experiment:
        """The experiment of the run."""
        return self.plan.experiment

    @property
    def namespace(self) -> str:
        """The target's, where short names of services belong."""
        return self.experiment.target.namespace

    @property
    def baseline(self) -> Window | None:
        """The baseline's window, once it has ended."""
        start, end = self.marks.get(Mark.BASELINE_FROM), self.marks.get(Mark.BASELINE_UNTIL)
        return None if start is None or end is None else Window(start, end)

    def injected(self, now: float) -> Window | None:
        """The window from the write of the fault up to now, or to the decision to restore."""
        return self._since(Mark.INJECT_SENT, Mark.RESTORE_SENT, now)

    def faulted(self, now: float) -> Window | None:
        """The fault's window up to now, or to the decision to restore; ``None`` before all callers had it."""
        return self._since(Mark.FAULT_FROM, Mark.RESTORE_SENT, now)

    def restored(self, now: float) -> Window | None:
        """The window from the acknowledged restore up to now, or to the end of the load."""
        return self._since(Mark.RESTORED, Mark.LOAD_STOPPED, now)

    def gone(self, removal: RemovalResult | None) -> float | None:
        """When the callers' proxies had surely lost the fault; ``None`` where that was not seen."""
        restored = self.marks.get(Mark.RESTORED)
        if restored is None or removal is None or removal.seconds is None:
            return None
        return restored + removal.seconds

    def _since(self, start: Mark, end: Mark, now: float) -> Window | None:
        marks = self.marks
        return Window(marks[start], min(now, marks.get(end, now))) if start in marks else None


def new_evidence(environment: Environment, plan: Plan) -> Evidence:
    """Evidence without anything in it yet, which counts where the plan found that requests are sent."""
    found = Evidence(scrape_interval=environment.scrape_interval, histogram_lag=environment.histogram_lag)
    found.lead(plan.led)
    return found
