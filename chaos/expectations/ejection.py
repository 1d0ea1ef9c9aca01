"""A replica that is ejected soon after a fault began, and back after it: it gets no requests while the others do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import inf, log, sqrt
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field

from chaos.expectations.confidence import interval
from chaos.expectations.evidence import Evidence, Rise, Window
from chaos.expectations.kind import Finding, Kind, Look, Phase
from chaos.expectations.replicas import replicas_in
from chaos.expectations.scene import Scene
from chaos.istio.hosts import host_of
from chaos.istio.metrics import replica_of
from chaos.values.answers import Answer, ExpectationResult, Interval, Tally
from chaos.values.declared import Placed
from chaos.values.quantities import SomeTime, format_duration
from chaos.values.questions import Question, Requests, Side
from chaos.values.remarks import Refusal, Warn

_SEVERAL: Final = 2
"""Replicas, without which none can be missing among others."""
_SPAN: Final = 3
"""Scrape intervals in which requests are compared, since replicas are scraped at different moments."""
_NOT_EJECTED: Final = (
    "look at outlierDetection in the DestinationRule of this service: whether its callers follow it, and whether a replica makes as many errors "
    "in a row as it asks for. If it may be ejected later, raise within"
)


class EjectionExpectation(Kind):
    """A replica of a service is ejected within a time of the fault, and all get requests before it and after (``ejection``).

        >>> EjectionExpectation("the bad one is out", ejection="order-svc", within="20s").within.total_seconds()
        20.0

    Istio's metrics have no ejections (``outlierDetection``). What shows is that a replica's own proxy counts no request while those
    of the others go on counting. It is out if chance alone would pass it by as often, at any place among all requests, with less than
    alpha's probability; each request reaches it by chance with at least the share that it surely had before the fault. It surely
    was never out if chance passes it by as often with the largest share that it may have had; in between, nothing is concluded:
    an ejection may be too short to be distinguished from chance. Nor is anything while requests hang somewhere: a replica that
    hangs counts none either. That all are back in time is a matter of ``recovery.within``.

    Args:
        title: What is expected, in words.
        ejection: The service: its name in the target's namespace, or ``namespace/name`` anywhere.
        within: Longest time from the fault until a replica gets no request any more.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "ejection"
    no_guardrail: ClassVar[str] = (
        "an ejection can't be a guardrail, since only time shows that no replica is ejected: declare it in steadyState"
    )
    loosened_by: ClassVar[Mapping[Phase, str]] = {"fault": "within"}

    ejection: Placed = Field(description="the service of which a replica is ejected")
    within: SomeTime = Field(description="longest time from the fault until a replica gets no request any more")

    if TYPE_CHECKING:

        def __init__(self, title: str, *, ejection: str, within: timedelta | str) -> None: ...

    def questions(self, namespace: str) -> Iterator[Question]:
        """The requests that the replicas got."""
        yield Requests(host=host_of(self.ejection, namespace), side=Side.CALLED)

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """It is not of the faulted hop, some proxies count, there are several, and something ejects."""
        yield from scene.unreached(self.ejection, "an ejection")
        yield from scene.uncounted(self.ejection)
        yield from scene.unlimited(self.ejection, "outlierDetection")
        pods = scene.pods.get(scene.host(self.ejection))
        if pods is not None and pods.proxied + pods.bare == 1:
            yield Refusal(
                rule="one-replica",
                value=self.ejection,
                message=f"{self.ejection} has one pod, so no replica can be left out while others get requests",
                hint="scale it to two pods or more",
            )

    @property
    def needs_fault(self) -> bool:
        """It does: a replica is ejected for the fault."""
        return True

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """During the fault: one was out from within the time on. Before it and after it: each got requests, and none was out."""
        (question,) = self.questions(look.namespace)
        service, window = _Service.of(evidence, question, look), look.window
        total = service.got(window)
        tally, limit = Tally(good=total, total=total), self.within.total_seconds()
        hanging = evidence.load.overdue(window.start, window.end)
        if len(service.shares) < _SEVERAL or hanging:
            where = f"{hanging} requests hang" if hanging else f"of {len(service.shares)} replicas"
            return Finding(Answer.UNDECIDED, tally, limit, look.confidence, where=where)
        faulted, allowed = look.phase == "fault", window.start + limit
        gaps = {one: service.longest_gap(one, window, allowed if faulted else inf) for one in service.shares}
        was_out = {one: service.was_out(one, gap) for one, gap in gaps.items()}
        out = {one: gaps[one] for one, answer in was_out.items() if answer is Answer.HOLDS}
        short = [one for one, answer in was_out.items() if answer is Answer.UNDECIDED]
        if faulted and not out and not short and not look.too_short:  # maybe out between two scrapes only
            short = [one for one in service.shares if service.got_rarer(one, window)]
        asked = Window(allowed, window.end) if faulted else window
        answer = Answer.UNDECIDED
        if out:
            answer = Answer.HOLDS if faulted else Answer.VIOLATED
        elif not short and all(service.got_any(one, asked) for one in service.shares):
            answer = Answer.VIOLATED if faulted else Answer.HOLDS
        least = min(out.values(), key=lambda gap: gap.start, default=None)
        where = "and some replica got none"
        if out:
            where = f"{', '.join(out)} of {len(service.shares)} replicas"
        elif short:
            where = f"{', '.join(short)} got none or few for a time, which may be chance or too short: with a longer baseline, a higher rate or more scrapes, an ejection can be distinguished from that"
        value = least.start - window.start if least is not None else None
        lasted = f"{least.end - least.start:.0f} s" if least is not None else ""
        return Finding(answer, tally, limit, look.confidence, value=value, where=where, seen=lasted)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the replicas that were out."""
        expected = f"every replica of {self.ejection} gets requests"
        if phase == "fault":
            expected = f"a replica of {self.ejection} gets no requests any more within {format_duration(self.within)}"
        observed = f"{found.tally.total} requests, and no replica was surely left out"
        if found.value is not None:
            observed = f"{found.where} got none from {found.value:.1f} s on, for {found.seen}, while the others did"
        elif found.answer is Answer.UNDECIDED:
            observed = f"{found.tally.total} requests, {found.where}"
        return self.result(
            found,
            phase,
            expected=expected,
            observed=observed if found.tally.total else "no request",
            hint=_NOT_EJECTED if phase == "fault" and found.answer is Answer.VIOLATED else None,
        )


@dataclass(frozen=True)
class _Service:
    """The replicas that a service had before the fault, with the share of all requests that each surely gets.

    Args:
        before: Requests that each got then.
        alpha: Chance of a replica that is called out for nothing.
        known: Requests in windows, of one replica or of all, that were counted already.
    """

    evidence: Evidence
    question: Question
    shares: Mapping[str, Interval]
    before: Mapping[str, int]
    alpha: float
    known: dict[tuple[Window, str | None], int] = field(default_factory=dict)

    @classmethod
    def of(cls, evidence: Evidence, question: Question, look: Look) -> _Service:
        before, alpha = look.baseline or look.window, (1 - look.confidence) / 2
        blank = cls(evidence, question, {}, {}, alpha)
        counts = {one: blank.got(before, one) for one in replicas_in(evidence, (question,), before)}
        total, part = sum(counts.values()), 1 - alpha / max(1, len(counts))
        shares = {one: interval(n, total, confidence=part) for one, n in counts.items()}
        return cls(evidence, question, shares, counts, alpha)

    def got(self, window: Window, replica: str | None = None) -> int:
        """Requests in a window, of one replica or of all."""
        place = window, replica
        if place not in self.known:
            evidence = self.evidence if replica is None else self.evidence.only(replica_of, replica)
            self.known[place] = sum(found.events for _, found in evidence.counted(self.question, window))
        return self.known[place]

    def got_any(self, replica: str, window: Window) -> bool:
        """Whether a replica got requests between two scrapes."""
        return any(True for _ in self.evidence.only(replica_of, replica).rises(self.question, window))

    def longest_gap(self, replica: str, window: Window, until: float) -> Window:
        """The longest time without a request that began by a moment, as far as the replica was scraped."""
        evidence = self.evidence.only(replica_of, replica)

        def after(found: _Gaps, rise: Rise) -> _Gaps:
            return found.then(min(rise[0], window.end), rise[1], until)

        gaps = evidence.through_rises(
            after, _Gaps(window.start, Window(0.0, -inf)), self.question, window, key=("gaps", until)
        )
        scraped = max((one.times[-1] for one in evidence.counters(self.question)), default=window.start)
        return gaps.then(min(scraped, window.end), scraped, until).longest

    def was_out(self, replica: str, gap: Window) -> Answer:
        """Whether chance surely does not pass a replica by so often, at any place among all requests, or may well do so."""
        others = self.got(gap) - self.got(gap, replica)
        places = log(max(1, self.got(Window(-inf, gap.end))))
        share, rare = self.shares[replica], log(self.alpha / len(self.shares))
        sure, likely = (places + others * log(1 - min(one, 1 - 1e-9)) for one in (share.low, share.high))
        if sure < rare:
            return Answer.HOLDS
        return Answer.UNDECIDED if likely < rare else Answer.VIOLATED

    def got_rarer(self, replica: str, window: Window) -> bool:
        """Whether its part of the requests of some scrapes was surely smaller than before: it may have been out between two of them."""
        evidence = self.evidence.only(replica_of, replica)

        def after(found: _Spans, rise: Rise) -> _Spans:
            last = (*found.last, rise)[-_SPAN:]
            if len(last) < _SPAN:
                return replace(found, last=last)
            rarer = self._rarer(replica, Window(last[0][0], rise[1]))
            return _Spans(found.number + 1, max(found.rarest, rarer), last)

        spans = evidence.through_rises(
            after, _Spans(), self.question, window, key=("spans", self.before[replica], sum(self.before.values()))
        )
        return spans.rarest > sqrt(2 * log(max(1, spans.number) * len(self.shares) / self.alpha))

    def _rarer(self, replica: str, span: Window) -> float:
        """By how many standard deviations a replica's part of the requests of a span is smaller than before."""
        mine, every = self.before[replica], max(1, sum(self.before.values()))
        got, of = self.got(span, replica), self.got(span)
        share = (mine + got) / (every + of)
        less, scatter = mine / every - got / of, sqrt(share * (1 - share) * (1 / every + 1 / of))
        return less / scatter if scatter else inf * less if less else 0.0


@dataclass(frozen=True)
class _Gaps:
    """The longest time without a request so far, and since when there is none."""

    begun: float
    longest: Window

    def then(self, end: float, at: float, until: float) -> _Gaps:
        """With a request at a moment, and none before that up to an end; only times that began by ``until`` count."""
        gap = Window(self.begun, end)
        longer = self.begun <= until and gap.end - gap.start > self.longest.end - self.longest.start
        return _Gaps(at, gap if longer else self.longest)


@dataclass(frozen=True)
class _Spans:
    """Spans of some scrapes so far, and by how many standard deviations a replica got fewer requests in one of them, at most."""

    number: int = 0
    rarest: float = 0.0
    last: tuple[Rise, ...] = ()
