"""What the kinds have in common that expect a share of good events: deciding by bets, bounds, sentences."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field

from chaos.errors import InputError
from chaos.expectations.bound import Absolute, AtLeast, Bound
from chaos.expectations.confidence import decide, fewest_to_hold, interval
from chaos.expectations.dependence import BATCH, BURSTY
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.scene import Scene
from chaos.istio.metrics import counted_at
from chaos.values.answers import Answer, ExpectationResult, Tally, together
from chaos.values.remarks import Refusal, Warn

FROM: Final = "who counts; mesh: the callers' proxies, client: the load generator"
_SECOND: Final = 1.0
"""Seconds; what the load generator's numbers can distinguish."""
FIRST: Final = 0.8
"""Part of alpha for callers that do not wait longer than the declared delay."""
OPENING: Final = 8.0
"""Seconds at the start of a fault that may be unlike the rest: callers find out, pools drain, breakers open."""
LATER: Final = 0.2
"""Part of alpha for a violation that shows after these seconds."""
_EDGE: Final = 1e-4
"""A relative bound is kept this far from 0 and 1, where nothing could be decided."""
_COMPARING: Final = 0.5
"""Part of alpha that is left to decide by a relative bound; the other part is for the baseline's share."""


class Share(Kind):
    """Whatever expects a share of good events among all; a kind of its own says which events these are."""

    tallies_all_bad: ClassVar[bool] = True

    @abstractmethod
    def bound_in(self, phase: Phase) -> Bound:
        """The least share in a phase."""

    @abstractmethod
    def expected(self, phase: Phase, bound: float) -> str:
        """What is expected in a phase, in words; ``bound`` is the share that a relative bound came to."""

    @abstractmethod
    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        """Good and all events in a window."""

    def claimed(self, phase: Phase) -> str:
        """The bound of a phase as people write it."""
        return f"at least {self.bound_in(phase)}"

    def takes(self, phase: Prospect) -> Takes:
        """So many events without a bad one; one comes for each request of the load."""
        bound, faulted = self.bound_in(phase.phase), phase.phase == "fault"
        alpha = (1 - phase.confidence) * (FIRST if faulted else 1.0) * (_COMPARING if bound.relative else 1.0)
        needed = fewest_to_hold(min(1 - _EDGE, 1 - bound.share) if bound.relative else bound.share, 1 - alpha)
        rate, late = phase.rate(self.names_of_load()), phase.delay if faulted else 0.0
        rest = phase.seconds - late
        return Takes(
            seconds=needed / rate + late,
            key=self.key_of_bound(phase.phase),
            value=str(bound),
            why=f"{self.claimed(phase.phase)!r} takes {needed} events, all of them good, and there are at most "
            f"{max(0, int(rate * rest))}, with {rate:g} events per second",
            times=needed / (rate * rest) if rest > 0 else None,
        )

    def effect(self, evidence: Evidence, tally: Tally, window: Window, namespace: str) -> float:
        """How many events of a window are worth an independent one, by the shortest batches in which they can be distinguished."""
        seconds = max(BATCH, evidence.scrape_interval)
        return evidence.effect(
            lambda part: self.tally(evidence, part, namespace), tally, window, seconds, key=(self, namespace)
        )

    def holding(self, evidence: Evidence, look: Look) -> Window:
        """The window whose events can show that it holds; all of the window can show that it is violated."""
        del evidence
        return look.window

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated by all events of a window, or those after its opening; held by those after the slow ones have come in.

        Events are counted when they end, so the first events of a fault are the fast ones. Each way has its own half of
        alpha, so each may have its own window. Requests that hang beyond all that was seen may become good or bad events
        (:meth:`chaos.expectations.load_log.LoadLog.overdue`): neither way is an answer until it would stand whatever
        becomes of them.
        """
        bounds = self._bounds(evidence, look)
        if look.reaches_back:
            evidence = evidence.reaching_back()
        holding = self.holding(evidence, look)
        confidence = 1 - (1 - look.confidence) * bounds.alpha
        counted = self._worth(evidence, look.window, look)
        for tried, after, part in self._violating(evidence, look, counted):
            sure = 1 - (1 - confidence) * part
            if self._answer(tried, evidence, look, bounds.least, sure, late_are=1) is Answer.VIOLATED:
                return Finding(
                    Answer.VIOLATED, tried.tally, bounds.told, sure, effect=tried.effect, after=after, of_share=True
                )
        late, part = _settling(evidence, look, bounds.most) if look.phase == "fault" else (0.0, 1.0)
        confidence = 1 - (1 - confidence) * part
        settled = counted
        if late or holding != look.window:
            settled = self._worth(evidence, Window(holding.start + late, holding.end), look)
        answer = self._answer(settled, evidence, look, bounds.most, confidence, late_are=0)
        if not settled.tally.total or (late and _is_under(bounds.most, counted.tally)):
            settled, answer = counted, Answer.UNDECIDED
        answer = Answer.HOLDS if answer is Answer.HOLDS else Answer.UNDECIDED
        return Finding(answer, settled.tally, bounds.told, confidence, effect=settled.effect, of_share=True)

    def apart(self, evidence: Evidence, look: Look) -> Mapping[str, Tally]:
        """The same, of each host alone."""
        hosts = [host for one in self.hosts(look.namespace) for host in evidence.destinations(one)]
        counted = {
            host: self.tally(evidence.only(counted_at, host), look.window, look.namespace)
            for host in hosts[1:] and hosts
        }
        return {host: tally for host, tally in counted.items() if tally.total}

    def _violating(self, evidence: Evidence, look: Look, counted: _Counted) -> Iterator[tuple[_Counted, float, float]]:
        """Which events may show a violation, the seconds that these leave out, and their part of alpha.

        The first seconds of a fault are often far worse than the rest, or far better, and look like one burst among all
        events. So the later ones are asked by themselves, too.
        """
        if look.phase != "fault" or look.at_once:
            yield counted, 0.0, 1.0
            return
        yield counted, 0.0, 1 - LATER
        after = max(OPENING, evidence.scrape_interval)
        if counted.effect >= BURSTY and look.window.start + after < look.window.end:
            yield self._worth(evidence, Window(look.window.start + after, look.window.end), look), after, LATER

    def _worth(self, evidence: Evidence, window: Window, look: Look) -> _Counted:
        tally = self.tally(evidence, window, look.namespace)
        if look.at_once or tally.good in (0, tally.total):
            return _Counted(tally)
        return _Counted(tally, self.effect(evidence, tally, window, look.namespace))

    def _answer(
        self,
        counted: _Counted,
        evidence: Evidence,
        look: Look,
        bound: float,
        confidence: float,
        *,
        late_are: Literal[0, 1],
    ) -> Answer:
        """What independent events of the same worth say, also if all requests without an answer become good or bad ones.

        Those that only the load generator's own lateness made bad may be good ones too.
        """
        total, effect = counted.tally.total, counted.effect
        good = counted.tally.good + late_are * counted.tally.doubtful
        answer = decide(good / effect, total / effect, bound, confidence=confidence)
        if answer is not Answer.UNDECIDED:
            open_ = evidence.load.overdue(look.window.start, look.window.end, rest=rest_of(bound))
            answer = decide((good + late_are * open_) / effect, (total + open_) / effect, bound, confidence=confidence)
        return answer

    def course(self, evidence: Evidence, look: Look, seconds: float) -> Iterator[tuple[float, float]]:
        """By the events that it is decided by."""
        start, before = look.window.start, Tally()
        for number in range(1, int((look.window.end - start) / seconds) + 1):
            end = start + number * seconds
            tally = self.tally(evidence, Window(start, end), look.namespace)
            if tally.total > before.total:
                yield end, (tally.good - before.good) / (tally.total - before.total)
                before = tally

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the interval of the share."""
        tally = found.tally
        shown = interval(tally.good / found.effect, tally.total / found.effect, confidence=found.confidence)
        observed = "no event"
        if tally.share is not None:
            least = "at least " if tally.lower_bound else ""
            observed = f"{least}{tally.good} of {tally.total} = {shown.around(tally.share, bound=found.bound)}"
            if tally.doubtful:
                observed += f"; {tally.doubtful} more may be good: the load generator was late"
            if found.after:
                observed += f"; without the first {found.after:g} s, which were unlike the rest"
            if found.effect >= BURSTY:
                worth = max(1, round(tally.total / found.effect))
                observed += (
                    f"; bad events came in bursts, so all of these are worth only as much as {worth} independent events"
                )
        return self.result(found, phase, expected=self.expected(phase, found.bound), observed=observed, interval=shown)

    def _bounds(self, evidence: Evidence, look: Look) -> _Bounds:
        """A relative bound compares two uncertain shares: the baseline's interval, with half of alpha, gives its range."""
        bound = self.bound_in(look.phase)
        if not bound.relative:
            return _Bounds(bound.share, bound.share, bound.share)
        if look.baseline is None:
            return _Bounds(1 - _EDGE, _EDGE, 1 - _EDGE)
        before = self._worth(evidence, look.baseline, look)
        good, total, effect = before.tally.good, before.tally.total, before.effect
        known = interval(good / effect, total / effect, confidence=1 - (1 - look.confidence) * (1 - _COMPARING))
        share = before.tally.share
        told, least, most = (
            min(1 - _EDGE, max(_EDGE, edge - bound.share))
            for edge in (share if share is not None else 1.0, known.low, known.high)
        )
        return _Bounds(told, least, most, alpha=_COMPARING)


