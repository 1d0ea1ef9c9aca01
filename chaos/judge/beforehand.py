"""What is sure before a run: an experiment whose verdict could show nothing, whatever the system does.

Imaginary systems tell. One in which every faulted request goes wrong must be found out by each expectation of good answers, and one that
does the same as ever by each that has to show the fault; and one without any bad event must be decided within the limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from math import ceil, inf, prod
from typing import Final

from chaos.expectations.kind import Kind as Expected
from chaos.expectations.kind import Phase, Prospect
from chaos.expectations.share import ShareOfGood
from chaos.faults.kind import Kind
from chaos.faults.stage import CHANGE
from chaos.istio.hosts import service_fqdn
from chaos.judge.alpha import longest_delay, share_of_confidence
from chaos.judge.proof import fewest
from chaos.model.experiment import Experiment
from chaos.model.verdict import ReasonCode
from chaos.values.answers import WHEN
from chaos.values.quantities import format_share
from chaos.values.remarks import JUDGING_AT, Refusal

_SPARE: Final = 1.2
"""Times the least events, since scrapes come some seconds after the events that they count."""
_EXACT: Final = 1e-9
_LAST_SCRAPES: Final = 60.0
"""Seconds after the end of all stages by which their requests are surely counted, with the usual intervals of scrapes."""


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


def cannot_decide(value: str, message: str, hint: str) -> Refusal:
    """The plan's no, since what is asked could not be told by the samples."""
    return Refusal(rule=ReasonCode.CANNOT_DECIDE, value=value, message=message, hint=hint, page=JUDGING_AT)


def hopeless(experiment: Experiment) -> Iterator[Hopeless]:
    """Everything for which the experiment can have no verdict that means something; nothing where it is fit to run."""
    for place, one in enumerate(experiment.steady_state):
        if isinstance(one, ShareOfGood):
            yield from _unbreakable(experiment, one, place)
        yield from _unchanging(one, place)
    yield from _undecidable(experiment)
    yield from _unprovable(experiment)


def longest(experiment: Experiment) -> timedelta:
    """The longest that a run of this experiment can take, cleaning up aside."""
    limits = experiment.limits
    after = limits.removal + experiment.recovery.within + experiment.stays_good_for
    return limits.baseline * 2 + limits.fault + after + timedelta(seconds=60)


def too_coarse(experiment: Experiment, scrape_interval: float) -> Iterator[Refusal]:
    """That a recovery is to be seen sooner than two scrapes can tell, or a stage of a fault or a phase is over before."""
    yield from (one.refusal for one in _undecidable(experiment, scrape_interval))
    for fault in experiment.faults:
        least = 2 * scrape_interval + fault.held.total_seconds()
        shortest = min((stage.lasts.total_seconds() for stage in fault.stages), default=least)
        if shortest < least:
            yield cannot_decide(
                f"{shortest:g}s",
                f"a stage of the fault ({fault}) lasts {shortest:g} s, and the metrics are scraped every {scrape_interval:g} s: the "
                "faulted requests of this stage could not be counted",
                f"let each stage last at least {least:g}s, or scrape the proxies more often",
            )
    allowed = experiment.recovery.within.total_seconds()
    if allowed < scrape_interval:
        yield cannot_decide(
            f"{allowed:g}s",
            f"recovery.within is {allowed:g} s, and the metrics are scraped every {scrape_interval:g} s: a recovery could not "
            "be seen so soon",
            f"raise recovery.within to {scrape_interval:g}s at least, or scrape the proxies more often",
        )


def _broken_share(experiment: Experiment, one: ShareOfGood) -> float:
    """The largest share of the counted answers for each of which at least one call of a target is faulted."""
    return 1 - prod(_spared(part, one) for part in experiment.each())


def _spared(part: Experiment, one: ShareOfGood) -> float:
    """The smallest share, over the stages of its only fault, of answers that need the target and feel nothing."""
    target = part.target
    its_own = service_fqdn(target.service, target.namespace) in one.hosts(target.namespace)
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
            message=f"nothing could violate {one.title!r}: it counts every answer as good, errors too",
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


