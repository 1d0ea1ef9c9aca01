"""A service gets as many requests per second after the fault as before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import dist, inf, log, sqrt
from operator import attrgetter, sub
from statistics import fmean
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field, field_validator

from chaos.expectations.confidence import shared
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.mesh import COUNTABLE, Expectation
from chaos.expectations.scene import Scene
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.conditions import all_of, none_of
from chaos.values.declared import Placed
from chaos.values.quantities import UncertainShare, format_number, format_share
from chaos.values.questions import Question
from chaos.values.remarks import Refusal, Warn

_SECONDS: Final = 5.0
_SCRAPES: Final = 4
"""A batch lasts for so many seconds and so many scrape intervals, so that its first and last scrape hardly matter."""
_BATCHES: Final = 5
"""Fewer say nothing of how much rates scatter."""
_GOOD: Final = attrgetter("good")
_STUCK: Final = "see whether the callers still hold broken connections, an open breaker or a queue after the fault"


class ThroughputExpectation(Kind):
    """A service's rate of good requests returns to what it was before the fault (``throughput``).

        >>> ThroughputExpectation("the pool refills", throughput="inventory-svc", at_least="90%").good.status
        '<500'

    So it finds a connection pool that stays stuck, although all answers that there are are good. The callers' proxies count.

    Rates are compared by the means of batches of some seconds, with confidence sequences for means whose scatter is estimated
    (Waudby-Smith et al. 2021, "Time-uniform central limit theory and asymptotic confidence sequences"), so it may be looked
    at as often as one likes. The estimate is raised by two of its standard errors, since there are few batches; a burst
    that is shorter than a batch lies within one. Both rates are uncertain, and each has half of alpha.

    Args:
        title: What is expected, in words.
        throughput: The service: its name in the target's namespace, or ``namespace/name`` anywhere.
        caller: Only the requests of this workload; without it, of all callers.
        good: Which requests count; by default those with a status under 500.
        at_least: Least part of the baseline's rate after the recovery.
        during_fault: Least part of it during the fault; without it, nothing is expected then.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "throughput"
    no_guardrail: ClassVar[str] = (
        "throughput can't be a guardrail, since it is decided after the fault: declare it in steadyState"
    )
    loosened_by: ClassVar[Mapping[Phase, str]] = {"fault": "duringFault", "recovery": "atLeast"}

    throughput: Placed = Field(
        description="the service whose requests per second are compared: name, or namespace/name"
    )
    caller: Placed | None = Field(None, description="only the requests of this workload; without it, of all callers")
    good: Good = Field(
        Good(status="<500"),
        json_schema_extra=all_of(COUNTABLE, none_of("within")),
        description="which requests count; by default those with a status under 500",
    )
    at_least: UncertainShare = Field(
        0.9, description="smallest part of the baseline's rate after the recovery, such as 90%"
    )
    during_fault: UncertainShare | None = Field(
        None, description="smallest part of it during the fault; without it, none"
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            throughput: str,
            caller: str | None = None,
            good: Good = ...,
            at_least: float | str = 0.9,
            during_fault: float | str | None = None,
        ) -> None: ...

    @field_validator("good")
    @classmethod
    def _countable(cls, value: Good) -> Good:
        if value.within is not None:
            raise ValueError(
                "expected no within: to expect that answers are in time again, declare a share of good answers within a time (atLeast)"
            )
        return Expectation.countable(value)

    def questions(self, namespace: str) -> Iterator[Question]:
        """The service's requests."""
        yield from self._service.questions(namespace)

    @property
    def counts_everybody(self) -> bool:
        """It does: who else calls the service changes its rate."""
        return True

    @property
    def follows_load(self) -> bool:
        """It does: who is sent less by the load asks less."""
        return True

    @property
    def notices_fewer(self) -> bool:
        """That is what it expects."""
        return True

    @property
    def notices_after(self) -> float:
        """None: an answer that comes later is an answer."""
        return inf

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """The caller is there, and the fault alone does not make its good requests too few."""
        yield from scene.unknown(self.caller)
        spoilt = self._service.spoilt(scene)
        if self.during_fault is not None and spoilt > 1 - self.during_fault:
            yield Refusal(
                rule="target-is-affected",
                value=self.throughput,
                message=f"{self.title}: {self.throughput} is the target, and the fault alone makes at least {format_share(spoilt)} of its requests bad "
                f"(good are those {self.good}), whatever the system does, so that their rate falls under {format_share(self.during_fault)}",
                hint=f"expect it of a service that calls {self.throughput}; or expect less during the fault (duringFault), {format_share(1 - spoilt)} at most",
            )

    def takes(self, phase: Prospect) -> Takes | None:
        """Enough batches to tell how much rates scatter."""
        if phase.phase == "fault" and self.during_fault is None:
            return None
        seconds, number = _batch(phase.interval), _BATCHES + 1
        return Takes(
            seconds=number * seconds,
            key="throughput",
            value=self.throughput,
            why=f"its rate is known after {number} stretches of {seconds:g} s, which are {number * seconds:g} s",
        )

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """By the rates that are surely exceeded, and surely not, before and now."""
        tally = self._service.tally(evidence, look.window, look.namespace)
        part = shared(look.confidence, 2)
        now = self._rates(evidence, look.window, look.namespace)
        bound = self.during_fault if look.phase == "fault" else self.at_least
        if look.phase == "baseline" or bound is None:
            unknown = look.phase == "baseline" and (len(now) < _BATCHES or not tally.good)
            answer = Answer.UNDECIDED if unknown else Answer.HOLDS
            return Finding(answer, tally, 0.0, part, value=fmean(now) if now else None)
        before = self._rates(evidence, look.baseline, look.namespace) if look.baseline is not None else ()
        least, most = _between(before, part)
        low, high = _between(now, part) if not look.at_once else self._in_one(evidence, look, part)
        answer = Answer.HOLDS if low >= bound * most else Answer.VIOLATED if high < bound * least else Answer.UNDECIDED
        return Finding(
            answer,
            tally,
            bound * fmean(before) if before else 0.0,
            part,
            value=fmean(now) if now else None,
            where=format_number(fmean(before), 3) if before else "",
        )

    def parts(self, phase: Phase) -> Sequence[Expectation]:
        """That of the requests that count; during the fault none, if nothing is expected then."""
        return () if phase == "fault" and self.during_fault is None else (self._service,)

    def apart(self, evidence: Evidence, look: Look) -> Mapping[str, Tally]:
        """As of a share."""
        return self._service.apart(evidence, look)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """The rates."""
        bound = self.during_fault if phase == "fault" else self.at_least
        compared = phase != "baseline" and bound is not None
        part = (
            f"at least {format_share(bound)} of the baseline's rate" if compared and bound is not None else "any rate"
        )
        observed = "no event"
        if found.tally.total:
            observed = (
                "too few scrapes for a rate" if found.value is None else f"{format_number(found.value, 3)} per second"
            )
            observed += f", before {found.where}" if found.where else ""
        return self.result(
            found,
            phase,
            expected=f"{part} of requests{self.by} to {self.throughput} {self.good}",
            observed=observed,
            hint=_STUCK if found.answer is Answer.VIOLATED else None,
        )

    @cached_property
    def _service(self) -> Expectation:
        return Expectation(self.title, service=self.throughput, caller=self.caller, good=self.good, at_least=0.5)

    def _rates(self, evidence: Evidence, window: Window, namespace: str) -> Sequence[float]:
        """Good requests per second in each batch of a window that was scraped to its end."""
        seconds = _batch(evidence.scrape_interval)
        known = min(window.end, *map(evidence.last_scrape, self.questions(namespace)))
        course = evidence.course(
            lambda part: self._service.tally(evidence, part, namespace),
            window,
            seconds,
            int(max(0.0, known - window.start) / seconds),
            key=(self, namespace),
        )
        goods = list(map(_GOOD, course[1:]))
        return list(map(seconds.__rtruediv__, map(sub, goods[1:], goods)))

    def _in_one(self, evidence: Evidence, look: Look, confidence: float) -> tuple[float, float]:
        """The same of a part of the fault that is too short for batches, by the deviation of events that come by chance."""
        scraped = evidence.scraped(self.questions(look.namespace), look.window)
        if scraped is None or look.phase != "fault" or scraped.end - scraped.start < _SECONDS:
            return 0.0, inf
        number, far = self._service.tally(evidence, scraped, look.namespace).good, 2 * log(1 / (1 - confidence))
        return 0.0, (number + sqrt(far * number) + far) / (scraped.end - scraped.start)


def _batch(interval: float) -> float:
    """Seconds of a batch."""
    return max(_SECONDS, _SCRAPES * interval)


def _between(rates: Sequence[float], confidence: float) -> tuple[float, float]:
    """What the mean rate surely exceeds, and what it surely does not."""
    count, alpha = len(rates), 1 - confidence
    if count < _BATCHES:
        return 0.0, inf
    middle = fmean(rates)
    scatter = dist(rates, [middle] * count) / sqrt(count - 1) * (1 + 2 / sqrt(2 * (count - 1)))
    # The mixture is at its best with so many batches as there have to be.
    tuned = (2 * log(1 / alpha) + log(2 * log(1 / alpha) + 1)) / _BATCHES
    grown = count * tuned + 1
    radius = scatter * sqrt(2 * grown / (count * count * tuned) * log(sqrt(grown) / alpha))
    return max(0.0, middle - radius), middle + radius
