"""While a fault is on its way to the proxies, or out of them, only a part of them may have it.

What is bad then is no violation: a breaker may open just then, or a pool drain. Nor does an expectation hold that held only between
these times, and does not together with them. It is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from chaos.expectations.confidence import decide
from chaos.expectations.evidence import Window
from chaos.expectations.kind import Finding, Kind
from chaos.judge.alpha import share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.looks import closely, decided, look_at
from chaos.model.history import Mark
from chaos.model.verdict import RemovalResult
from chaos.values.answers import Answer, ExpectationResult, Tally

Results = tuple[ExpectationResult, ...]
_SECOND: Final = 1.0
"""Seconds by which a moment and the events around it may be known wrongly."""
_HINT: Final = (
    "find out what fails while a fault begins or ends (the run's picture, timeline.png, shows when): with these seconds, it is not sure that the bound is kept. If they may "
    "be that bad, observe for longer (observe.atLeast), so that they weigh less; or change the bound"
)
_IN_DOUBT: Final = (
    ". It may also have failed after the fault only: to know better when a fault is gone, let the run ask the proxies (the right pods/exec), or scrape "
    "them more often"
)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A time in which only a part of the proxies may have the fault.

    Args:
        window: It, as a kind counts.
        whole: The fault's time with it.
        when: It in words, with a place for its seconds.
        hint: What may help, beside what always does.
        left_at: When the fault had left the proxies, at its end.
    """

    window: Callable[[Kind], Window]
    whole: Window
    when: str
    hint: str = ""
    left_at: float | None = None


def with_first_seconds(facts: Facts, results: Sequence[ExpectationResult], end: float) -> Results:
    """What became of expectations until ``end``, with the time from the write of the fault until every caller's proxy had it."""
    sent, start = facts.marks.get(Mark.INJECT_SENT), facts.marks.get(Mark.FAULT_FROM)
    if sent is None or start is None:
        return tuple(results)
    observed, interval = Window(start, end), facts.environment.scrape_interval

    def first(kind: Kind) -> Window:
        return Window(sent, kind.counting(facts.evidence, observed).start + interval)

    when = "in the fault's first seconds ({:.1f} s), when only a part of the callers' proxies may have had it"
    return _with(facts, results, _Part(window=first, whole=Window(sent, end), when=when))


def with_last_seconds(facts: Facts, results: Sequence[ExpectationResult], removed: RemovalResult) -> Results:
    """What became of expectations, with the time until no caller's proxy had the fault any more.

    It begins with what the look that ended the phase could not know yet: the scrape interval before the restore. Of when the fault was
    gone, a second that is uncertain is the system's, so that what is slow to recover is not blamed on it.
    """
    sent, decided_at, gone = *map(facts.marks.get, (Mark.INJECT_SENT, Mark.RESTORE_SENT)), facts.gone(removed)
    if sent is None or decided_at is None or gone is None:
        return tuple(results)
    gone -= min(_SECOND, removed.uncertainty)
    last = Window(decided_at - facts.environment.scrape_interval - facts.environment.lag, gone)
    when, hint = (
        "in the fault's last seconds ({:.1f} s), when only a part of the callers' proxies may still have had it",
        "",
    )
    if removed.uncertainty > _SECOND:
        when, hint = f"{when} (when the last one lost it is known to {removed.uncertainty:.0f} s only)", _IN_DOUBT
    part = _Part(window=lambda _: last, whole=Window(sent, gone), when=when, hint=hint, left_at=gone)
    return _with(facts, results, part)


def _with(facts: Facts, results: Sequence[ExpectationResult], part: _Part) -> Results:
    pairs = zip(facts.experiment.steady_state, results, strict=True)
    return tuple(
        _broken_in(facts, kind, one, part) if one.answer is Answer.HOLDS and not kind.needs_fault else one
        for kind, one in pairs
    )


def _broken_in(facts: Facts, kind: Kind, held: ExpectationResult, part: _Part) -> ExpectationResult:
    """What held; undecided where it does not hold together with a part that is surely bad. No alpha is spent on being undecided.

    Where it is no share, it may take all of the time to see that: a rate over a few seconds is none.
    """
    confidence, window = share_of_confidence(facts.experiment), part.window(kind)
    found = decided(facts, kind, closely(facts, "fault", window, confidence=confidence, reaches_back=True))
    astride = _astride(facts, kind, part.left_at) if part.left_at is not None else Tally()
    found = _and(found, astride)
    if found.of_share and found.answer is not Answer.VIOLATED:
        return held
    every = decided(facts, kind, look_at(facts, "fault", part.whole, confidence=confidence, reaches_back=True))
    every = _and(every, astride, effect=max(every.effect, astride.total - astride.good))
    if every.answer is Answer.HOLDS or Answer.VIOLATED not in (found.answer, every.answer):
        return held
    bad = kind.tell(found if found.answer is Answer.VIOLATED else every, "fault").observed
    return held.model_copy(
        update={
            "answer": Answer.UNDECIDED,
            "observed": f"{bad} {part.when.format(window.end - window.start)}; while they all had it, {held.observed}",
            "hint": _HINT + (f" ({key})" if (key := kind.loosened_by.get("fault")) else "") + part.hint,
        }
    )


def _astride(facts: Facts, kind: Kind, moment: float) -> Tally:
    """The events that were surely before a moment, of those between the scrapes on both sides of it.

    Requests come at an even pace, so there is room for so many after it, and as many bad ones as there is room for may have come then.
    """
    interval = facts.environment.scrape_interval
    window = Window(moment, moment + interval)
    look = closely(facts, "fault", window, confidence=share_of_confidence(facts.experiment), reaches_back=True)
    found = decided(facts, kind, look)
    counted = found.tally if found.of_share else Tally()
    last = facts.evidence.scraped_until(tuple(kind.questions(look.namespace)), window.end)
    room = ceil(counted.total * min(1.0, (last + _SECOND - moment) / interval))
    bad = max(0, counted.total - counted.good - room)
    return Tally(good=counted.total - room - bad, total=counted.total - room) if bad else Tally()


def _and(found: Finding, more: Tally, *, effect: float = 1.0) -> Finding:
    """With further events; ``effect`` is how many of all are worth one independent event."""
    if not more.total:
        return found
    tally = Tally(good=found.tally.good + more.good, total=found.tally.total + more.total)
    answer = decide(tally.good / effect, tally.total / effect, found.bound, confidence=found.confidence)
    return replace(found, tally=tally, answer=answer, effect=effect)
