"""Which requests are hit: the load's, or those of others who call the target, too?"""

from __future__ import annotations

from math import sqrt
from typing import Final

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind
from chaos.judge.facts import Facts
from chaos.judge.proof import is_declared, sent
from chaos.model.experiment import Experiment
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.values.questions import Requests

_SURE: Final = 3.0
"""Standard deviations of a count."""


def must_listen(experiment: Experiment) -> bool:
    """Whether faults of others' requests could pass for the load's.

    That is, where nothing tells them apart, and who calls is not declared, or an expectation is about the load alone, and holds where the fault does not hit it. Where
    expectations take everybody's requests for the load's, it matters who calls in any case.
    """
    if any(one.counts_everybody for one in experiment.steady_state):
        return True
    alone = any(one.counted_by_load and one.has_to_rise is None for one in experiment.steady_state)
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
    most = (others + _SURE * sqrt(others)) * _seconds(facts, after) / _seconds(facts, before)
    return max(0.0, 1 - (most + _SURE * sqrt(every)) / every)


def calls_per_second(facts: Facts, injection: Injection, window: Window) -> float:
    """Calls of a target by declared callers."""
    return _calls(facts, injection, window) / _seconds(facts, window)


def rates_of_others(facts: Facts, one: Kind) -> tuple[float, float]:
    """Requests per second that an expectation counts: before the load began there surely were so many, and with it; zeros where nobody listened."""
    before, after = listened(facts), facts.baseline
    if before is None or after is None:
        return 0.0, 0.0
    namespace = facts.namespace
    evidence = one.its_part(facts.evidence, namespace)
    asked = next(question for question in one.questions(namespace) if isinstance(question, Requests))
    then, since = (sum(found.events for _, found in evidence.counted(asked, window)) for window in (before, after))
    # A single request, such as the one by which the entry was looked at, is no habit of others.
    return max(0.0, then - _SURE * sqrt(then)) / _seconds(facts, before), since / _seconds(facts, after)


def _seconds(facts: Facts, window: Window) -> float:
    """What a window counts lies between its first sample and its last one."""
    interval = facts.environment.scrape_interval
    return max(interval, window.end - window.start - interval)


def _calls(facts: Facts, injection: Injection, window: Window) -> int:
    return sum(n for caller, n in sent(facts, injection.requests, window).items() if is_declared(injection, caller))
