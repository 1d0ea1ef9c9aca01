"""While a fault is on its way to the proxies, or out of them, only a part of them may have it.

What is bad then is no violation: a breaker may open just then, or a pool drain. Nor does an expectation hold that held only between
these times, and does not together with them. It is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind
from chaos.judge.alpha import share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.looks import closely, decided, look_at
from chaos.model.history import Mark
from chaos.model.verdict import RemovalResult
from chaos.values.answers import Answer, ExpectationResult

Results = tuple[ExpectationResult, ...]


def with_first_seconds(facts: Facts, results: Sequence[ExpectationResult], end: float) -> Results:
    """What became of expectations until ``end``, with the time from the write of the fault until every caller's proxy had it."""
    sent, start, interval = (
        facts.marks[Mark.INJECT_SENT],
        facts.marks[Mark.FAULT_FROM],
        facts.environment.scrape_interval,
    )

    def part(kind: Kind) -> Window:
        return Window(sent, kind.counting(facts.evidence, Window(start, end)).start + interval)

    return _with(
        facts,
        results,
        part,
        Window(sent, end),
        "in the fault's first seconds, until the scrapes after every caller's proxy had it",
    )


def with_last_seconds(facts: Facts, results: Sequence[ExpectationResult], removed: RemovalResult) -> Results:
    """What became of expectations, with the time until no caller's proxy had the fault any more.

    It begins with what the look that ended the phase could not know yet: the scrape interval before the restore.
    """
    sent, restored = facts.marks.get(Mark.INJECT_SENT), facts.marks.get(Mark.RESTORED)
    if sent is None or restored is None or removed.seconds is None:
        return tuple(results)
    unknown = facts.environment.scrape_interval + facts.environment.lag
    last = Window(facts.marks[Mark.RESTORE_SENT] - unknown, restored + removed.seconds)
    when = "in the fault's last seconds, until no caller's proxy had it any more"
    return _with(facts, results, lambda _: last, Window(sent, last.end), when)


def _with(
    facts: Facts, results: Sequence[ExpectationResult], part: Callable[[Kind], Window], whole: Window, when: str
) -> Results:
    pairs = zip(facts.experiment.steady_state, results, strict=True)
    return tuple(
        _broken_at(facts, kind, one, part(kind), whole, when)
        if one.answer is Answer.HOLDS and not kind.needs_fault
        else one
        for kind, one in pairs
    )


def _broken_at(
    facts: Facts, kind: Kind, held: ExpectationResult, part: Window, whole: Window, when: str
) -> ExpectationResult:
    """What held; undecided where a part is surely bad, and it does not hold together with that. No alpha is spent on being undecided."""
    confidence = share_of_confidence(facts.experiment)
    found = decided(facts, kind, closely(facts, "fault", part, confidence=confidence, reaches_back=True))
    if found.answer is not Answer.VIOLATED:
        return held
    every = look_at(facts, "fault", whole, confidence=confidence, reaches_back=True)
    if decided(facts, kind, every).answer is Answer.HOLDS:
        return held
    bad = kind.tell(found, "fault").observed
    return held.model_copy(
        update={
            "answer": Answer.UNDECIDED,
            "observed": f"{bad} {when} ({part.end - part.start:.1f} s); while they all had it, {held.observed}",
            "hint": _HINT + (f" ({key})" if (key := kind.loosened_by.get("fault")) else ""),
        }
    )


_HINT = (
    "find out what fails while a fault begins or ends (the run's picture, timeline.png, shows when): those seconds are too bad for the bound. If they may "
    "be so, observe for longer (observe.atLeast), so that they weigh less; or change the bound"
)