@dataclass(frozen=True)
class _Bounds:
    """A bound as it is told, and what it is at least and at most; and the part of alpha that is left to decide by it."""

    told: float
    least: float
    most: float
    alpha: float = 1.0


@dataclass(frozen=True)
class _Counted:
    """Events, and how many of them are worth one independent event."""

    tally: Tally
    effect: float = 1.0


class ShareOfGood(Share):
    """A share of good answers, and its bounds as people write them; a kind of its own is whatever counts the answers."""

    opened = "good"
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atLeast", "fault": "duringFault", "recovery": "atLeast"}

    good: Good = Field(description="which events are good: by status, within a time, or both")
    at_least: Absolute = Field(description="smallest share of good events before and after the fault, such as 99%")
    during_fault: AtLeast | None = Field(
        None, description="smallest share while the fault is active; without it, atLeast"
    )

    def __init__(self, /, *values: Any, status: Any = None, within: Any = None, **fields: Any) -> None:
        __tracebackhide__ = True
        if status is not None or within is not None:
            if "good" in fields:
                raise InputError(f"{type(self).__name__}: expected either good, or status and within")
            fields["good"] = {"status": status, "within": within}
        super().__init__(*values, **fields)

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # as in Declared

    def in_steady_state(self) -> Self:
        """Itself: its bounds can be decided."""
        for bound in (self.at_least, self.during_fault):
            if bound is not None and not bound.relative and bound.share in (0.0, 1.0):
                raise ValueError(
                    "expected a share over 0% and under 100%: no number of events can prove 100%, and 0% always holds"
                )
        return self

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """A caller that only passes the fault's answer on is a bad one."""
        taken = sorted(one for one in scene.passed_on if self.good.grpc is None and self.good.status_is_good(one))
        if taken:
            yield Warn(
                code="error-is-good",
                message=f"{self.title}: an answer that only passes on the fault's status {', '.join(map(str, taken))} counts as good, as it "
                f"is declared ({self.good}); if it should not, declare good.status 2xx",
                weakens=True,
            )

    @property
    def notices_after(self) -> float:
        """Those within which answers are good."""
        return self.good.seconds

    def bound_in(self, phase: Phase) -> Bound:
        """The bound that holds in a phase."""
        return self.during_fault if phase == "fault" and self.during_fault is not None else self.at_least

    def expected(self, phase: Phase, bound: float) -> str:
        """By the bound and by what is good."""
        return f"at least {self.bound_in(phase).resolved(bound)} of the {self.events} {self.good}"

    @property
    @abstractmethod
    def events(self) -> str:
        """What it counts, in words: ``requests to order-svc``."""

    @abstractmethod
    def statuses(self, evidence: Evidence, window: Window, namespace: str) -> Mapping[str, int]:
        """All events of a window by their status: ``{"200": 640, "404": 3}``."""


