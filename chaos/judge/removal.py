"""When did the fault leave the callers' proxies? The API's acknowledgement of the restore does not tell.

A control plane that is paused, restarted or slow leaves the proxies with what they had: faults go on although no object
is there any more (seen with istiod 1.30: 20 s). The fault is gone once the callers' proxies have lost the injected routes
and no fault is counted that they could not have drawn before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.expectations.confidence import interval as interval_of
from chaos.expectations.counting import Scrapes, Source
from chaos.faults.fault import felt_by
from chaos.judge.claims import longest_delay, share_of_confidence
from chaos.judge.evidence import requests_key
from chaos.judge.load import longest_wait
from chaos.judge.proof import caller_of, counted, is_faulted
from chaos.model.history import History, Mark
from chaos.model.verdict import RemovalResult
from chaos.values.answers import Answer
from chaos.values.series import Recorded, Series

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


def judge_removal(history: History, now: float) -> RemovalResult:
    """How long the proxies kept the fault after the API acknowledged the restore.

    The proxies' own answers tell to a fraction of a second, where they can be asked; the counts tell to a scrape
    interval, and always have the last word: a fault that was surely drawn after the proxies lost it comes from a proxy that
    still injects. It is too late only if the fault was surely there beyond the limit, and in time only if it was surely gone.
    """
    allowed = history.plan.experiment.limits.removal.total_seconds()
    result = RemovalResult(seconds=None, uncertainty=0.0, allowed=allowed, answer=Answer.UNDECIDED)
    restored = history.marks.get(Mark.RESTORED)
    if restored is None:
        return result
    looks = [look for look in history.proxies if look.at > restored]
    last_had = max((look.asked or look.at for look in looks if look.having), default=restored)
    askable = bool(looks) and looks[-1].of > 0
    lost = next((look.at for look in looks if look.at > last_had and not look.having), None) if askable else None
    if askable:
        result = result.model_copy(update={"asked": looks[-1].of, "having": looks[-1].having})
    known = lost if lost is not None else last_had
    recorded = history.find(requests_key(history.plan.host))
    rises = list(_rises(history, recorded, restored, now)) if recorded is not None else []
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
    if seconds is None or seconds > allowed or recorded is None:
        return result
    interval = history.environment.scrape_interval
    quiet_from = max(gone, known + drain(history, now))
    seen = _scraped_until(history, recorded, now) >= quiet_from + _QUIET * interval
    told_by_proxies = lost is not None and not late
    if not seen or not (told_by_proxies or _would_have_shown(history, quiet_from, now)):
        return result
    return result.model_copy(update={"answer": Answer.HOLDS})


def _would_have_shown(history: History, since: float, now: float) -> bool:
    """Whether each caller that felt faults has sent so many requests without any since that its share of before is refuted.

    Two quiet scrapes say little of a caller that is hit once in ten seconds.
    """
    felt: dict[str, list[int]] = {}
    for series, events in counted(history, history.marks.get(Mark.INJECT_SENT, since), now):
        faulted, sent = felt.setdefault(caller_of(series), [0, 0])
        felt[caller_of(series)] = [faulted + events * is_faulted(series, history), sent + events]
    quiet: dict[str, int] = {}
    for series, events in counted(history, since, now):
        quiet[caller_of(series)] = quiet.get(caller_of(series), 0) + events
    confidence = share_of_confidence(history.plan.experiment)
    return all(
        interval_of(0, quiet.get(caller, 0), confidence=confidence).high < faulted / sent
        for caller, (faulted, sent) in felt.items()
        if faulted
    )


def drain(history: History, now: float) -> float:
    """Seconds for which requests that drew a fault may still be under way, and be counted at their end.

    A delay, or longer: after it the request goes on to the target, for as long as that takes. No answer to the load
    took longer than the longest that was seen, with the fault or, before it, without. Only where the callers' proxies
    answer themselves, that is at once.
    """
    delay = longest_delay(history.plan.experiment)
    begun = history.marks.get(Mark.INJECT_SENT)
    if begun is None or all(kind.answers for kind in history.plan.experiment.kinds):
        return delay
    before = longest_wait(history, history.marks.get(Mark.BASELINE_FROM, begun), begun, rest=0.0)
    return max(delay + before, longest_wait(history, begun, now, rest=0.0))


def _rises(history: History, recorded: Recorded, since: float, now: float) -> Iterator[_Rise]:
    """Where the counts of faulted requests rose after a moment; one that was held back drew its fault before that."""
    interval, scrapes = history.environment.scrape_interval, Scrapes((recorded,))
    declared, longest = history.plan.experiment.kinds, drain(history, now)
    for series in recorded.series:
        felt = felt_by(series.labels, declared)
        if not felt:
            continue
        answered = any(kind.answers for kind in felt)  # by the caller's proxy
        held = max((kind.held.total_seconds() for kind in declared if type(kind) in felt), default=0.0)
        left = series.labels.get("response_code") == "0"  # its client went away, maybe while it was held back
        least, most = 0.0 if left else held, held if answered else longest
        for (after, before), (by, value) in pairwise(_with_birth(series, scrapes, interval)):
            if since < by <= now and value != before:  # less than before: the proxy began anew
                yield _Rise(after - most, by - least, not answered)


def _with_birth(series: Series, scrapes: Scrapes, interval: float) -> tuple[tuple[float, float], ...]:
    """The samples, and before them the scrape at which the series was not there yet, with nothing counted."""
    if not series.samples:
        return ()
    born = series.samples[0][0]
    times = scrapes.get(series.source, ())
    earlier = bisect_left(times, born)
    return ((times[earlier - 1] if earlier else born - interval, 0.0), *series.samples)


def _scraped_until(history: History, recorded: Recorded, now: float) -> float:
    """Up to when every proxy that counted faults, and is still there, was scraped; any proxy where none counted one."""
    newest: dict[Source, float] = {}
    injecting: set[Source] = set()
    for series in recorded.series:
        last = bisect_right(series.samples, now, key=lambda sample: sample[0])
        if last:
            newest[series.source] = max(newest.get(series.source, 0.0), series.samples[last - 1][0])
        if is_faulted(series, history):
            injecting.add(series.source)
    alive_from = max(newest.values(), default=0.0) - _GONE * history.environment.scrape_interval
    alive = {source: at for source, at in newest.items() if at >= alive_from}
    return min([at for source, at in alive.items() if source in injecting] or alive.values(), default=float("-inf"))
