"""Whose requests are faulted: the load's, or those of others who call the target too?"""

from __future__ import annotations

from math import sqrt
from typing import Final

from chaos.expectations import ClientExpectation
from chaos.expectations.evidence import Window
from chaos.istio.metrics import caller_of
from chaos.judge.facts import Facts
from chaos.judge.proof import counted, is_declared
from chaos.model.experiment import Experiment
from chaos.model.history import Mark
from chaos.model.plan import Injection

_SURE: Final = 3.0
"""Standard deviations of a count."""


def must_listen(experiment: Experiment) -> bool:
    """Whether faults of others' requests could pass for the load's.

    That is, where nothing tells them apart, and who calls is not declared, or an expectation is about the load alone.
    """
    alone = any(isinstance(one, ClientExpectation) for one in experiment.steady_state)
    targets = [one.target for one in experiment.each()]
    return any(not target.only_our_load and (alone or not target.callers) for target in targets)


def counted_until(facts: Facts, now: float) -> float:
    """The moment up to which the calls of the targets are counted; samples may come late. Now, where none is known."""
    newest = [facts.evidence.last_scrape(one.requests) for one in facts.plan.injections]
    return min([now, *(at for at in newest if at > float("-inf"))])


def called_since(facts: Facts, start: float) -> int:
    """Calls of the targets by declared callers since a moment."""
    return sum(_calls(facts, one, Window(start, float("inf"))) for one in facts.plan.injections)


def listened(facts: Facts) -> Window | None:
    """When the calls of others were counted, before the load; ``None`` where there was no need."""
    start, end = facts.marks.get(Mark.LISTENED_FROM), facts.marks.get(Mark.LOAD_STARTED)
    return None if start is None or end is None else Window(start, end)


def share_of_load(facts: Facts, injection: Injection, before: Window) -> float:
    """The share of a target's calls in the baseline that are surely for the load's sake, by those of the time before it."""
    after = facts.baseline
    if after is None:
        return 1.0
    others, every = _calls(facts, injection, before), _calls(facts, injection, after)
    if not others or not every:
        return 1.0
    # What a window counts lies between its first sample and its last one.
    seconds = [
        max(facts.environment.scrape_interval, w.end - w.start - facts.environment.scrape_interval)
        for w in (before, after)
    ]
    most = (others + _SURE * sqrt(others)) * seconds[1] / seconds[0]
    return max(0.0, 1 - (most + _SURE * sqrt(every)) / every)


def _calls(facts: Facts, injection: Injection, window: Window) -> int:
    return sum(
        events
        for one, events in counted(facts, injection, window.start, window.end)
        if is_declared(injection, caller_of(one.labels))
    )
