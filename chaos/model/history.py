"""What happened: facts only, enough to judge a run again without any cluster.

All times are Unix seconds on Prometheus' own clock (the recorded ``clock_offset`` turns the harness's clock into it).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from chaos.expectations.kind import Phase
from chaos.model.events import AnyEvent, Trouble
from chaos.model.plan import Plan
from chaos.values.frozen import Frozen
from chaos.values.led import Led
from chaos.values.load import LoadSecond
from chaos.values.questions import Question
from chaos.values.series import Recorded, Series

FORMAT: Final = 4


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
    """Moments from which judging computes its windows."""

    LISTENED_FROM = "listened-from"
    """Who calls the target without the load was counted from here until the load started."""
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
    """The API acknowledged the restore; the judge decides when the proxies had lost the fault."""
    LOAD_STOPPED = "load-stopped"


class Span(Frozen):
    """A phase that was entered, and left unless the run died in it."""

    phase: PhaseName
    start: float
    end: float | None = None


class ProxySeen(Frozen):
    """What the callers' proxies answered: how many have the injected route, of how many.

    Args:
        at: When all had answered.
        asked: When they were asked.
        of: Number of proxies; 0 if they can't be asked, so that from then on only counts decide.
    """

    at: float
    asked: float | None = None
    having: int
    of: int


class StageSeen(Frozen):
    """A stage of a fault, as it was.

    Args:
        target: As ``namespace/service``.
        number: From 1.
        since: From when every caller's proxy had it; ``None``: not seen.
        until: When the write of the next stage was begun.
    """

    target: str
    number: int
    since: float | None = None
    until: float | None = None


class Decision(Frozen):
    """The look that ended a phase, and how much had been recorded by then.

    A phase ends when its question is decided. The baseline may also end undecided, and the run without a fault.

    Args:
        at: The moment of the look.
        samples: Of each series of each question, in the order of the record.
        load: Seconds of the load.
        led: Destinations to which routes had begun to send requests.
    """

    phase: Phase
    at: float
    samples: tuple[tuple[int, ...], ...]
    load: int
    led: int


class Environment(Frozen):
    """The place of a run, as recorded: facts only, which can be read when the place itself is long gone."""

    context: str
    cluster: str = Field("", description="UID of the namespace kube-system")
    server: str = ""
    kubernetes: str = ""
    istio: str = ""
    prometheus: str = ""
    entry: str = ""
    scrape_interval: float = Field(15.0, description="seconds between two samples of a proxy")
    interval_from: Literal["settings", "samples"] = Field(
        "samples", description="whether the interval was set; else the samples show it as soon as there are any"
    )
    lag: float = Field(
        0.0, description="seconds by which samples can be read later than they were scraped, as the run saw"
    )
    histogram_lag: float = Field(5.0, description="seconds by which proxies' histograms may trail their counters")
    harness: str = ""
    lab: bool = Field(False, description="whether it is the embedded lab")


class History(Frozen):
    """Everything that was recorded of one run."""

    format: int = FORMAT
    run: str
    plan: Plan
    environment: Environment
    clock_offset: float = 0.0
    started: float
    ended: float | None = None
    spans: tuple[Span, ...] = ()
    marks: Mapping[Mark, float] = Field(default_factory=dict)
    events: tuple[AnyEvent, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    load: tuple[LoadSecond, ...] = ()
    proxies: tuple[ProxySeen, ...] = ()
    stages: tuple[StageSeen, ...] = ()
    led: tuple[Led, ...] = Field((), description="where routes began to send requests after the plan was made")
    decisions: tuple[Decision, ...] = Field((), description="the looks that ended phases")
    residue: tuple[str, ...] = Field((), description="residue after the last attempt to clean up")
    troubles: tuple[Trouble, ...] = ()

    def known_at(self, look: Decision) -> History:
        """The same with the samples, the load and the routes that had been recorded when a look was made."""
        recorded = tuple(
            one.model_copy(update={"series": tuple(map(_first, one.series, numbers))})
            for one, numbers in zip(self.recorded, look.samples, strict=False)
        )
        return self.model_copy(
            update={"recorded": recorded, "load": self.load[: look.load], "led": self.led[: look.led]}
        )

    def find(self, question: Question) -> Recorded | None:
        """What was recorded of a question."""
        return next((recorded for recorded in self.recorded if recorded.question == question), None)


def _first(series: Series, samples: int) -> Series:
    return series.model_copy(update={"samples": series.samples[:samples]})
