"""What a run must ask the metrics and the load's answers so that it can be judged."""

from __future__ import annotations

from chaos.model.plan import Plan
from chaos.values.content import Marker
from chaos.values.questions import Edges, End, Question


def needed(plan: Plan) -> tuple[Question, ...]:
    """Every question, once: who calls the targets, what its expectations count, and what else may change."""
    experiment = plan.experiment
    found: list[Question] = []
    for injection in plan.injections:
        found += [injection.requests, injection.arrivals]
    for one in (*experiment.steady_state, *experiment.guardrails):
        found += one.questions(experiment.target.namespace)
    found += [Edges(namespace=experiment.target.namespace, end=end) for end in End]
    return tuple(dict.fromkeys(found))


def looked_for(plan: Plan) -> tuple[Marker, ...]:
    """Every marker by which an expectation recognises answers, once."""
    experiment = plan.experiment
    declared = (*experiment.steady_state, *experiment.guardrails)
    return tuple({str(marker): marker for one in declared for marker in one.markers()}.values())
