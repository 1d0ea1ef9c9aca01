"""When did the steady state hold again?"""

from __future__ import annotations

from chaos.expectations.evidence import Window
from chaos.judge.alpha import share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.live import judged, look_at, together
from chaos.judge.removal import drain
from chaos.model.history import Mark
from chaos.model.verdict import RecoveryResult, RemovalResult
from chaos.values.answers import Answer


def candidates(interval: float, allowed: float) -> tuple[float, ...]:
    """Seconds after the fault was gone from which recovery is tried: doubling scrape intervals, up to what is allowed."""
    found = [0.0]
    step = interval
    while step < allowed:
        found.append(step)
        step *= 2
    return (*found, allowed)


def judge_recovery(facts: Facts, removal: RemovalResult, now: float) -> RecoveryResult:
    """The earliest candidate from which every expectation holds; alpha is shared among the candidates.

    Nothing recovers while its fault is still in the proxies, so the time starts when that was gone.
    """
    experiment, interval = facts.experiment, facts.environment.scrape_interval
    allowed = experiment.recovery.within.total_seconds()
    restored = facts.marks.get(Mark.RESTORED)
    result = RecoveryResult(seconds=None, uncertainty=interval, allowed=allowed, answer=Answer.UNDECIDED)
    if restored is None or removal.seconds is None:
        return result
    gone = restored + removal.seconds
    starts = candidates(interval, allowed)
    confidence = 1 - (1 - share_of_confidence(experiment)) / len(starts)
    end = min(now, facts.marks.get(Mark.LOAD_STOPPED, now))
    shown = starts[0]
    answer, seconds = Answer.UNDECIDED, None
    for after in starts:
        if gone + after >= end:
            break
        found = _answer(facts, Window(gone + after, end), confidence)
        if found is Answer.HOLDS:
            answer, seconds, shown = Answer.HOLDS, after, after
            break
        if after == allowed and found is Answer.VIOLATED and _violated_when_drained(facts, gone, now):
            answer, shown = Answer.VIOLATED, after
    look = look_at(facts, "recovery", Window(gone + shown, end), confidence=confidence)
    expectations = judged(facts, experiment.steady_state, look)
    return result.model_copy(update={"seconds": seconds, "answer": answer, "expectations": expectations})


def _answer(facts: Facts, window: Window, confidence: float) -> Answer:
    look = look_at(facts, "recovery", window, confidence=confidence)
    return together([one.decide(facts.evidence, look) for one in facts.experiment.steady_state])


def _violated_when_drained(facts: Facts, gone: float, now: float) -> bool:
    """Whether it is surely violated without the requests that still wait for a delay that they drew before."""
    experiment = facts.experiment
    start = gone + max(experiment.recovery.within.total_seconds(), drain(facts, now))
    window = Window(start, min(now, facts.marks.get(Mark.LOAD_STOPPED, now)))
    if window.start >= window.end:
        return False
    return _answer(facts, window, share_of_confidence(experiment)) is Answer.VIOLATED


def recovery_done(removal: RemovalResult, recovery: RecoveryResult) -> bool:
    """The fault is known to be gone, or to stay; and the steady state is known to hold again, or not."""
    if removal.answer is Answer.VIOLATED:
        return True
    return removal.answer is Answer.HOLDS and recovery.answer is not Answer.UNDECIDED
