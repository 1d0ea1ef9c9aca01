"""When did the steady state hold again, and did it stay?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final

from chaos.expectations.confidence import shared
from chaos.expectations.evidence import Window
from chaos.expectations.kind import Finding, Kind, Look
from chaos.expectations.share import ShareOfGood
from chaos.judge.alpha import share_of_confidence
from chaos.judge.answers import by_statuses
from chaos.judge.facts import Facts
from chaos.judge.looks import closely, decided, judged, look_at
from chaos.judge.removal import drain
from chaos.model.verdict import RecoveryResult, RemovalResult
from chaos.values.answers import Answer, ExpectationResult

_HALVINGS: Final = 4
"""Times that the stretch in which the recovery lies is halved."""
_STRETCHES: Final = (2, 4, 8)
"""Scrape intervals of a stretch that is looked at for what was surely not good."""


def candidates(interval: float, allowed: float) -> tuple[float, ...]:
    """Seconds after the fault was gone from which recovery is tried: doubling scrape intervals, up to what is allowed."""
    found = [0.0]
    step = interval
    while step < allowed:
        found.append(step)
        step *= 2
    return (*found, allowed)


def judge_recovery(facts: Facts, removal: RemovalResult, now: float) -> RecoveryResult:
    """The earliest moment from which every expectation holds and has stayed good; alpha is shared among all that may be tried.

    Nothing recovers while its fault is still in the proxies, so the time starts when that was gone. The moments that are
    tried double, and the last stretch is halved a few times. The result is a range: the steady state holds from its end on, and
    looks good in the scrapes around that, too; a stretch of time that begins at its beginning was surely not good. Such a stretch after
    the allowed time is no recovery that stays.
    """
    interval, allowed = facts.environment.scrape_interval, facts.experiment.recovery.within.total_seconds()
    result = RecoveryResult(seconds=None, uncertainty=interval, allowed=allowed, answer=Answer.UNDECIDED)
    after = _After.of(facts, removal, now)
    if after is None:
        return result
    starts = candidates(interval, allowed)
    confidence = shared(after.confidence, len(starts) * 2**_HALVINGS + after.stretches)
    shown = starts[0]
    answer, seconds, least = Answer.UNDECIDED, None, 0.0
    for before, start in zip((None, *starts), starts, strict=False):
        if after.gone + start >= after.end:
            break
        if after.holds(start, confidence):
            shown = after.earliest(before, start, confidence)
            least, bad_until = after.last_bad()
            # Good minutes may outweigh a bad stretch; still, it is no recovery before that is over. And what the scrapes around a moment
            # count is in no window that begins with it.
            begun = max(shown, bad_until)
            later = max(after.looked_bad_until(one, begun) for one in after.kinds)
            if later == shown or (later <= allowed and after.holds(later, confidence)):
                answer, seconds, shown = Answer.HOLDS, later, later
            break
        if start == allowed and after.violated_when_drained(confidence):
            answer, shown = Answer.VIOLATED, start
    look = after.look(shown, confidence)
    if (late := after.never_good()) is not None:
        answer, seconds, look = Answer.VIOLATED, None, late
    results = zip(after.kinds, judged(facts, after.kinds, look), strict=True)
    changed = {
        "seconds": seconds,
        "answer": answer,
        "expectations": tuple(_told(facts, one, result, look, after.gone) for one, result in results),
        "uncertainty": interval if seconds is None else seconds - least,
    }
    return result.model_copy(update=changed)


def _told(facts: Facts, one: Kind, result: ExpectationResult, look: Look, gone: float) -> ExpectationResult:
    """With the time that it is about, and the statuses of the answers that were counted in it."""
    when = f"{look.window.start - gone:.0f} to {look.window.end - gone:.0f} s after the fault was gone"
    dated = result.model_copy(update={"observed": f"{result.observed}, {when}"})
    window = look.window
    if isinstance(one, ShareOfGood) and result.answer is not Answer.VIOLATED:
        window = one.holding(facts.evidence, look)
    return by_statuses(facts, one, dated, window)


def with_relapse(facts: Facts, recovery: RecoveryResult, removal: RemovalResult, now: float) -> RecoveryResult:
    """For a recovery that stayed undecided: until when it was surely not good. A look does not need it."""
    after = _After.of(facts, removal, now) if recovery.answer is Answer.UNDECIDED else None
    return recovery if after is None else recovery.model_copy(update={"bad_until": after.last_bad()[1]})


def recovery_done(removal: RemovalResult, recovery: RecoveryResult) -> bool:
    """The fault is known to be gone, or to stay; and the steady state is known to hold again, or not."""
    if removal.answer is Answer.VIOLATED:
        return True
    return removal.answer is Answer.HOLDS and recovery.answer is not Answer.UNDECIDED


class _After:
    """The time after a fault, and how all expectations stand in parts of it. Times are in seconds after it was gone."""

    def __init__(self, facts: Facts, gone: float, now: float, end: float) -> None:
        experiment, interval = facts.experiment, facts.environment.scrape_interval
        self.facts, self.kinds, self.interval = facts, experiment.steady_state, interval
        self.gone, self.end = gone, end
        """When it was gone, and up to when the load was sent, on the clock of the metrics."""
        self.allowed = experiment.recovery.within.total_seconds()
        self.confidence = share_of_confidence(experiment)
        """Of one decision that is no try among others."""
        self.stretches = int((experiment.recovery.within + experiment.stays_good_for).total_seconds() / interval)
        """How many stretches of one length end while it may recover and has to stay good."""
        self.drained = drain(facts, now)
        """From when on no request counts any more that drew the fault."""

    @classmethod
    def of(cls, facts: Facts, removal: RemovalResult, now: float) -> _After | None:
        gone, restored = facts.gone(removal), facts.restored(now)
        return None if gone is None or restored is None else cls(facts, gone, now, restored.end)

    def look(self, start: float, confidence: float) -> Look:
        """At all that is known from a moment on."""
        return look_at(self.facts, "recovery", Window(self.gone + start, self.end), confidence=confidence)

    def closely(self, window: Window, confidence: float | None = None, *, reaches_back: bool = False) -> Look:
        """At a stretch of time, on the clock of the metrics, by itself."""
        sure = self.confidence if confidence is None else confidence
        return closely(self.facts, "recovery", window, confidence=sure, reaches_back=reaches_back)

    def found(self, look: Look) -> list[Finding]:
        """What becomes of every expectation there."""
        return [decided(self.facts, one, look) for one in self.kinds]

    def is_bad(self, look: Look) -> bool:
        """Whether any of them is surely violated there."""
        return any(decided(self.facts, one, look).answer is Answer.VIOLATED for one in self.kinds)

    def holds(self, start: float, confidence: float) -> bool:
        """Whether all of them hold from a moment on."""
        look = self.look(start, confidence)
        return not look.too_short and all(decided(self.facts, one, look).answer is Answer.HOLDS for one in self.kinds)

    def earliest(self, before: float | None, start: float, confidence: float) -> float:
        """The earliest moment between two candidates from which everything holds, to a scrape interval."""
        low, high = before if before is not None else start, start
        for _ in range(_HALVINGS):
            if high - low <= self.interval:
                break
            middle = (low + high) / 2
            if self.holds(middle, confidence):
                high = middle
            else:
                low = middle
        return high

    def last_bad(self) -> tuple[float, float]:
        """From when the last stretch was surely not good, and until when it looked so; zeros without one. It recovered after that began.

        What waited for a delay that it drew before the end of the fault does not count against it.
        """
        interval, number = self.interval, self.stretches
        ends = next((n for n in range(number, 0, -1) if self.gone + n * interval <= self.end), 0)
        if not ends or self.is_spotless():
            return 0.0, 0.0
        confidence = shared(self.confidence, number * len(_STRETCHES))

        def bad_in(window: Window) -> Sequence[tuple[Kind, bool]]:
            pairs = zip(self.kinds, self.found(self.closely(window, confidence)), strict=True)
            return [(one, it.of_share) for one, it in pairs if it.answer is Answer.VIOLATED]

        last: tuple[float, float, Sequence[tuple[Kind, bool]]] = -1.0, 0.0, ()
        for length in _STRETCHES:
            first = next((n for n in range(1, ends + 1) if n * interval - length * interval >= self.drained), ends + 1)

            def stretch(place: int, first: int = first, length: int = length) -> Window:
                end = (first + place) * interval
                return Window(self.gone + (end - length * interval), self.gone + end)

            key = "bad", self.gone, confidence, length, first
            found = self.facts.evidence.each(bad_in, stretch, ends - first + 1, key=key, of_load="too")
            place = next(compress(range(len(found) - 1, -1, -1), reversed(found)), None)
            if place is not None and (start := (first + place) * interval - length * interval) > last[0]:
                last = start, (first + place) * interval, found[place]
        start, end, bad = last
        if not bad:
            return 0.0, 0.0
        # What is no share is not known from one scrape to the next.
        ended = (self.looked_bad_until(one, start, at_least=end) if told else end for one, told in bad)
        return start, max(ended)

    def looked_bad_until(self, one: Kind, start: float, *, at_least: float = 0.0) -> float:
        """The end of the last scrape interval that looked bad, of those that follow each other from a start on; up to ``at_least`` others may lie between.

        What two scrapes count may have happened anywhere between them.
        """
        evidence, questions = self.facts.evidence, tuple(one.questions(self.facts.namespace))
        at = bad_until = start
        while self.gone + at < self.end:
            window = Window(self.gone + at, self.gone + at + self.interval)
            found, at = decided(self.facts, one, self.closely(window, reaches_back=True)), at + self.interval
            if not found.looks_good:
                bad_until = max(bad_until, evidence.scraped_until(questions, window.end) - self.gone)
            elif at >= at_least and (found.tally.total or not found.of_share):
                break
        return bad_until

    def is_spotless(self) -> bool:
        """Whether there is no bad event, or look, at all, so that no stretch has to be looked at."""
        if not all(one.tallies_all_bad for one in self.kinds):
            return False
        found = self.found(self.closely(Window(self.gone, self.end)))
        return all(one.tally.good == one.tally.total for one in found)

    def never_good(self) -> Look | None:
        """The look after the allowed time, if since the fault's last requests no stretch of time was good; else nothing.

        A share alone does not tell: a few bad seconds after the deadline are rare among the good minutes that follow. Where the
        shortest stretches have too few events to be surely bad, longer ones may be, as long as none of the shortest looks good.
        """
        start, deadline = self.gone + self.drained, self.gone + self.allowed
        end = min(self.end, deadline + _STRETCHES[-1] * self.interval)
        key = "never good", start, deadline, end
        return self.facts.evidence.kept(key, Window(start, end), lambda: self.found_never_good(end))

    def found_never_good(self, end: float) -> Look | None:
        """The same, of what is known up to a moment."""
        shortest, *longer = ([*self.back_from_deadline(n * self.interval, end)] for n in _STRETCHES)
        if not shortest or all(map(self.is_bad, shortest)):
            return shortest[0] if shortest else None
        found = next((looks[0] for looks in longer if looks and all(map(self.is_bad, looks))), None)
        if found is None or any(all(one.looks_good for one in self.found(look)) for look in shortest):
            return None
        return found

    def back_from_deadline(self, seconds: float, until: float) -> Iterator[Look]:
        """A look at the stretch after the allowed time and at each one before it, back to the fault's last requests; none before that stretch is over."""
        start, deadline = self.gone + self.drained, self.gone + self.allowed
        if deadline + seconds > until or start + seconds > deadline:
            return
        for number in range(int((deadline - start) / seconds) + 1):
            at = deadline - number * seconds
            yield self.closely(Window(at, at + seconds))

    def violated_when_drained(self, confidence: float) -> bool:
        """Whether it is surely violated, also without the requests that still wait for a delay that they drew before."""
        drained = max(self.allowed, self.drained)
        if self.gone + drained >= self.end or not self.is_bad(self.look(self.allowed, confidence)):
            return False
        return self.is_bad(self.look(drained, self.confidence))
