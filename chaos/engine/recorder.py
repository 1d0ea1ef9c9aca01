"""Gathers the facts of a run while it lasts, and shows them as a history at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.model.events import AnyEvent, Trouble, TroubleKind
from chaos.model.history import Environment, History, Mark, PhaseName, ProxySeen, Span
from chaos.model.plan import Plan
from chaos.values.load import LoadSecond
from chaos.values.series import QueryKind, Recorded, Series

_Key = tuple[tuple[str, str], ...]


class _Query:
    """A recorded query's series, growing; a sample that was seen is not taken twice."""

    def __init__(self, kind: QueryKind, query: str) -> None:
        self.kind = kind
        self.query = query
        self.series: dict[_Key, tuple[Mapping[str, str], list[tuple[float, float]]]] = {}

    def add(self, found: Sequence[Series]) -> None:
        for series in found:
            key = tuple(sorted(series.labels.items()))
            _, samples = self.series.setdefault(key, (series.labels, []))
            newest = samples[-1][0] if samples else float("-inf")
            samples.extend(sample for sample in series.samples if sample[0] > newest)


class Recorder:
    """The run's notebook. Every time given to it is on Prometheus' clock.

    Args:
        plan: What is being run.
        environment: Where.
        clock_offset: Seconds to add to the harness's clock to get Prometheus'.
        started: When the run began.
    """

    def __init__(self, plan: Plan, environment: Environment, *, clock_offset: float, started: float) -> None:
        self.plan = plan
        self.environment = environment
        self.clock_offset = clock_offset
        self.started = started
        self.ended: float | None = None
        self.marks: dict[Mark, float] = {}
        self.events: list[AnyEvent] = []
        self.troubles: list[Trouble] = []
        self.proxies: list[ProxySeen] = []
        self.residue: tuple[str, ...] = ()
        self._spans: list[Span] = []
        self._load: list[LoadSecond] = []
        self._queries: dict[str, _Query] = {}

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

    def trouble(self, at: float, kind: TroubleKind, message: str, *, hint: str | None = None) -> None:
        """Notes why the run can't answer its question; the same kind once."""
        if all(trouble.kind is not kind for trouble in self.troubles):
            self.troubles.append(Trouble(at=at, kind=kind, message=message, hint=hint))

    def samples(self, key: str, kind: QueryKind, query: str, found: Sequence[Series]) -> None:
        """Adds a query's raw samples."""
        self._queries.setdefault(key, _Query(kind, query)).add(found)

    def load(self, seconds: Sequence[LoadSecond]) -> None:
        """Adds what the load generator did, its times turned to Prometheus' clock."""
        offset = self.clock_offset
        self._load.extend(second.model_copy(update={"at": second.at + offset}) for second in seconds)

    def history(self) -> History:
        """Everything so far. Not validated again: it is made of validated parts, and made every second."""
        return History.model_construct(
            run=self.plan.run,
            plan=self.plan,
            environment=self.environment,
            clock_offset=self.clock_offset,
            started=self.started,
            ended=self.ended,
            spans=tuple(self._spans),
            marks=dict(self.marks),
            events=tuple(self.events),
            recorded=tuple(
                Recorded.model_construct(
                    key=key,
                    kind=query.kind,
                    query=query.query,
                    series=tuple(
                        Series.model_construct(labels=labels, samples=tuple(samples))
                        for labels, samples in query.series.values()
                    ),
                )
                for key, query in self._queries.items()
            ),
            load=tuple(self._load),
            proxies=tuple(self.proxies),
            residue=self.residue,
            troubles=tuple(self.troubles),
        )
