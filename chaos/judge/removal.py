"""When did the fault leave the callers' proxies? The API's acknowledgement of the restore does not tell.

A control plane that is paused, restarted or slow leaves the proxies with what they had: faults go on although no object
is there any more (seen with istiod 1.30: 20 s). The fault is gone once the callers' proxies have lost the injected routes
and no fault is counted that they could not have drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.expectations.confidence import interval as interval_of
from chaos.expectations.counting import Source
from chaos.expectations.evidence import Window
from chaos.faults.fault import felt_by
from chaos.judge.alpha import longest_delay, share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.proof import felt, is_faulted, sent
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import RemovalResult
from chaos.values.answers import Answer

_QUIET: Final = 2
"""Scrape intervals without a new fault that show that there are none any more."""
_GONE: Final = 5
"""Scrape intervals behind the newest scrape after which a proxy counts as gone."""


@dataclass(frozen=True)
class _Rise:
    """Faults that were drawn after one moment and by another, as two scrapes tell.

    Args:
        waited: Their requests went on to the target, and were counted when that had answered.
    """

    after: float
    by: float
    waited: bool


def judge_removal(facts: Facts, now: float) -> RemovalResult:
    """How long the proxies kept the fault after the API acknowledged the restore.

    The proxies' own answers tell to a fraction of a second, where they can be asked; the counts tell to a scrape
    interval, and always have the last word: a fault that was surely drawn after the proxies lost it comes from a proxy that
    still injects. It is too late only if the fault was surely there beyond the limit, and in time only if it was surely gone.
    """
    allowed = facts.experiment.limits.removal.total_seconds()
    result = RemovalResult(seconds=None, uncertainty=0.0, allowed=allowed, answer=Answer.UNDECIDED)
    restored = facts.marks.get(Mark.RESTORED)
    if restored is None:
        return result
    looks = [look for look in facts.proxies if look.at > restored]
    last_had = max((look.asked or look.at for look in looks if look.having), default=restored)
    askable = bool(looks) and looks[-1].of > 0
    lost = next((look.at for look in looks if look.at > last_had and not look.having), None) if askable else None
    if askable:
        result = result.model_copy(update={"asked": looks[-1].of, "having": looks[-1].having})
    known = lost if lost is not None else last_had
    rises = [rise for one in facts.plan.injections for rise in _rises(facts, one, restored, now)]
    late = [rise for rise in rises if rise.after >= known]
    if late:
        last = max(late, key=lambda rise: rise.by)
        gone, earliest = last.by, last.after
    elif lost is not None:
        gone, earliest = lost, last_had
    else:
        gone, earliest = max([known, *(rise.by for rise in rises)]), known
    seconds = None if askable and lost is None else gone - restored
    result = result.model_copy(update={"seconds": seconds, "uncertainty": gone - earliest})
    # Where the proxies lost it, a stream that drew its delay before may end, and be counted, at any time.
    sure = lost is None or not late or any(not rise.waited for rise in late)
    if sure and earliest - restored > allowed:
        return result.model_copy(update={"answer": Answer.VIOLATED})
    if (
        seconds is None
        or seconds > allowed
        or not all(facts.evidence.knows(one.requests) for one in facts.plan.injections)
    ):
        return result
    interval = facts.environment.scrape_interval
    quiet_from = max(gone, known + drain(facts, now))
    seen = all(_scraped_until(facts, one, now) >= quiet_from + _QUIET * interval for one in facts.plan.injections)
    told_by_proxies = lost is not None and not late
    if not seen or not (
        told_by_proxies or all(_would_have_shown(facts, one, quiet_from, now) for one in facts.plan.injections)
    ):
        return result
    return result.model_copy(update={"answer": Answer.HOLDS})


def surely_there(facts: Facts, now: float) -> float:
    """Up to when a caller's proxy surely had the fault: when it was restored, or when one of them was last seen with it."""
    restored, decided = facts.marks.get(Mark.RESTORED), facts.marks.get(Mark.RESTORE_SENT, now)
    if restored is None or restored >= now:
        return min(now, decided)
    removal = judge_removal(facts, now)
    # The proxies may have lost it before the API's acknowledgement arrived.
    stayed = (removal.seconds or 0.0) - removal.uncertainty
    return restored + stayed if stayed > 0 else decided


def _would_have_shown(facts: Facts, injection: Injection, since: float, now: float) -> bool:
    """Whether each caller that felt faults has sent so many requests without any since that its share of before is refuted.

    Two quiet scrapes say little of a caller that is hit once in ten seconds.
    """
    whole = Window(facts.marks.get(Mark.INJECT_SENT, since), now)
    every, quiet = (sent(facts, injection.requests, one) for one in (whole, Window(since, now)))
    confidence = share_of_confidence(facts.experiment)
    # The last stage's share may be less than all have.
    least = injection.fault.least / 100 if injection.fault.course else 1.0
    return all(
        interval_of(0, quiet[caller], confidence=confidence).high < min(faulted / every[caller], least)
        for caller, faulted in felt(facts, injection, whole).items()
    )


def drain(facts: Facts, now: float) -> float:
    """Seconds for which requests that drew a fault may still be under way, and be counted at their end.

    A delay, or longer: after it the request goes on to the target, for as long as that takes. No answer to the load
    took longer than the longest that was seen, with the fault or, before it, without. Only where the callers' proxies
    answer themselves, that is at once.
    """
    delay = longest_delay(facts.experiment)
    begun = facts.marks.get(Mark.INJECT_SENT)
    if begun is None or all(kind.answers for kind in facts.experiment.kinds):
        return delay
    before = facts.evidence.load.longest_wait(facts.marks.get(Mark.BASELINE_FROM, begun), begun, rest=0.0)
    return max(delay + before, facts.evidence.load.longest_wait(begun, now, rest=0.0))


def _rises(facts: Facts, injection: Injection, since: float, now: float) -> Iterator[_Rise]:
    """Where the counts of faulted requests rose after a moment; one that was held back drew its fault before that."""
    declared, longest = injection.fault.kinds, drain(facts, now)
    for series in facts.evidence.counters(injection.requests):
        felt = felt_by(series.labels, declared)
        if not felt:
            continue
        answered = any(kind.answers for kind in felt)  # by the caller's proxy
        held = max((kind.held.total_seconds() for kind in declared if type(kind) in felt), default=0.0)
        left = series.labels.get("response_code") == "0"  # its client went away, maybe while it was held back
        least, most = 0.0 if left else held, held if answered else longest
        for after, by in facts.evidence.rises_of(series, Window(since, now)):
            yield _Rise(after - most, by - least, not answered)


def _scraped_until(facts: Facts, injection: Injection, now: float) -> float:
    """Up to when every proxy that counted faults and still exists was scraped; of all proxies, if none counted a fault."""
    newest: dict[Source, float] = {}
    injecting: set[Source] = set()
    for series in facts.evidence.counters(injection.requests):
        if (last := series.newest(now)) is not None:
            newest[series.source] = max(newest.get(series.source, 0.0), last)
        if is_faulted(series, injection):
            injecting.add(series.source)
    alive_from = max(newest.values(), default=0.0) - _GONE * facts.environment.scrape_interval
    alive = {source: at for source, at in newest.items() if at >= alive_from}
    return min([at for source, at in alive.items() if source in injecting] or alive.values(), default=float("-inf"))