def worst_of(found: Mapping[str, Finding], *, silent: float) -> tuple[Finding, Mapping[str, Finding]]:
    """Of parts that are each decided: the worst of those by which all together are decided, and these.

    Args:
        found: Each part, by its name.
        silent: The share that a part without any event is taken to have.
    """
    answer = together(one.answer for one in found.values())
    same = {name: one for name, one in found.items() if one.answer is answer}
    return min(same.values(), key=lambda one: silent if one.tally.share is None else one.tally.share), same


def rest_of(bound: float) -> float:
    """A quarter of the events that may be bad: so few that it does not matter when they come."""
    return (1 - bound) / 4


def _is_under(bound: float, counted: Tally) -> bool:
    """Bad events of a fault's first seconds are left out of those that show that it holds, but they did happen."""
    return counted.share is not None and counted.share < bound


def _settling(evidence: Evidence, look: Look, bound: float) -> tuple[float, float]:
    """Seconds after which as many slow events come in at a window's start as are missing at its end; its part of alpha.

    That is the declared delay; or, where the callers' own waits and retries take over a second more, the first doubling
    that all answers keep but a quarter of those that may be bad. Alpha is shared among the doublings, for the choice
    among them follows from what was seen.
    """
    slow = evidence.load.longest_wait(look.window.start, look.window.end, rest=rest_of(bound))
    late, part = look.delay + _SECOND, 1 - FIRST
    if slow <= late:
        return look.delay, FIRST
    while late < slow:
        late, part = 2 * late, part / 2
    return late, part