def _unchanging(one: Expected, place: int) -> Iterator[Hopeless]:
    """An expectation that has to show the fault, but would hold in a system on which the fault has no effect."""
    most, least = one.has_to_rise or (0.0, 1.0)
    if least <= most:
        yield Hopeless(
            code=ReasonCode.CANNOT_BREAK,
            where=("steadyState", place, one.loosened_by["fault"]),
            value=format_share(least),
            message=f"a system that does the same with the fault as without it would hold {one.title!r}: it expects at least {format_share(least)} during the "
            f"fault, and admits {format_share(most)} before and after it",
            hint=f"expect more than {format_share(most)} during the fault, or admit less without it (atMost)",
        )


def _undecidable(experiment: Experiment, interval: float = 0.0) -> Iterator[Hopeless]:
    """Before and during the fault; the recovery has more time than the baseline."""
    requests, limits = experiment.load.requests, experiment.limits
    if not requests:
        return  # how fast the users of a locustfile are is not declared
    weights = Counter[str]()
    for request in requests:
        weights[request.label] += request.weight
    rates = {name: experiment.load.rate * weight / weights.total() for name, weight in weights.items()}
    before = limits.baseline.total_seconds()
    lasting: Mapping[Phase, tuple[float, str]] = {
        "baseline": (before, "limits.baseline"),
        "fault": _longest(experiment, interval),
    }
    for (place, one), (phase, (limit, key)) in product(enumerate(experiment.steady_state), lasting.items()):
        takes = one.takes(
            Prospect(
                phase=phase, seconds=limit, before=before, rates=rates, interval=interval,
                confidence=share_of_confidence(experiment), delay=longest_delay(experiment),
            )
        )  # fmt: skip
        if takes is not None and takes.seconds > limit:
            yield Hopeless(
                code=ReasonCode.CANNOT_DECIDE,
                where=("steadyState", place, takes.key),
                value=takes.value,
                message=f"{one.title!r} can't be decided {WHEN[phase]}: {takes.why} ({key}: {limit:g} s)",
                hint=_more(experiment, key, takes.seconds, takes.times),
            )


def _longest(experiment: Experiment, interval: float) -> tuple[float, str]:
    """The longest that the fault is observed, in seconds, and what gives more of them: where the last stage is off, the stages' end ends it."""
    limit = experiment.limits.fault.total_seconds()
    if not all(fault.ends_off for fault in experiment.faults):
        return limit, "limits.fault"
    course = max(sum((stage.lasts + CHANGE).total_seconds() for stage in fault.course) for fault in experiment.faults)
    ends = max(course, experiment.observed_for.total_seconds()) + max(_LAST_SCRAPES, 3 * interval)
    return (limit, "limits.fault") if limit <= ends else (ends, "the time of the stages (for)")


def _unprovable(experiment: Experiment) -> Iterator[Hopeless]:
    """Faults that are so rare that the fault's time can't show their share."""
    if not experiment.load.requests:
        return
    for number, one in enumerate(experiment.each()):
        late = one.fault.held.total_seconds()
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
                    hint=_more(
                        experiment,
                        key,
                        needed / rate + late,
                        needed / (rate * (limit - late)) if limit > late else None,
                    ),
                )


def _proofs(one: Experiment) -> Iterator[tuple[Kind, float, str, tuple[str | int, ...]]]:
    """Each kind of its only fault that is to be proven: the seconds for it, what gives more of them, and where it is declared."""
    if not one.fault.stages:
        limit = one.limits.fault.total_seconds()
        yield from ((kind, limit, "limits.fault", (kind.key, "percentage")) for kind in one.fault.kinds)
    for number, stage in enumerate(one.fault.stages):
        for kind in one.fault.at(stage).kinds:
            yield kind, stage.lasts.total_seconds(), "the time of the stage (for)", ("stages", number)


def _more(experiment: Experiment, key: str, seconds: float, times: float | None) -> str:
    """The time or the rate that it takes, with some to spare; a longer limit costs nothing where it is not needed."""
    ways = [f"raise {key} to {ceil(_SPARE * seconds)}s"] if seconds < inf else []
    if times is not None:
        ways.append(f"{'' if ways else 'raise '}load.rate to {ceil(_SPARE * times * experiment.load.rate)}")
    if not ways:
        return "no time and no rate is enough: change the bound, so that it lies further from what is usual"
    return f"{', or '.join(ways)} (this has some to spare; a phase ends as soon as it is decided)"
