"""How often a service is asked for each request of another one, or of the load: retries multiply it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, inf, sqrt
from typing import TYPE_CHECKING, ClassVar, Final, Self

from pydantic import Field

from chaos.expectations.bound import AtMost, Most
from chaos.expectations.confidence import MANY, decide, fewest, interval, shared
from chaos.expectations.dependence import BATCH, BURSTY
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.scene import Scene
from chaos.istio.hosts import host_of
from chaos.istio.metrics import caller_of, flags_of
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.declared import Placed
from chaos.values.load import LoadSecond
from chaos.values.quantities import format_share
from chaos.values.questions import Question, Requests, Side, requests_to
from chaos.values.remarks import Refusal, Warn

_ABORTED: Final = "FI"
_RESTS: Final = (0.0, 0.05)
"""Shares of slow answers that may be left out of account, so that a single one does not keep all from being decided."""
_SECOND: Final = 1.0
"""Seconds; what the load generator's numbers can distinguish."""


class AttemptsExpectation(Kind):
    """At most so many attempts at a service for each request of another one, or for each request of the load (``attempts``).

        >>> AttemptsExpectation("no retry storm", attempts="inventory-svc", per="order-svc", at_most=2).at_most.number
        2.0

    An attempt is a request that the service's own proxies count, which see each retry of a caller's proxy (that proxy counts
    them as one), or that an injected abort answered in the service's place. The requests of ``per`` are counted by its own
    proxies too. What fails before it reaches a proxy of the service (no connection, a full pool) is no load on it, and not counted.

    Both counts together are a share, requests among requests and attempts, which is at least 1/(1 + n) exactly if there are at most n
    attempts for each request. So it is decided as shares are. That is right for two independent streams of events (Przyborowski &
    Wilenski 1940, Biometrika 31), and on the safe side for attempts that requests cause, as long as their number for one
    request varies no more than a geometric one: up to m for one request, for any m up to twice the mean and 1. What varies
    more comes in bursts, for which the counts are worth less, as those of any share (:mod:`chaos.expectations.dependence`).

    Args:
        title: What is expected, in words.
        attempts: The service that is asked: its name in the target's namespace, or ``namespace/name`` anywhere.
        caller: Only attempts of this workload, by its name in the target's namespace or ``namespace/name``.
        per: The service whose requests cause them; without it, the requests that the load sends.
        at_most: Largest mean number for each request before and after the fault, such as 2; ``"baseline * 2"`` is relative to
            the observed baseline.
        during_fault: Largest mean number during the fault; without it, ``at_most``.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "attempts"
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atMost", "fault": "duringFault", "recovery": "atMost"}

    attempts: Placed = Field(description="the service that is asked; retries of its callers' proxies count")
    caller: Placed | None = Field(None, description="only attempts of this workload; without it, of all callers")
    per: Placed | None = Field(
        None, description="the service whose requests cause them; without it, the requests that the load sends"
    )
    at_most: AtMost = Field(description="largest mean number for each request, such as 2, or 'baseline * 2'")
    during_fault: AtMost | None = Field(None, description="largest mean number during the fault; without it, atMost")

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            attempts: str,
            at_most: float | str,
            caller: str | None = None,
            per: str | None = None,
            during_fault: float | str | None = None,
        ) -> None: ...

    def questions(self, namespace: str) -> Iterator[Question]:
        """What the service's proxies count, what its callers' do, and the requests that cause it."""
        yield self._arrivals(namespace)
        yield requests_to(host_of(self.attempts, namespace))
        if self.per is not None:
            yield requests_to(host_of(self.per, namespace), Side.CALLED)

    @property
    def counts_everybody(self) -> bool:
        """Per request of the load: attempts of others count then, too."""
        return self.per is None

    @property
    def asks_how_many(self) -> bool:
        """Retries are more requests."""
        return True

    @property
    def notices_after(self) -> float:
        """None: who waits does not try again."""
        return inf

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """Both services need proxies that count, and the fault has to be strong enough that retries show."""
        yield from scene.unknown(self.caller)
        for service in (self.attempts, self.per):
            if service is not None:
                yield from scene.uncounted(service)
        most, endless = self._most("fault"), scene.calls / (1 - scene.strongest) if scene.strongest < 1 else inf
        if scene.host(self.attempts) == scene.target and most.number * (scene.calls if most.relative else 1) >= endless:
            yield Warn(
                code="storm-hardly-shows",
                message=f"{self.title}: 'at most {most}' does not find endless retries. The fault hits {format_share(scene.strongest)} of the calls, so a caller that retries until "
                f"a call succeeds makes {endless:.3g} attempts for each request on average; without the fault, a request makes {scene.calls} "
                f"(target.callsPerRequest). Raise the percentage, or expect fewer attempts",
                weakens=True,
            )

    def takes(self, phase: Prospect) -> Takes:
        """As many requests as it takes if each makes one attempt; or none, where less than one is expected."""
        rate, most = phase.rate(), self._most(phase.phase)
        seconds = fewest(lambda tried: self._decides(phase, tried, rate))
        tenths = fewest(lambda tried: self._decides(phase, phase.seconds, tried / 10 * rate))
        return Takes(
            seconds=seconds if seconds < MANY else inf,
            key=self.key_of_bound(phase.phase),
            value=str(most),
            why=f"if there is one attempt for each request, 'at most {most}' takes {rate * seconds:.0f} requests, and there are at most "
            f"{rate * phase.seconds:.0f}, with {rate:g} requests per second"
            if seconds < MANY
            else f"if there is one attempt for each request, no number of requests decides 'at most {most}'",
            times=tenths / 10 if tenths < MANY else None,
        )

    def _decides(self, phase: Prospect, seconds: float, rate: float) -> bool:
        """Whether it holds after so many seconds in which all answers come soon; two of them, or a scrape, are cut off for these."""
        cut = max(2 * _SECOND, phase.interval)
        most, faulted = self._most(phase.phase), phase.phase == "fault"
        part = shared(phase.confidence, 2 if most.relative else 1)
        one = 1.0 if most.relative or most.number >= 1 else 0.0

        def fewest_in(lasting: float) -> float:
            return _Counted(max(0, round(one * rate * (lasting - cut))), round(rate * lasting)).mean(part)[0]

        if most.relative and not faulted:
            return fewest_in(seconds) * sqrt(most.number) >= one
        bound = most.number * fewest_in(phase.before) if most.relative else most.number
        utmost = _Counted(round(one * rate * seconds), max(0, round(rate * (seconds - cut))))
        return utmost.against(bound, part) is Answer.HOLDS

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated if there were surely more, whatever is still under way; holds if there were surely no more.

        An attempt is counted before the request that caused it, or, where the load counts, after it was sent, by up to the longest
        answer's time, and no proxy is scraped at a window's very edge. So each way has windows that can only speak against it.
        A baseline to which others are relative has to be known well enough that they can be decided.
        """
        most = self._most(look.phase)
        if next(iter(evidence.counters(self._arrivals(look.namespace))), None) is None:
            return Finding(Answer.UNDECIDED, Tally(), most.number, look.confidence)
        part = shared(look.confidence, 2 if most.relative else 1)
        fewest, plain, utmost = self._counts(evidence, look.window, look)
        least, largest = self._bounds(most, evidence, look, part)
        answer, value = Answer.UNDECIDED, plain.attempts / plain.requests if plain.requests else None
        if value is not None and most.relative and look.baseline is None:  # it is the baseline itself that is judged
            low = fewest.mean(part)[0]
            answer = Answer.HOLDS if low and low * sqrt(most.number) >= value else answer
        elif value is not None and fewest.against(largest, part) is Answer.VIOLATED:
            answer = Answer.VIOLATED
        elif value is not None and utmost.against(least, part) is Answer.HOLDS:
            answer = Answer.HOLDS
        between = fewest.tally, utmost.tally
        return Finding(answer, plain.tally, least, part, value=value, between=between, effect=plain.effect)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the interval of the mean number."""
        per = f"request of {self.per}" if self.per is not None else "request of the load"
        observed = f"no request, or no attempt that the proxies of {self.attempts} saw"
        if found.value is not None and found.between is not None:
            fewest, utmost = (_Counted.of(tally, found.effect).mean(found.confidence) for tally in found.between)
            low, high = fewest[0], utmost[1]
            to = f"{low:.2f} to {high:.2f}" if high < inf else f"{low:.2f} or more"
            numbers = f"{found.tally.total - found.tally.good} attempts for {found.tally.good} requests"
            observed = f"{numbers} = {found.value:.2f} ({to})"
            if found.effect >= BURSTY:
                observed += "; they come in bursts, so fewer of them count"
        expected = f"at most {self._most(phase)} attempts{self.by} at {self.attempts} for each {per}"
        return self.result(found, phase, expected=expected, observed=observed)

    def _most(self, phase: Phase) -> Most:
        return self.during_fault if phase == "fault" and self.during_fault is not None else self.at_most

    def _bounds(self, most: Most, evidence: Evidence, look: Look, confidence: float) -> tuple[float, float]:
        """What the mean number surely may be, and what it surely may not exceed; a baseline's mean is itself uncertain."""
        if look.baseline is None or not most.relative:
            return most.number, most.number
        before, key = look.baseline, (self, "before", look.namespace, look.at_once, look.baseline)
        fewest, _, utmost = evidence.kept(key, before, lambda: self._counts(evidence, before, look))
        return most.number * fewest.mean(confidence)[0], most.number * utmost.mean(confidence)[1]

    def _counts(self, evidence: Evidence, window: Window, look: Look) -> tuple[_Counted, _Counted, _Counted]:
        """Counts by which there were at least so many attempts for each request, those of the window, and at most so many."""
        window = self._known(evidence, window, look.namespace)
        plain = self._counted(evidence, window, window, look.namespace)
        pairs = [self._extremes(evidence, window, plain, look.namespace, rest=rest) for rest in _RESTS]
        fewest = max((one for one, _ in pairs), key=lambda one: one.attempts / max(1, one.requests))
        utmost = min((one for _, one in pairs), key=lambda one: one.attempts / one.requests if one.requests else inf)
        effect = 1.0 if look.at_once else self._effect(evidence, plain.tally, window, look.namespace)
        return replace(fewest, effect=effect), replace(plain, effect=effect), replace(utmost, effect=effect)

    def _extremes(
        self, evidence: Evidence, window: Window, plain: _Counted, namespace: str, *, rest: float
    ) -> tuple[_Counted, _Counted]:
        """Windows by which there were at least so many attempts for each request, and at most so many.

        Both are cut by what all answers of the load took, but for a ``rest`` of them. Those, and the ones that hang, may have had
        their attempts in the window but not their requests, or the other way round.
        """
        late = evidence.load.longest_wait(window.start, window.end, rest=rest) + _SECOND
        inner, shorter = self._within(evidence, window, late, namespace)
        fewest = self._counted(evidence, inner, window, namespace)
        utmost = self._counted(evidence, window, shorter, namespace)
        _, answered = evidence.load.total("sent and answered", _sent_and_answered, window.start, window.end)
        astray = evidence.load.overdue(window.start, window.end, rest=rest) + ceil(rest * max(answered, plain.requests))
        return (
            replace(fewest, requests=fewest.requests + astray),
            replace(utmost, requests=max(0, utmost.requests - astray)),
        )

    def _within(self, evidence: Evidence, window: Window, late: float, namespace: str) -> tuple[Window, Window]:
        """When attempts surely were those of the window's requests, and when requests surely had their attempts in it.

        Where proxies count both, an attempt is counted before its request; where the load does, after that was sent.
        """
        nothing, (arrivals, sent, *causes) = Window(window.end, window.start), self.questions(namespace)
        counted = evidence.scraped((arrivals, sent), window) or nothing
        if not causes:
            return Window(window.start + late, window.end - _SECOND), Window(counted.start, counted.end - late)
        asked = evidence.scraped(causes, window) or nothing
        return Window(asked.start, asked.end - late), Window(counted.start + late, counted.end)

    def _known(self, evidence: Evidence, window: Window, namespace: str) -> Window:
        """The window up to where every proxy was scraped, in whole scrapes: what is counted there, a later look counts too.

        The load tells any second, so beside it the window begins with the first scrape of the attempts.
        """
        start = window.start
        if self.per is None and (scraped := evidence.scraped(self.questions(namespace), window)) is not None:
            start = scraped.start
        ends = [evidence.complete_until(self.questions(namespace), window.end)]
        ends += [second.at + 1 for second in evidence.load.seconds[-1:]]
        scrapes = floor((min(ends) - start) / evidence.scrape_interval)
        return Window(start, start + max(0, scrapes) * evidence.scrape_interval)

    def _effect(self, evidence: Evidence, whole: Tally, window: Window, namespace: str) -> float:
        seconds = max(BATCH, evidence.scrape_interval)
        return evidence.effect(
            lambda part: self._counted(evidence, part, part, namespace).tally,
            whole,
            window,
            seconds,
            key=(self, namespace),
            of_load="too" if self.per is None else None,
        )

    def _counted(self, evidence: Evidence, attempts: Window, requests: Window, namespace: str) -> _Counted:
        """Attempts in one window and requests in another."""
        mine = self.its_part(evidence, namespace)
        host = host_of(self.attempts, namespace)
        sent = tuple(mine.counted(requests_to(host), attempts))
        aborted = sum(found.events for one, found in sent if _ABORTED in flags_of(one.labels))
        if evidence.goes_by_other_names(host):
            callers = {caller_of(one.labels) for one, _ in sent}
            mine = mine.only(caller_of, *callers)
        arrived = sum(found.events for _, found in mine.counted(self._arrivals(namespace), attempts))
        if self.per is None:
            asked, _ = evidence.load.total("sent and answered", _sent_and_answered, requests.start, requests.end)
        else:
            causes = requests_to(host_of(self.per, namespace), Side.CALLED)
            asked = sum(found.events for _, found in evidence.counted(causes, requests))
        return _Counted(aborted + arrived, asked)

    def _arrivals(self, namespace: str) -> Requests:
        return requests_to(host_of(self.attempts, namespace), Side.CALLED)


@dataclass(frozen=True)
class _Counted:
    """Both counts, and how many of them are worth one independent event."""

    attempts: int
    requests: int
    effect: float = 1.0

    @classmethod
    def of(cls, tally: Tally, effect: float) -> Self:
        """Those of a tally."""
        return cls(tally.total - tally.good, tally.good, effect)

    @property
    def tally(self) -> Tally:
        """Requests among both."""
        return Tally(good=self.requests, total=self.attempts + self.requests)

    def mean(self, confidence: float) -> tuple[float, float]:
        """Attempts for each request, at least and at most; anything without a request."""
        if not self.requests:
            return 0.0, inf
        share = interval(*self._worth, confidence=confidence)
        return 1 / share.high - 1, 1 / share.low - 1 if share.low else inf

    def against(self, most: float, confidence: float) -> Answer:
        """Whether there are at most so many attempts for each request."""
        return decide(*self._worth, 1 / (1 + most), confidence=confidence)

    @property
    def _worth(self) -> tuple[float, float]:
        return self.requests / self.effect, (self.attempts + self.requests) / self.effect


def _sent_and_answered(second: LoadSecond) -> tuple[int, int]:
    return second.sent, second.answered
