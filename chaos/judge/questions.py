"""What a run must ask the metrics and the load's answers so that it can be judged."""

from __future__ import annotations

from chaos.model.plan import Plan
from chaos.values.content import Marker
from chaos.values.questions import Durations, Edges, End, Question, Requests, Side


def needed(plan: Plan) -> tuple[Question, ...]:
    """Every question on which decisions rest, once: who calls the targets, and what the expectations count."""
    experiment = plan.experiment
    found: list[Question] = []
    for injection in plan.injections:
        found += [injection.requests, injection.arrivals]
    for one in (*experiment.steady_state, *experiment.guardrails):
        found += one.questions(experiment.target.namespace)
    return tuple(dict.fromkeys(found))


def aside(plan: Plan) -> tuple[Question, ...]:
    """What no decision waits for: what else may change, and what the proxies of the observed services count themselves."""
    known = needed(plan)
    hosts = dict.fromkeys(one.host for one in known if isinstance(one, Requests | Durations))
    found: list[Question] = [Requests(host=host, side=Side.CALLED) for host in hosts]
    found += [Edges(namespace=plan.experiment.target.namespace, end=end) for end in End]
    return tuple(one for one in found if one not in known)


def looked_for(plan: Plan) -> tuple[Marker, ...]:
    """Every marker by which an expectation recognises answers, once."""
    experiment = plan.experiment
    declared = (*experiment.steady_state, *experiment.guardrails)
    return tuple({str(marker): marker for one in declared for marker in one.markers()}.values())
