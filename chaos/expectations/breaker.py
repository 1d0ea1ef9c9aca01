"""A circuit breaker that opens soon after a fault began, and is closed before the fault and after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field

from chaos.expectations.bound import Limit
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.flags import Flagged, Flags
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.scene import Scene
from chaos.istio.hosts import host_of
from chaos.istio.metrics import flags_of
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.declared import Placed
from chaos.values.quantities import SomeTime, UncertainShare, format_duration
from chaos.values.questions import Question, Requests
from chaos.values.remarks import Refusal, Warn

_NOT_OPEN: Final = (
    "look at connectionPool and outlierDetection in the DestinationRule of this service: whether its callers follow it, and whether this load "
    "is enough to reach its limits in that time. If it may open later, raise opensWithin"
)

_USUAL: Final = (
    "some requests are refused without any fault, so a few refused ones do not show that the breaker opened: find out why they are refused. Or send more load or "
    "raise opensWithin, so that it refuses more of them in that time"
)


class BreakerExpectation(Kind):
    """A breaker of a service opens within a time of the fault, and is closed before it and after the recovery (``breaker``).

        >>> BreakerExpectation("it opens", breaker="order-svc", opens_within="10s").flags
        ('UO',)

    It is open once a proxy of the service's callers refuses a request; where some are refused before the fault, too, once surely more than
    ``at_most`` are. Flags: ``UO`` where the connection pool has no room
    (``trafficPolicy.connectionPool``), ``UH`` where every replica is ejected (``outlierDetection``). It is closed while hardly any is
    refused; that it closes again in time is a matter of ``recovery.within``. Each caller's proxy has a breaker of its own, and an
    injected fault never reaches the one of the faulted hop: declare the breaker of a service that calls the target.

    Args:
        title: What is expected, in words.
        breaker: The service that it protects: its name in the target's namespace, or ``namespace/name`` anywhere.
        caller: Only the breaker of this workload's proxies; without it, of any caller.
        flags: Envoy's response flags of what it refuses, ``UO`` by default.
        opens_within: Longest time from the fault until it refuses a request.
        at_most: Largest share of requests that are refused while it is closed, 1 % by default.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "breaker"
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atMost", "fault": "opensWithin", "recovery": "atMost"}
    no_guardrail: ClassVar[str] = (
        "a breaker can't be a guardrail, since only time shows that it does not open: declare it in steadyState"
    )

    breaker: Placed = Field(
        description="the service that it protects: a name in the target's namespace, or namespace/name"
    )
    caller: Placed | None = Field(None, description="only the breaker of this workload's proxies")
    flags: Flags = Field(
        ("UO",), description="response flags of what it refuses: UO of a full pool, UH of ejected replicas"
    )
    opens_within: SomeTime = Field(description="longest time from the fault until it refuses a request")
    at_most: UncertainShare = Field(0.01, description="largest share of refused requests before and after the fault")

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            breaker: str,
            opens_within: timedelta | str,
            caller: str | None = None,
            flags: str | Sequence[str] = "UO",
            at_most: float | str = 0.01,
        ) -> None: ...

    def questions(self, namespace: str) -> Iterator[Question]:
        """The service's requests."""
        yield Requests(host=host_of(self.breaker, namespace))

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """It is not that of the faulted hop, and there is one."""
        yield from scene.unknown(self.caller)
        yield from scene.unreached(self.breaker, "the breaker")
        for flag, policy in (("UO", "connectionPool"), ("UH", "outlierDetection")):
            if flag in self.flags:
                yield from scene.unlimited(self.breaker, policy)

    @property
    def needs_fault(self) -> bool:
        """It does: it opens for the fault."""
        return True

    def takes(self, phase: Prospect) -> Takes | None:
        """Before the fault, as the share of refused requests does; that it opens takes one request."""
        return None if phase.phase == "fault" else replace(self._closed.takes(phase), key="atMost")

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """During the fault by the first request that it refused; its moment is known to lie between two scrapes.

        It surely did not open in time once every caller's proxy was scraped after that time, and none had refused any.
        """
        if look.phase != "fault":
            return self._closed.decide(evidence, look)
        evidence = self.its_part(evidence, look.namespace)
        if look.baseline is not None and (usual := self._opened.tally(evidence, look.baseline, look.namespace)).good:
            return self._among_others(evidence, look, usual)
        question, window = Requests(host=host_of(self.breaker, look.namespace)), look.window
        every = {one.read(flags_of) for one in evidence.counters(question)}
        refused = evidence.only(flags_of, *(flags for flags in every if not flags.isdisjoint(self.flags)))
        tally = self._opened.tally(evidence, window, look.namespace)
        within = self.opens_within.total_seconds()
        limit = window.start + within
        first = next(refused.rises(question, window), None)
        scraped = [one.times[-1] for one in evidence.counters(question) if one.times and one.times[-1] > window.start]
        answer = Answer.UNDECIDED
        if first is not None and first[1] <= limit:
            answer = Answer.HOLDS
        elif tally.total and (first[0] >= limit if first is not None else min(scraped) >= limit):
            answer = Answer.VIOLATED
        opened = first[1] - window.start if first is not None else None
        return Finding(answer, tally, within, look.confidence, value=opened)

    def _among_others(self, evidence: Evidence, look: Look, usual: Tally) -> Finding:
        """Where some requests are refused without a fault, the first one tells nothing: so many must be that it is surely not closed."""
        within = self.opens_within.total_seconds()
        first = replace(
            look, window=Window(look.window.start, min(look.window.end, look.window.start + within)), at_once=True
        )
        found = self._opened.decide(evidence, first)
        answer = Answer.HOLDS if found.answer is Answer.HOLDS else Answer.UNDECIDED
        where = f"{usual.good} of {usual.total} already before the fault"
        return Finding(answer, found.tally, within, look.confidence, where=where)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the time that it took to open."""
        if phase != "fault":
            return self._closed.tell(found, phase)
        flags, tally = " or ".join(self.flags), found.tally
        observed = f"none of {tally.total} requests had one" if tally.total else "no request"
        if found.value is not None:
            observed = f"the first one within {found.value:.1f} s, in all {tally.good} of {tally.total} requests"
        within = format_duration(self.opens_within)
        if found.where:
            observed = f"{tally.good} of {tally.total} requests had one in that time, and {found.where}"
        return self.result(
            found,
            phase,
            expected=f"the breaker of {self.breaker} opens within {within}: it refuses a request (flag {flags})",
            observed=observed,
            hint={Answer.VIOLATED: _NOT_OPEN, Answer.UNDECIDED: _USUAL if found.where else None}.get(found.answer),
        )

    @property
    def _closed(self) -> Flagged:
        return self._flagged(Limit(share=self.at_most))

    @property
    def _opened(self) -> Flagged:
        return self._flagged(Limit(share=self.at_most, least=True))

    def _flagged(self, limit: Limit) -> Flagged:
        return Flagged(title=self.title, service=self.breaker, caller=self.caller, flags=self.flags, limit=limit)
