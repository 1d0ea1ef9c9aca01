"""What happened: facts only, enough to judge a run again without any cluster.

All times are Unix seconds on Prometheus' own clock (the recorded ``clock_offset`` turns the harness's clock into it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from chaos.model.plan import Plan

FORMAT: Final = 1


class Fact(BaseModel):
    """Base of recorded data."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class PhaseName(StrEnum):
    """The phases of a run, in their order."""

    LOCK = "lock"
    BASELINE = "baseline"
    INJECT = "inject"
    PROVE = "prove"
    OBSERVE = "observe"
    RESTORE = "restore"
    RECOVER = "recover"
    RELEASE = "release"


class Mark(StrEnum):
    """Moments on which judging leans."""

    LOAD_STARTED = "load-started"
    BASELINE_FROM = "baseline-from"
    BASELINE_UNTIL = "baseline-until"
    INJECT_SENT = "inject-sent"
    INJECTED = "injected"
    """The API acknowledged the write."""
    FAULT_FROM = "fault-from"
    """Every caller's proxy has the fault, or a fault was counted on a caller."""
    RESTORE_SENT = "restore-sent"
    """The decision to restore: the fault's observation ends here."""
    RESTORED = "restored"
    """The API acknowledged the restore; when the proxies had lost the fault is for the judge to tell."""
    LOAD_STOPPED = "load-stopped"


class Span(Fact):
    """A phase that was entered, and left unless the run died in it."""

    phase: PhaseName
    start: float
    end: float | None = None


class Event(Fact):
    """Something that happened, in a sentence and as data."""

    at: float
    kind: str
    message: str
    data: Mapping[str, Any] = Field(default_factory=dict)


class Series(Fact):
    """Raw samples of one series: ``(time, value)`` as Prometheus scraped them, in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def source(self) -> tuple[str, str]:
        """The scraped process it comes from: ``(job, instance)``."""
        return self.labels.get("job", ""), self.labels.get("instance", "")


class QueryKind(StrEnum):
    """What a recorded query counts."""

    REQUESTS = "requests"
    """``istio_requests_total`` towards a service."""
    BUCKETS = "buckets"
    """``istio_request_duration_milliseconds_bucket`` at one bound towards a service."""
    DURATIONS = "durations"
    """``istio_request_duration_milliseconds_count`` towards a service."""
    PROMQL = "promql"
    """A claim's own comparison: one sample a look, 1 where it held and 0 where not."""


class Recorded(Fact):
    """One query and all samples that it gave.

    Args:
        key: What the judge asks for, e.g. ``requests:order-svc.staging.svc.cluster.local``.
        query: The PromQL selector or comparison as sent.
    """

    key: str
    kind: QueryKind
    query: str
    series: tuple[Series, ...] = ()


class LoadCell(Fact):
    """Answers of one second with one name and one status.

    Args:
        request: The request's name.
        status: HTTP status; 0 where no answer came.
        error: Why none came, in a word or two; empty where one came.
        latencies: Count by milliseconds from the *intended* start, rounded up to three significant digits.
    """

    request: str
    status: int
    error: str = ""
    latencies: Mapping[float, int]

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.latencies.values())


class LoadSecond(Fact):
    """What the load generator did and got in one second.

    Args:
        at: Start of the second.
        intended: Arrivals that the declared rate asked for.
        sent: Requests that were started.
        worst_lag: Longest time in seconds by which a request started after its intended moment.
        cells: Answers that came in this second.
    """

    at: float
    intended: int
    sent: int
    worst_lag: float = 0.0
    cells: tuple[LoadCell, ...] = ()


class ProxySeen(Fact):
    """What a look into the callers' proxies found: how many have the injected route, of how many.

    Args:
        at: When all had answered.
        asked: When they were asked.
        of: Proxies; 0 where they can't be asked, so that from here on only counts tell.
    """

    at: float
    asked: float | None = None
    having: int
    of: int


class Environment(Fact):
    """Where it ran."""

    context: str
    cluster: str = Field("", description="UID of the namespace kube-system")
    server: str = ""
    kubernetes: str = ""
    istio: str = ""
    prometheus: str = ""
    entry: str = ""
    scrape_interval: float = Field(15.0, description="seconds, as Prometheus says")
    histogram_lag: float = Field(5.0, description="seconds by which proxies' histograms may trail their counters")
    harness: str = ""


class History(Fact):
    """Everything that is known of one run."""

    format: int = FORMAT
    run: str
    plan: Plan
    environment: Environment
    clock_offset: float = 0.0
    started: float
    ended: float | None = None
    spans: tuple[Span, ...] = ()
    marks: Mapping[Mark, float] = Field(default_factory=dict)
    events: tuple[Event, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    load: tuple[LoadSecond, ...] = ()
    proxies: tuple[ProxySeen, ...] = ()
    residue: tuple[str, ...] = Field((), description="what was still there after the last attempt to clean up")
    troubles: tuple[Trouble, ...] = ()

    def find(self, key: str) -> Recorded | None:
        """The recorded query of this key."""
        return next((recorded for recorded in self.recorded if recorded.key == key), None)

    def phase_at(self, moment: float) -> PhaseName | None:
        """The phase in which a moment lies."""
        for span in reversed(self.spans):
            if span.start <= moment and (span.end is None or moment <= span.end):
                return span.phase
        return None

    def seconds(self, start: float, end: float) -> Iterator[LoadSecond]:
        """The load's seconds that lie wholly inside an interval."""
        return (second for second in self.load if second.at >= start and second.at + 1 <= end)


class TroubleKind(StrEnum):
    """Why a run could not go on as planned, apart from what the judge reads in the counts."""

    METRICS_LOST = "metrics-lost"
    LOAD_DIED = "load-died"
    MESH_LOST = "mesh-lost"
    TARGET_CHANGED = "target-changed"
    NOT_DISTRIBUTED = "not-distributed"
    INTERRUPTED = "interrupted"
    FROZEN = "frozen"
    LOCKED = "locked"
    RECORD_LOST = "record-lost"
    BROKEN = "broken"


class Trouble(Fact):
    """Something that kept the run from answering its question."""

    at: float
    kind: TroubleKind
    message: str
    hint: str | None = None


History.model_rebuild()
