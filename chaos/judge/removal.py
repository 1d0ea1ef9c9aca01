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

from chaos.judge.claims import longest_delay
from chaos.judge.counting import Scrapes, Source
from chaos.judge.evidence import requests_key
from chaos.judge.load import longest_wait
from chaos.judge.proof import flags_of, is_faulted
from chaos.model.history import History, Mark, Recorded, Series
from chaos.model.verdict import Answer, RemovalResult

_QUIET: Final = 2
"""Scrape intervals without a new fault that show that there are none any more."""
_GONE: Final = 5
"""Scrape intervals behind the newest scrape after which a proxy counts as gone."""


@dataclass(frozen=True)
class _Rise:
    """Faults that were counted after one scrape and by the next one."""

    after: float
    by: float
    delayed: bool


def judge_removal(history: History, now: float) -> RemovalResult:
    """How long the proxies kept the fault after the API acknowledged the restore.

    The proxies' own answers tell to a fraction of a second, where they can be asked; the counts tell to a scrape
    interval, and always have the last word: a fault that is surely counted after the proxies lost it, and that did not
    wait for its delay meanwhile, comes from a proxy that still injects.
    """
    interval = history.environment.scrape_interval
    allowed = history.plan.experiment.limits.removal.total_seconds()
    result = RemovalResult(seconds=None, uncertainty=0.0, allowed=allowed, answer=Answer.UNDECIDED)
    restored = history.marks.get(Mark.RESTORED)
    if restored is None:
        return result
    looks = [look for look in history.proxies if look.at > restored]
    last_had = max((look.asked or look.at for look in looks if look.having), default=restored)
    askable = bool(looks) and looks[-1].of > 0
    lost = next((look.at for look in looks if look.at > last_had and not look.having), None) if askable else None
    still = askable and lost is None
    if askable:
        result = result.model_copy(update={"asked": looks[-1].of, "having": looks[-1].having})
    known = lost if lost is not None else last_had
    drained = known + drain(history, now)
    recorded = history.find(requests_key(history.plan.host))
    rises = list(_rises(recorded, restored, now, interval)) if recorded is not None else []
    aborted_by = known + longest_delay(history.plan.experiment)
    late = [rise for rise in rises if rise.after >= (drained if rise.delayed else aborted_by)]
    if late:
        last = max(late, key=lambda rise: rise.by)
        gone, earliest = last.by, last.after
    elif lost is not None:
        gone, earliest = lost, last_had
    else:
        gone, earliest = max([known, *(rise.by for rise in rises)]), known
    result = result.model_copy(update={"seconds": gone - restored, "uncertainty": gone - earliest})
    too_late = (bool(late) or lost is not None) and gone - restored > allowed
    if too_late or (still and now - restored > allowed):
        result = result.model_copy(update={"answer": Answer.VIOLATED})
    if still:
        return result.model_copy(update={"seconds": None})
    if result.answer is Answer.VIOLATED:
        return result
    quiet_from = max(gone, drained)
    if recorded is None or _scraped_until(recorded, now, interval) < quiet_from + _QUIET * interval:
        return result
    return result.model_copy(update={"answer": Answer.HOLDS})


def drain(history: History, now: float) -> float:
    """Seconds for which requests that drew a delay may still be under way, and be counted at their end.

    The delay, or longer: after it the request goes on to the target, for as long as that takes. No answer to the load
    took longer than the longest that was seen.
    """
    delay = longest_delay(history.plan.experiment)
    begun = history.marks.get(Mark.INJECT_SENT)
    if not delay or begun is None:
        return delay
    return max(delay, longest_wait(history, begun, now, rest=0.0))


def _rises(recorded: Recorded, since: float, now: float, interval: float) -> Iterator[_Rise]:
    """Where the counts of faulted requests rose after a moment."""
    scrapes = Scrapes((recorded,))
    for series in recorded.series:
        if not is_faulted(series):
            continue
        delayed = "FI" not in flags_of(series)
        for (after, before), (by, value) in pairwise(_with_birth(series, scrapes, interval)):
            if since < by <= now and value != before:  # less than before: the proxy began anew
                yield _Rise(after, by, delayed)


def _with_birth(series: Series, scrapes: Scrapes, interval: float) -> tuple[tuple[float, float], ...]:
    """The samples, and before them the scrape at which the series was not there yet, with nothing counted."""
    if not series.samples:
        return ()
    born = series.samples[0][0]
    times = scrapes.get(series.source, ())
    earlier = bisect_left(times, born)
    return ((times[earlier - 1] if earlier else born - interval, 0.0), *series.samples)


def _scraped_until(recorded: Recorded, now: float, interval: float) -> float:
    """Up to when every proxy that counted faults, and is still there, was scraped; any proxy where none counted one."""
    newest: dict[Source, float] = {}
    injecting: set[Source] = set()
    for series in recorded.series:
        last = bisect_right(series.samples, now, key=lambda sample: sample[0])
        if last:
            newest[series.source] = max(newest.get(series.source, 0.0), series.samples[last - 1][0])
        if is_faulted(series):
            injecting.add(series.source)
    alive_from = max(newest.values(), default=0.0) - _GONE * interval
    alive = {source: at for source, at in newest.items() if at >= alive_from}
    return min([at for source, at in alive.items() if source in injecting] or alive.values(), default=float("-inf"))
