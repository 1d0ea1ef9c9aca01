"""Gathers the facts of a run while it lasts, for judging all along and for its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chaos.expectations.kind import Phase
from chaos.judge import Facts, new_evidence
from chaos.model.events import AnyEvent, Trouble, TroubleKind
from chaos.model.history import Decision, Environment, History, Mark, PhaseName, ProxySeen, Span, StageSeen
from chaos.model.plan import Plan
from chaos.values.led import Led
from chaos.values.load import LoadSecond
from chaos.values.questions import Durations, Question, Requests
from chaos.values.series import Recorded, Series

_SAME: Final = 0.2
"""Part of a scrape interval by which another one may differ, and be the same; scrapes are not exactly in time."""


class Recorder:
    """The run's notebook. Every time given to it is on Prometheus' clock."""

    def __init__(self, plan: Plan, environment: Environment, *, clock_offset: float, started: float) -> None:
        self.clock_offset = clock_offset
        self.ended: float | None = None
        self.marks: dict[Mark, float] = {}
        self.events: list[AnyEvent] = []
        self.troubles: list[Trouble] = []
        self.proxies: list[ProxySeen] = []
        self.stages: list[StageSeen] = []
        self._led: list[Led] = []
        self.residue: tuple[str, ...] = ()
        self._spans: list[Span] = []
        self._decisions: list[Decision] = []
        self._wordings: dict[Question, str] = {}
        evidence = new_evidence(environment, plan)
        self.facts = Facts(plan, environment, started, self.marks, self.proxies, evidence, self.stages)

    def enter(self, phase: PhaseName, at: float) -> None:
        """A phase begins; the one before it ends."""
        self.leave(at)
        self._spans.append(Span(phase=phase, start=at))

    def leave(self, at: float) -> None:
        """The present phase ends."""
        if self._spans and self._spans[-1].end is None:
            self._spans[-1] = self._spans[-1].model_copy(update={"end": at})

    @property
    def phase(self) -> PhaseName | None:
        """The present phase."""
        return self._spans[-1].phase if self._spans else None

    def mark(self, mark: Mark, at: float) -> None:
        """Notes a moment; only the first time counts."""
        self.marks.setdefault(mark, at)

    def decide(self, phase: Phase, at: float) -> None:
        """Notes that the look of this moment ends a phase, and how much is recorded by now."""
        evidence = self.facts.evidence
        samples = tuple(tuple(len(one.times) for one in counters) for _, counters in evidence.answered())
        self._decisions.append(
            Decision(phase=phase, at=at, samples=samples, load=len(evidence.load.seconds), led=len(self._led))
        )

    def trouble(self, at: float, kind: TroubleKind, message: str, *, hint: str | None = None) -> None:
        """Notes why the run can't answer its question; the same kind once."""
        if all(trouble.kind is not kind for trouble in self.troubles):
            self.troubles.append(Trouble(at=at, kind=kind, message=message, hint=hint))

    def samples(self, question: Question, wording: str, found: Sequence[Series]) -> None:
        """Adds the raw samples that a question gave; a sample that was seen is not taken twice."""
        self._wordings[question] = wording
        self.facts.evidence.add(question, found)

    def measured(self, *, lag: float, questions: Sequence[Question]) -> None:
        """Takes what the samples of some questions tell of the metrics: how late they come, and how often proxies are scraped.

        The interval is learned before the fault, unless it was set; from then on nothing may depend on when one looks.
        """
        facts, evidence = self.facts, self.facts.evidence
        change = {"lag": lag} if lag > facts.environment.lag else {}
        if facts.environment.interval_from != "settings" and Mark.BASELINE_UNTIL not in self.marks:
            proxies = (one for one in questions if isinstance(one, Requests | Durations))
            sources = {one.source for question in proxies for one in evidence.counters(question)}
            found = evidence.scrapes.interval(sources)
            if found is not None and abs(found - evidence.scrape_interval) > _SAME * evidence.scrape_interval:
                change |= {"scrape_interval": found}
                evidence.rescale(found)
        if change:
            facts.environment = facts.environment.model_copy(update=change)

    def lead(self, found: Sequence[Led]) -> None:
        """Adds where routes send requests from now on."""
        self._led += found
        self.facts.evidence.lead(found)

    def load(self, seconds: Sequence[LoadSecond]) -> None:
        """Adds what the load generator did, its times turned to the clock of the metrics."""
        offset = self.clock_offset
        self.facts.evidence.load.add(second.model_copy(update={"at": second.at + offset}) for second in seconds)

    def history(self) -> History:
        """Everything so far. Not validated again: it is made of validated parts."""
        facts = self.facts
        return History.model_construct(
            run=facts.plan.run,
            plan=facts.plan,
            environment=facts.environment,
            clock_offset=self.clock_offset,
            started=facts.started,
            ended=self.ended,
            spans=tuple(self._spans),
            marks=dict(self.marks),
            events=tuple(self.events),
            recorded=tuple(
                Recorded.model_construct(
                    question=question,
                    query=self._wordings[question],
                    series=tuple(
                        Series.model_construct(
                            labels=one.labels, samples=tuple(zip(one.times, one.values, strict=True))
                        )
                        for one in counters
                    ),
                )
                for question, counters in facts.evidence.answered()
            ),
            load=tuple(facts.evidence.load.seconds),
            proxies=tuple(self.proxies),
            stages=tuple(self.stages),
            led=tuple(self._led),
            decisions=tuple(self._decisions),
            residue=self.residue,
            troubles=tuple(self.troubles),
        )
