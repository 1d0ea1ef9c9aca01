"""When did the steady state hold again?"""

from __future__ import annotations

from chaos.judge.claims import Window, answer_only, judge_claim, share_of_confidence
from chaos.model.history import History, Mark
from chaos.model.verdict import Answer, RecoveryResult


def candidates(interval: float, allowed: float) -> tuple[float, ...]:
    """Seconds after the restore from which recovery is tried: doubling scrape intervals, up to what is allowed."""
    found = [0.0]
    step = interval
    while step < allowed:
        found.append(step)
        step *= 2
    return (*found, allowed)


def judge_recovery(history: History, now: float) -> RecoveryResult:
    """The earliest candidate from which every expectation holds; the doubt is shared among the candidates."""
    experiment = history.plan.experiment
    allowed = experiment.recovery.within.total_seconds()
    interval = history.environment.scrape_interval
    restored = history.marks.get(Mark.RESTORED)
    result = RecoveryResult(seconds=None, uncertainty=interval, allowed=allowed, answer=Answer.UNDECIDED)
    if restored is None:
        return result
    starts = candidates(interval, allowed)
    confidence = 1 - (1 - share_of_confidence(experiment)) / len(starts)
    end = min(now, history.marks.get(Mark.LOAD_STOPPED, now))
    shown = starts[0]
    answer, seconds = Answer.UNDECIDED, None
    for after in starts:
        window = Window(restored + after, end)
        if window.start >= end:
            break
        answers = {
            answer_only(history, claim, "recovery", window, confidence=confidence) for claim in experiment.steady_state
        }
        if answers == {Answer.HOLDS}:
            answer, seconds, shown = Answer.HOLDS, after, after
            break
        if after == allowed and Answer.VIOLATED in answers:
            answer, shown = Answer.VIOLATED, after
    claims = tuple(
        judge_claim(history, claim, "recovery", Window(restored + shown, end), confidence=confidence)
        for claim in experiment.steady_state
    )
    return result.model_copy(update={"seconds": seconds, "answer": answer, "claims": claims})
