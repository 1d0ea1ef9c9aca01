"""The decisions of a canary shift: those of each step by its counts alone, live as from a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.expectations.confidence import interval, shared
from chaos.expectations.evidence import Window
from chaos.expectations.kind import Look
from chaos.judge.facts import Facts
from chaos.judge.looks import judged
from chaos.model.history import History
from chaos.model.judged import Difference, Told
from chaos.model.shift import Recognised, Shift, ShiftStep
from chaos.model.verdict import Outcome
from chaos.values.answers import Answer, Tally, together
from chaos.values.questions import Question, Requests

_SHORTEST: Final = 3.0
"""Seconds of a step before which nothing is decided: a single burst of errors says nothing."""
_SAID: Final = {Answer.VIOLATED: "was violated", Answer.UNDECIDED: "could not be decided"}


def asked_of(by: Recognised) -> tuple[Question, ...]:
    """What has to be asked beside the questions of the expectations."""
    return tuple(Requests(host=host) for host in by.of)


def step_at(facts: Facts, step: ShiftStep, *, by: Recognised, steps: int, every: float) -> ShiftStep:
    """A step as the facts decide it. It holds only if the target got its share: else nothing was seen of it.

    Args:
        facts: Of the shift.
        step: Which share of the requests, and from when to when.
        by: By what requests of the target are recognised.
        steps: How many there may be: all their decisions together are wrong at most as often as the experiment says.
        every: Seconds that a step lasts.
    """
    experiment = facts.experiment
    look = Look(
        phase="baseline", window=Window(step.start, step.end), namespace=experiment.target.namespace,
        confidence=shared(experiment.confidence, steps * len(experiment.steady_state)), at_least=min(_SHORTEST, every),
    )  # fmt: skip
    found = judged(facts, experiment.steady_state, look)
    answer, got = together(one.answer for one in found), _got(facts, by, look.window)
    missed = _missed(step.percent, got, confidence=look.confidence) if answer is Answer.HOLDS else ""
    answer = Answer.UNDECIDED if missed else answer
    return step.model_copy(update={"answer": answer, "expectations": found, "got": got, "missed": missed})


def _got(facts: Facts, by: Recognised, window: Window) -> Tally:
    """The requests of the target, of all to the VirtualService's hosts, by the callers' proxies."""
    mine = every = 0
    for question in asked_of(by):
        for counter, count in facts.evidence.counted(question, window):
            labels = counter.labels
            is_mine = labels.get("destination_service") in by.hosts and (
                by.workloads is None or labels.get("destination_workload") in by.workloads
            )
            every += count.events
            mine += count.events if is_mine else 0
    return Tally(good=mine, total=every)


def _missed(percent: float, got: Tally, *, confidence: float) -> str:
    """Why not even half of the target's share got to it, if so; half, since the weights take effect in every proxy by and by."""
    if not percent or (got.good and interval(got.good, got.total, confidence=confidence).high >= percent / 200):
        return ""
    return (
        f"{got.good} of {got.total} requests went to the target, which is not {percent:g} %: the others do not follow this "
        "VirtualService (those that enter by a gateway, for instance, follow the gateway's)"
    )


def concluded(shift: Shift) -> Shift:
    """The shift with the outcome that its steps, and what stopped it, amount to."""
    outcome, reason = _outcome(shift)
    return shift.model_copy(update={"outcome": outcome, "reason": reason})


def judge_shift(shift: Shift, history: History) -> Shift:
    """A recorded shift by its facts; what stopped it from outside stays what stopped it."""
    facts = Facts.of(history)
    steps = tuple(
        step_at(facts, step, by=shift.by, steps=len(shift.percents), every=shift.every) for step in shift.steps
    )
    if shift.stopped and steps:  # whatever this step would have become, it did not get to it
        steps = (
            *steps[:-1],
            steps[-1].model_copy(update={"answer": shift.steps[-1].answer, "missed": shift.steps[-1].missed}),
        )
    return concluded(shift.model_copy(update={"steps": steps}))


def shift_differences(before: Shift, now: Shift) -> Iterator[Difference]:
    """Where two verdicts on the same shift differ."""
    told = [(f"{step.percent:g} %: {one.title}", one) for step in before.steps for one in step.expectations]
    again = [one for step in now.steps for one in step.expectations]
    if before.outcome is not now.outcome:
        outcomes = (Told(answer=one.outcome, text=one.reason) for one in (before, now))
        yield Difference(what="outcome", before=next(outcomes), now=next(outcomes))
    for (what, one), other in zip(told, again, strict=False):
        if one.answer is not other.answer:
            was, is_ = (Told(answer=result.answer, text=result.told) for result in (one, other))
            yield Difference(what=what, before=was, now=is_)


def _outcome(shift: Shift) -> tuple[Outcome, str]:
    for number, step in enumerate(shift.steps):
        last = step is shift.steps[-1]
        if step.answer is Answer.HOLDS or (last and shift.stopped):
            continue
        if number == 0 and not step.missed:
            return Outcome.INCONCLUSIVE, f"before the first step, the steady state {_SAID[step.answer]}"
        if step.missed:
            return Outcome.INCONCLUSIVE, f"at {step.percent:g} %, {step.missed}"
        outcome = Outcome.FAILED if step.answer is Answer.VIOLATED else Outcome.INCONCLUSIVE
        return outcome, f"at {step.percent:g} % the steady state {_SAID[step.answer]}"
    if shift.stopped:
        return Outcome.INCONCLUSIVE, shift.stopped
    if len(shift.steps) < len(shift.percents):
        return Outcome.INCONCLUSIVE, "it ended before the last step"
    return Outcome.PASSED, ""
