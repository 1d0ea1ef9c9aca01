"""When did the steady state hold again?"""

from __future__ import annotations

from chaos.judge.claims import Window, answer_only, judge_claim, share_of_confidence
from chaos.judge.removal import drain, judge_removal
from chaos.model.history import History, Mark
from chaos.model.verdict import RecoveryResult
from chaos.values.answers import Answer


def candidates(interval: float, allowed: float) -> tuple[float, ...]:
    """Seconds after the fault was gone from which recovery is tried: doubling scrape intervals, up to what is allowed."""
    found = [0.0]
    step = interval
    while step < allowed:
        found.append(step)
        step *= 2
    return (*found, allowed)


def judge_recovery(history: History, now: float) -> RecoveryResult:
    """The earliest candidate from which every expectation holds; the doubt is shared among the candidates.

    Nothing recovers while its fault is still in the proxies, so the time starts when that was gone.
    """
    experiment = history.plan.experiment
    allowed = experiment.recovery.within.total_seconds()
    interval = history.environment.scrape_interval
    restored, removed = history.marks.get(Mark.RESTORED), judge_removal(history, now).seconds
    result = RecoveryResult(seconds=None, uncertainty=interval, allowed=allowed, answer=Answer.UNDECIDED)
    if restored is None or removed is None:
        return result
    gone = restored + removed
    starts = candidates(interval, allowed)
    confidence = 1 - (1 - share_of_confidence(experiment)) / len(starts)
    end = min(now, history.marks.get(Mark.LOAD_STOPPED, now))
    shown = starts[0]
    answer, seconds = Answer.UNDECIDED, None
    for after in starts:
        window = Window(gone + after, end)
        if window.start >= end:
            break
        answers = {
            answer_only(history, claim, "recovery", window, confidence=confidence) for claim in experiment.steady_state
        }
        if answers == {Answer.HOLDS}:
            answer, seconds, shown = Answer.HOLDS, after, after
            break
        if after == allowed and Answer.VIOLATED in answers and _violated_when_drained(history, gone, now):
            answer, shown = Answer.VIOLATED, after
    claims = tuple(
        judge_claim(history, claim, "recovery", Window(gone + shown, end), confidence=confidence)
        for claim in experiment.steady_state
    )
    return result.model_copy(update={"seconds": seconds, "answer": answer, "claims": claims})


def _violated_when_drained(history: History, gone: float, now: float) -> bool:
    """Whether it is surely violated without the requests that still wait for a delay that they drew before."""
    experiment = history.plan.experiment
    start = gone + max(experiment.recovery.within.total_seconds(), drain(history, now))
    window = Window(start, min(now, history.marks.get(Mark.LOAD_STOPPED, now)))
    if window.start >= window.end:
        return False
    confidence = share_of_confidence(experiment)
    return any(
        answer_only(history, claim, "recovery", window, confidence=confidence) is Answer.VIOLATED
        for claim in experiment.steady_state
    )


def recovery_done(history: History, now: float) -> bool:
    """The fault is known to be gone, or to stay; and the steady state is known to hold again, or not."""
    removed = judge_removal(history, now).answer
    if removed is Answer.VIOLATED:
        return True
    return removed is Answer.HOLDS and judge_recovery(history, now).answer is not Answer.UNDECIDED
