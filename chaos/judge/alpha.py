"""How alpha, the chance of a wrong verdict that the experiment's confidence leaves, is shared among the decisions."""

from __future__ import annotations

from typing import Final

from chaos.model.experiment import Experiment

_PHASES: Final = 3
_GUARDRAILS: Final = 0.1
"""Share of alpha that goes to the guardrails."""


def share_of_confidence(experiment: Experiment) -> float:
    """The confidence of one decision, so that all of a verdict together are wrong at most as often as declared.

    Alpha is shared equally (Bonferroni) among the expectations in each of three phases and the kinds of fault to be proven,
    after a tenth of it has gone to the guardrails: see :func:`confidence_of_guardrail`.
    """
    by_chance = sum(one.decides_by_chance for one in experiment.steady_state)
    part = 1 - _GUARDRAILS if experiment.guardrails else 1.0
    return 1 - (1 - experiment.confidence) * part / (by_chance * _PHASES + len(experiment.kinds))


def confidence_of_guardrail(experiment: Experiment) -> float:
    """The confidence with which one guardrail is decided; their bounds are far away, so a small share serves them."""
    return 1 - (1 - experiment.confidence) * _GUARDRAILS / max(1, len(experiment.guardrails))


def longest_delay(experiment: Experiment) -> float:
    """Seconds by which a faulted request may be counted later than others that came with it."""
    return max(fault.held for fault in experiment.faults).total_seconds()
