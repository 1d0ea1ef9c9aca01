"""What is sure before a run: an experiment whose verdict could show nothing, whatever the system does.

Two imaginary systems tell. One in which every faulted request goes wrong must be found out by each expectation; and one
without any bad event must be decided within the limits. Both by the functions that decide of real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, prod
from typing import Final

from chaos.expectations import ClientExpectation, Expectation
from chaos.expectations.confidence import decide
from chaos.expectations.kind import Phase
from chaos.expectations.share import FIRST, ShareOfGood
from chaos.faults.kind import Kind
from chaos.istio.hosts import placed
from chaos.judge.alpha import longest_delay, share_of_confidence
from chaos.judge.proof import fewest
from chaos.model.experiment import Experiment
from chaos.model.verdict import ReasonCode
from chaos.values.answers import WHEN, Answer
from chaos.values.quantities import format_share
from chaos.values.remarks import JUDGING_AT, Refusal

_SPARE: Final = 1.2
"""Times the least events, since scrapes come some seconds after the events that they count."""
_MANY: Final = 10**9
"""Events that nobody waits for."""
_EXACT: Final = 1e-9
_EDGE: Final = 1e-4
"""As a relative bound is kept from 100 % (:mod:`chaos.expectations.share`)."""
_COMPARING: Final = 0.5
"""Part of alpha that is left to decide by a relative bound."""


@dataclass(frozen=True)
class Hopeless:
    """Why a run could show nothing.

    Args:
        code: ``cannot-break`` or ``cannot-decide``.
        where: The place in the experiment, as keys and indices of its file.
        value: What is declared there.
        message: What is wrong with it.
        hint: What to do.
    """

    code: ReasonCode
    where: tuple[str | int, ...]
    value: str
    message: str
    hint: str

    @property
    def refusal(self) -> Refusal:
        """The plan's no."""
        return Refusal(rule=self.code, value=self.value, message=self.message, hint=self.hint, page=JUDGING_AT)


def hopeless(experiment: Experiment) -> Iterator[Hopeless]:
    """Everything for which the experiment can have no verdict that means something; nothing where it is fit to run."""
    for place, one in enumerate(experiment.steady_state):
        if isinstance(one, ShareOfGood):
            yield from _unbreakable(experiment, one, place)
            yield from _undecidable(experiment, one, place)
    yield from _unprovable(experiment)


def longest(experiment: Experiment) -> timedelta:
    """The longest that a run of this experiment can take, cleaning up aside."""
    limits = experiment.limits
    after = limits.removal + experiment.recovery.within + experiment.stays_good_for
    return limits.baseline * 2 + limits.fault + after + timedelta(seconds=60)


def too_coarse(experiment: Experiment, scrape_interval: float) -> Iterator[Refusal]:
    """That a recovery is to be seen sooner than two scrapes can tell, or a stage of a fault is over before."""
    for fault in experiment.faults:
        least = 2 * scrape_interval + max(kind.held for kind in fault.kinds).total_seconds()
        shortest = min((stage.lasts.total_seconds() for stage in fault.stages), default=least)
        if shortest < least:
            yield Refusal(
                rule=ReasonCode.CANNOT_DECIDE,
                value=f"{shortest:g}s",
                message=f"a stage of the fault ({fault}) lasts {shortest:g} s, and the metrics are scraped every {scrape_interval:g} s: the "
                "faulted requests of this stage could not be counted",
                hint=f"let each stage last at least {least:g}s, or scrape the proxies more often",
                page=JUDGING_AT,
            )
    allowed = experiment.recovery.within.total_seconds()
    if allowed < scrape_interval:
        yield Refusal(
            rule=ReasonCode.CANNOT_DECIDE,
            value=f"{allowed:g}s",
            message=f"recovery.within is {allowed:g} s, and the metrics are scraped every {scrape_interval:g} s: a recovery could not "
            "be seen so soon",
            hint=f"raise recovery.within to {scrape_interval:g}s at least, or scrape the proxies more often",
            page=JUDGING_AT,
        )


def _broken_share(experiment: Experiment, one: ShareOfGood) -> float:
    """The largest share of the counted answers for each of which at least one call of a target is faulted."""
    return 1 - prod(_spared(part, one) for part in experiment.each())


def _spared(part: Experiment, one: ShareOfGood) -> float:
    """The smallest share, over the stages of its only fault, of answers that need the target and feel nothing."""
    target = part.target
    its_own = isinstance(one, Expectation) and placed(one.service, target.namespace) == (
        target.namespace,
        target.service,
    )
    spared = min(prod(1 - kind.percentage / 100 for kind in step.kinds) for step in part.fault.steps)
    return float(spared ** (1 if its_own else target.calls_per_request))


