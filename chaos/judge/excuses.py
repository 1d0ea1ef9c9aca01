"""Violations that the system did not cause: the load generator was not well, or others called or injected faults, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chaos.judge.facts import Facts
from chaos.judge.foreign import broken_by_others
from chaos.judge.others import others_since
from chaos.model.verdict import Reason, RemovalResult
from chaos.values.answers import ExpectationResult


def excuses(
    facts: Facts, results: Iterable[ExpectationResult], removed: RemovalResult | None, now: float, *, starved: bool
) -> Mapping[str, Reason | None]:
    """The expectations and guardrails of which a violation says nothing against the system, by their titles, with the reason of those that have one of their own.

    A load generator that was not well itself says nothing by its counts or by rates that follow its own; nor does the lab, whose
    shop runs beside it.
    """
    kinds = (*facts.experiment.steady_state, *facts.experiment.guardrails)
    by_load = [one.title for one in kinds if facts.environment.lab or one.counted_by_load or one.follows_load]
    return {
        **dict.fromkeys(by_load if starved else ()),
        **others_since(facts, now, removed),
        **broken_by_others(facts, results, now),
    }
