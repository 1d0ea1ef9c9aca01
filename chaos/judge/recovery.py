"""When did the steady state hold again, and did it stay?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Final

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind, Look
from chaos.expectations.share import ShareOfGood
from chaos.judge.alpha import share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.looks import closely, decided, judged, look_at
from chaos.judge.removal import drain
from chaos.judge.tested import by_statuses
from chaos.model.history import Mark
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
    experiment, interval = facts.experiment, facts.environment.scrape_interval
    allowed = experiment.recovery.within.total_seconds()
    restored = facts.marks.get(Mark.RESTORED)
    result = RecoveryResult(seconds=None, uncertainty=interval, allowed=allowed, answer=Answer.UNDECIDED)
    if restored is None or removal.seconds is None:
        return result
    gone = restored + removal.seconds
    starts = candidates(interval, allowed)
    end = min(now, facts.marks.get(Mark.LOAD_STOPPED, now))
    tries = len(starts) * 2**_HALVINGS + _stretches(facts)
    confidence = 1 - (1 - share_of_confidence(experiment)) / tries
    shown = starts[0]
    answer, seconds, least = Answer.UNDECIDED, None, 0.0
    for before, after in zip((None, *starts), starts, strict=False):
        if gone + after >= end:
            break
        if _holds(facts, Window(gone + after, end), confidence):
            shown = _earliest(facts, gone, before, after, end, confidence)
            least, bad_until = _last_bad(facts, gone, now, end)
            # Good minutes may outweigh a bad stretch; still, it is no recovery before that is over. And what the scrapes around a moment
            # count is in no window that begins with it.
            begun = max(shown, bad_until)
            later = max(_looked_bad_until(facts, one, gone, begun, end) for one in experiment.steady_state)
            if later == shown or (later <= allowed and _holds(facts, Window(gone + later, end), confidence)):
                answer, seconds, shown = Answer.HOLDS, later, later
            break
        if after == allowed and _violated_when_drained(facts, gone, now, confidence):
            answer, shown = Answer.VIOLATED, after
    look = look_at(facts, "recovery", Window(gone + shown, end), confidence=confidence)
    if (late := _never_good(facts, gone, now, end)) is not None:
        answer, seconds, look = Answer.VIOLATED, None, late
    results = zip(experiment.steady_state, judged(facts, experiment.steady_state, look), strict=True)
    expectations = tuple(_told(facts, one, result, look, gone) for one, result in results)
    changed = {"seconds": seconds, "answer": answer, "expectations": expectations}
    if seconds is not None:
        changed["uncertainty"] = seconds - least
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
    """What is also told of a recovery that stayed undecided: until when it was surely not good. A look does without."""
    restored = facts.marks.get(Mark.RESTORED)
    if restored is None or removal.seconds is None or recovery.answer is not Answer.UNDECIDED:
        return recovery
    gone, end = restored + removal.seconds, min(now, facts.marks.get(Mark.LOAD_STOPPED, now))
    return recovery.model_copy(update={"bad_until": _last_bad(facts, gone, now, end)[1]})


def _holds(facts: Facts, window: Window, confidence: float) -> bool:
    look = look_at(facts, "recovery", window, confidence=confidence)
    return not look.too_short and all(
        decided(facts, one, look).answer is Answer.HOLDS for one in facts.experiment.steady_state
    )


def _violated(facts: Facts, window: Window, confidence: float) -> bool:
    return _bad(facts, look_at(facts, "recovery", window, confidence=confidence))


def _earliest(facts: Facts, gone: float, before: float | None, after: float, end: float, confidence: float) -> float:
    """The earliest moment between two candidates from which everything holds, to a scrape interval."""
    low, high = before if before is not None else after, after
    for _ in range(_HALVINGS):
        if high - low <= facts.environment.scrape_interval:
            break
        middle = (low + high) / 2
        if _holds(facts, Window(gone + middle, end), confidence):
            high = middle
        else:
            low = middle
    return high


def _stretches(facts: Facts) -> int:
    """How many stretches of one length end while it may recover and has to stay good."""
    experiment = facts.experiment
    return int(
        (experiment.recovery.within + experiment.stays_good_for).total_seconds() / facts.environment.scrape_interval
    )


def _last_bad(facts: Facts, gone: float, now: float, until: float) -> tuple[float, float]:
    """From when the last stretch was surely not good, and until when it looked so; zeros without one. It recovered after that began.

    What waited for a delay that it drew before the end of the fault is not held against it.
    """
    interval, number, drained = facts.environment.scrape_interval, _stretches(facts), drain(facts, now)
    ends = next((n for n in range(number, 0, -1) if gone + n * interval <= until), 0)
    if not ends or _spotless(facts, Window(gone, until)):
        return 0.0, 0.0
    confidence = 1 - (1 - share_of_confidence(facts.experiment)) / (number * len(_STRETCHES))

    def bad_in(window: Window) -> Sequence[tuple[Kind, bool]]:
        look = _closely(facts, window, confidence)
        found = [(one, decided(facts, one, look)) for one in facts.experiment.steady_state]
        return [(one, it.of_share) for one, it in found if it.answer is Answer.VIOLATED]

    last: tuple[float, float, Sequence[tuple[Kind, bool]]] = -1.0, 0.0, ()
    for length in _STRETCHES:
        first = next((n for n in range(1, ends + 1) if n * interval - length * interval >= drained), ends + 1)

        def stretch(place: int, first: int = first, length: int = length) -> Window:
            end = (first + place) * interval
            return Window(gone + (end - length * interval), gone + end)

        key = "bad", gone, confidence, length, first
        found = facts.evidence.each(bad_in, stretch, ends - first + 1, key=key, of_load="too")
        place = next(compress(range(len(found) - 1, -1, -1), reversed(found)), None)
        if place is not None and (start := (first + place) * interval - length * interval) > last[0]:
            last = start, (first + place) * interval, found[place]
    start, end, bad = last
    if not bad:
        return 0.0, 0.0
    # What is no share can't be told from one scrape to the next.
    ended = (_looked_bad_until(facts, one, gone, start, until, at_least=end) if told else end for one, told in bad)
    return start, max(ended)


def _looked_bad_until(
    facts: Facts, one: Kind, gone: float, start: float, until: float, *, at_least: float = 0.0
) -> float:
    """The end of the last scrape interval that looked bad, of those that follow each other from a start on; up to ``at_least`` others may lie between.

    What two scrapes count may have happened anywhere between them. Times are in seconds after the fault was gone.
    """
    interval, confidence = facts.environment.scrape_interval, share_of_confidence(facts.experiment)
    questions, at, bad_until = tuple(one.questions(facts.experiment.target.namespace)), start, start
    while gone + at < until:
        look = _closely(facts, Window(gone + at, gone + at + interval), confidence, reaches_back=True)
        found, at = decided(facts, one, look), at + interval
        if not found.looks_good:
            bad_until = max(bad_until, facts.evidence.scraped_until(questions, look.window.end) - gone)
        elif at >= at_least and (found.tally.total or not found.of_share):
            break
    return bad_until


def _spotless(facts: Facts, window: Window) -> bool:
    """Whether there is no bad event, or look, at all, so that no stretch has to be looked at."""
    look = _closely(facts, window, share_of_confidence(facts.experiment))
    steady = facts.experiment.steady_state
    tallies = [decided(facts, one, look).tally for one in steady if one.tallies_all_bad]
    return len(tallies) == len(steady) and all(one.good == one.total for one in tallies)


def _never_good(facts: Facts, gone: float, now: float, end: float) -> Look | None:
    """The look after the allowed time, if since the fault's last requests no stretch of time was good; else nothing.

    A share alone does not tell: a few bad seconds after the deadline are rare among the good minutes that follow. Where the
    shortest stretches have too few events to be surely bad, longer ones may be, as long as none of the shortest looks good.
    """
    start, deadline = gone + drain(facts, now), gone + facts.experiment.recovery.within.total_seconds()
    end = min(end, deadline + _STRETCHES[-1] * facts.environment.scrape_interval)
    return facts.evidence.kept(
        ("never good", start, deadline, end), Window(start, end), lambda: _found_never_good(facts, start, deadline, end)
    )


def _found_never_good(facts: Facts, start: float, deadline: float, end: float) -> Look | None:
    interval = facts.environment.scrape_interval
    shortest = _looks_back(facts, start, deadline, end, _STRETCHES[0] * interval)
    if not shortest or all(_bad(facts, look) for look in shortest):
        return shortest[0] if shortest else None
    longer = [_looks_back(facts, start, deadline, end, n * interval) for n in _STRETCHES[1:]]
    found = next((looks[0] for looks in longer if looks and all(_bad(facts, look) for look in looks)), None)
    return found if found is not None and not any(_looks_good(facts, look) for look in shortest) else None


def _looks_back(facts: Facts, start: float, deadline: float, end: float, seconds: float) -> Sequence[Look]:
    """A look at the stretch after the deadline and at each one before it, back to a start; none before that stretch is over."""
    if deadline + seconds > end or start + seconds > deadline:
        return ()
    confidence = share_of_confidence(facts.experiment)
    starts = (deadline - n * seconds for n in range(int((deadline - start) / seconds) + 1))
    return [_closely(facts, Window(at, at + seconds), confidence) for at in starts]


def _looks_good(facts: Facts, look: Look) -> bool:
    """Whether nothing speaks against it that everything holds in a stretch."""
    return all(decided(facts, one, look).looks_good for one in facts.experiment.steady_state)


def _closely(facts: Facts, window: Window, confidence: float, *, reaches_back: bool = False) -> Look:
    return closely(facts, "recovery", window, confidence=confidence, reaches_back=reaches_back)


def _bad(facts: Facts, look: Look) -> bool:
    return any(decided(facts, one, look).answer is Answer.VIOLATED for one in facts.experiment.steady_state)


def _violated_when_drained(facts: Facts, gone: float, now: float, confidence: float) -> bool:
    """Whether it is surely violated, also without the requests that still wait for a delay that they drew before."""
    end = min(now, facts.marks.get(Mark.LOAD_STOPPED, now))
    start = gone + facts.experiment.recovery.within.total_seconds()
    drained = max(start, gone + drain(facts, now))
    if drained >= end or not _violated(facts, Window(start, end), confidence):
        return False
    return _violated(facts, Window(drained, end), share_of_confidence(facts.experiment))


def recovery_done(removal: RemovalResult, recovery: RecoveryResult) -> bool:
    """The fault is known to be gone, or to stay; and the steady state is known to hold again, or not."""
    if removal.answer is Answer.VIOLATED:
        return True
    return removal.answer is Answer.HOLDS and recovery.answer is not Answer.UNDECIDED