def _unbreakable(experiment: Experiment, one: ShareOfGood, place: int) -> Iterator[Hopeless]:
    if not one.broken_by_errors:
        return
    bound, share = one.bound_in("fault"), _broken_share(experiment, one)
    allowed = bound.share if bound.relative else 1 - bound.share
    if one.good.takes_everything:
        yield Hopeless(
            code=ReasonCode.CANNOT_BREAK,
            where=("steadyState", place, "good", "status"),
            value=str(one.good.status),
            message=f"nothing could violate {one.title!r}: it takes every answer for good, errors too",
            hint='declare which answers are good, such as status: "<500"',
        )
    elif share <= allowed + _EXACT:
        yield Hopeless(
            code=ReasonCode.CANNOT_BREAK,
            where=("steadyState", place, "atLeast" if one.during_fault is None else "duringFault"),
            value=str(bound),
            message=f"nothing could violate {one.title!r} during the fault: it expects at least {bound}, and the fault "
            f"({'; '.join(map(str, experiment.faults))}) hits {format_share(share)} of the requests, so it holds even if each of these "
            "goes wrong",
            hint=f"hit more than {format_share(allowed)} of the requests, or expect more than {format_share(1 - share)}; "
            "if one request of the load calls the target several times, declare it: target.callsPerRequest",
        )


def _undecidable(experiment: Experiment, one: ShareOfGood, place: int) -> Iterator[Hopeless]:
    """Before and during the fault; the recovery has more time than the baseline."""
    if not experiment.load.requests:
        return  # how fast the users of a locustfile are is not declared
    rate, confidence = _rate(experiment, one), share_of_confidence(experiment)
    limits, delay = experiment.limits, longest_delay(experiment)
    during = 1 - (1 - confidence) * FIRST
    phases: tuple[tuple[Phase, float, float, float], ...] = (
        ("baseline", limits.baseline.total_seconds(), 0.0, confidence),
        ("fault", limits.fault.total_seconds(), delay, during),
    )
    for phase, limit, late, sure in phases:
        bound = one.bound_in(phase)
        least = min(1 - _EDGE, 1 - bound.share) if bound.relative else bound.share
        needed = events_to_hold(least, 1 - (1 - sure) * _COMPARING if bound.relative else sure)
        if needed > rate * (limit - late):
            key = "duringFault" if phase == "fault" and one.during_fault is not None else "atLeast"
            yield Hopeless(
                code=ReasonCode.CANNOT_DECIDE,
                where=("steadyState", place, key),
                value=str(bound),
                message=f"{one.title!r} can't be decided {WHEN[phase]}: 'at least {bound}' takes {needed} events, all of them good, and "
                f"there are at most {max(0, int(rate * (limit - late)))} (limits.{phase} is {limit:g} s, with {rate:g} events per second)",
                hint=_more(experiment, f"limits.{phase}", needed, rate, limit, late),
            )


def _unprovable(experiment: Experiment) -> Iterator[Hopeless]:
    """Faults that are so rare that the fault's time can't show their share."""
    if not experiment.load.requests:
        return
    for number, one in enumerate(experiment.each()):
        late = max(kind.held for kind in one.fault.kinds).total_seconds()
        rate = experiment.load.rate * one.target.calls_per_request
        for kind, limit, key, where in _proofs(one):
            share = kind.percentage / 100
            hits = max(experiment.min_faulted, fewest(share, share_of_confidence(experiment)))
            needed = ceil(hits / share)
            if needed > rate * (limit - late):
                yield Hopeless(
                    code=ReasonCode.CANNOT_DECIDE,
                    where=("faults", number, *where),
                    value=f"{kind.percentage:g}",
                    message=f"the fault ({kind}) can't be proven: to hit {hits} requests, it takes {needed} calls of the target, and there are at "
                    f"most {max(0, int(rate * (limit - late)))} ({limit:g} s, with {rate:g} calls per second)",
                    hint=_more(experiment, key, needed, rate, limit, late),
                )


def _proofs(one: Experiment) -> Iterator[tuple[Kind, float, str, tuple[str | int, ...]]]:
    """Each kind of its only fault that is to be proven: the seconds for it, what gives more of them, and where it is declared."""
    if not one.fault.stages:
        limit = one.limits.fault.total_seconds()
        yield from ((kind, limit, "limits.fault", (kind.key, "percentage")) for kind in one.fault.kinds)
    for number, stage in enumerate(one.fault.stages):
        for kind in one.fault.at(stage).kinds:
            yield kind, stage.lasts.total_seconds(), "the stage's for", ("stages", number)


def _more(experiment: Experiment, key: str, needed: int, rate: float, limit: float, late: float) -> str:
    """The time or the rate that it takes, with some to spare; a longer limit costs nothing where it is not needed."""
    needed = ceil(_SPARE * needed)
    faster = (
        f", or load.rate to {ceil(experiment.load.rate * needed / (rate * (limit - late)))}" if limit > late else ""
    )
    return f"raise {key} to {ceil(needed / rate + late)}s{faster} (this has some to spare; a phase ends as soon as it is decided)"


def _rate(experiment: Experiment, one: ShareOfGood) -> float:
    """Events per second that one answer for each request of the load makes."""
    requests = experiment.load.requests
    named = one.request if isinstance(one, ClientExpectation) else None
    weights = sum(request.weight for request in requests if named in (None, request.label))
    return experiment.load.rate * weights / sum(request.weight for request in requests)


def events_to_hold(bound: float, confidence: float) -> int:
    """Good events that decide a bound if there is no bad one."""
    few, enough = 0, 1
    while enough < _MANY and decide(enough, enough, bound, confidence=confidence) is not Answer.HOLDS:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        if decide(middle, middle, bound, confidence=confidence) is Answer.HOLDS:
            enough = middle
        else:
            few = middle
    return enough
