"""An alert of Prometheus that fires with the fault and resolves after it, or that never fires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import compress, islice
from operator import gt
from typing import TYPE_CHECKING, ClassVar, Final, Self

from pydantic import Field

from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Finding, Kind, Look, Phase
from chaos.expectations.scene import Scene
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.quantities import SomeTime, format_duration
from chaos.values.questions import WAITS, Alerts, Question
from chaos.values.remarks import Refusal

_COMPARE: Final = "compare the alert's rule with what the run recorded: its query, its range and `for`"
_TOO_SHORT: Final = (
    "raise observe.atLeast and limits.fault over the time for which the rule waits (`for`); or expect it of an alert that can fire in the fault's time, or of "
    "the metric that the rule is about"
)
_LOOKS: Final = 3
"""Looks at which it must not fire before that holds."""


class AlertExpectation(Kind):
    """An alert fires during the fault in time, and neither before nor after it; or it never fires (``alert``).

        >>> AlertExpectation("an alert fires", alert="PaymentErrors", fires_within="1m").only
        False

    ``recovery.within`` limits the time until it has resolved. How soon that can be depends on its rule: on the range of its query,
    on ``for`` and on how often Prometheus evaluates it.

    Args:
        title: What is expected, in words.
        alert: Name of the alert, as its rule has it.
        fires_within: Longest time from the fault until it fires; without it, it must never fire.
        only: No other alert may begin to fire during the fault.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "alert"
    decides_by_chance: ClassVar[bool] = False
    not_in_guardrails: ClassVar[tuple[str, ...]] = ("firesWithin",)
    loosened_by: ClassVar[Mapping[Phase, str]] = {"fault": "firesWithin"}

    alert: str = Field(min_length=1, description="name of the alert, as its rule in Prometheus has it")
    fires_within: SomeTime | None = Field(
        None, description="longest time from the fault until it fires; without it, it must never fire"
    )
    only: bool = Field(False, strict=True, description="no other alert may begin to fire during the fault")

    if TYPE_CHECKING:

        def __init__(
            self, title: str, *, alert: str, fires_within: timedelta | str | None = None, only: bool = False
        ) -> None: ...

    def as_guardrail(self) -> Self:
        """Itself, if it must never fire."""
        if self.fires_within is not None:
            raise ValueError("expected no firesWithin: as a guardrail, an alert stops the fault when it fires")
        return self

    def questions(self, namespace: str) -> Iterator[Question]:
        """Which alerts fire."""
        del namespace
        yield Alerts(name=self.alert)

    def unshown(self, scene: Scene) -> Iterator[Refusal]:
        """There has to be such an alert, and time in which it can fire."""
        if not scene.unanswered.isdisjoint(self.questions(scene.namespace)):
            yield Refusal(
                rule="alert-not-found",
                value=self.alert,
                message=f"{self.title}: Prometheus has no alert rule {self.alert!r} that it can evaluate, so it could never fire",
                hint="correct the name, or load its rule (a PrometheusRule) into Prometheus first",
            )
        if self.fires_within is not None and self.fires_within > scene.fault:
            yield Refusal(
                rule="fault-too-short",
                value=self.alert,
                message=f"{self.title}: the fault lasts for {format_duration(scene.fault)} at most, and the alert may take "
                f"{format_duration(self.fires_within)}",
                hint="raise limits.fault, or shorten firesWithin",
            )

    @property
    def needs_fault(self) -> bool:
        """It does, if it has to fire."""
        return self.fires_within is not None

    def may_suffer(self, violated: ExpectationResult) -> bool:
        """Not where it had to fire and never did: other faults are no reason for its silence."""
        return not (self.needs_fault and violated.phase == "fault" and not violated.tally.good)

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """By whether it fired when it was looked at, twice a second; nothing is left to chance."""
        times, fires = self._looks(evidence, look.window)
        fired = fires.count(True)
        seconds = times[fires.index(True)] - look.window.start if fired else None
        tally = Tally(good=len(times) - fired, total=len(times))
        limit, silent = 1.0, ""
        if look.phase == "fault" and self.fires_within is not None:
            limit = self.fires_within.total_seconds()
            tally = Tally(good=fired, total=len(times))
            late = bool(times) and times[-1] - look.window.start >= limit
            answer = Answer.HOLDS if seconds is not None and seconds <= limit else Answer.UNDECIDED
            answer = Answer.VIOLATED if answer is Answer.UNDECIDED and late else answer
        elif fired:
            answer = Answer.VIOLATED
        else:
            answer = Answer.HOLDS if len(times) >= _LOOKS else Answer.UNDECIDED
            silent = self._silent_anyway(evidence, look)
            answer = Answer.UNDECIDED if silent else answer
        if self._fired_late(evidence, look):
            answer, seconds = Answer.VIOLATED, 0.0
        others = self._others(evidence, look)
        if others and self.only:
            answer = Answer.VIOLATED
        return Finding(answer, tally, limit, look.confidence, value=seconds, where=", ".join(others), seen=silent)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the time that it took to fire, and the other alerts that began to fire."""
        must = phase == "fault" and self.fires_within is not None
        expected = f"{self.alert} does not fire"
        if must and self.fires_within is not None:
            expected = f"{self.alert} fires within {format_duration(self.fires_within)}"
        if phase == "fault" and self.only:
            expected += ", and no other alert begins to"
        observed = f"it did not fire at {found.tally.total} looks" if found.tally.total else "no look"
        if found.value is not None:
            observed = f"it fired after {found.value:.1f} s" if phase == "fault" else "it fired"
        if found.where:
            observed += f"; {found.where} began to fire too"
        if found.seen:
            observed += f"; {found.seen}"
        return self.result(
            found,
            phase,
            expected=expected,
            observed=observed,
            hint=_COMPARE if must else _TOO_SHORT if found.seen else None,
        )

    def _fired_late(self, evidence: Evidence, look: Look) -> bool:
        """Whether an alert that must never fire began to do so once the fault had ended: a rule that waits fires late, and resolves again.

        One that fired already when the fault ended is a matter of the fault's time, and has to resolve.
        """
        if look.faulted is None or self.fires_within is not None:
            return False
        times, fires = self._looks(evidence, Window(look.faulted.start, look.window.end))
        fired = dict.fromkeys(times, False)
        fired.update(dict.fromkeys(compress(times, fires), True))
        begun = map(gt, islice(fired.values(), 1, None), fired.values())
        return any(at > look.faulted.end for at in compress(islice(fired, 1, None), begun))

    def _looks(self, evidence: Evidence, window: Window) -> tuple[Sequence[float], Sequence[bool]]:
        """When it was looked at, and whether it fired then."""
        times: list[float] = []
        values: list[float] = []
        for one in evidence.counters(Alerts(name=self.alert)):
            if one.labels.get("alertname") == self.alert:
                places = one.inside(window.start, window.end)
                times += one.times[places]
                values += one.values[places]
        return times, list(map((0.0).__lt__, values))

    def _silent_anyway(self, evidence: Evidence, look: Look) -> str:
        """That its rule waits for longer than the fault lasted, in words; empty where it does not, or where that is not known."""
        counters = evidence.counters(Alerts(name=self.alert))
        waits = max((float(one.labels.get(WAITS, 0)) for one in counters), default=0.0)
        lasted = look.window.end - look.window.start
        if look.phase != "fault" or look.at_once or lasted >= waits:
            return ""
        return f"by its rule it can't fire before {waits:g} s (for), and the fault lasted {lasted:.0f} s"

    def _others(self, evidence: Evidence, look: Look) -> list[str]:
        """Other alerts that fire in the fault's window and did not before."""
        if look.phase != "fault" or look.baseline is None:
            return []
        return sorted(
            one.labels.get("alertname", "")
            for one in evidence.counters(Alerts(name=self.alert))
            if one.labels.get("alertname") != self.alert
            and one.times[one.inside(look.window.start, look.window.end)]
            and not one.times[one.inside(look.baseline.start, look.baseline.end)]
        )
