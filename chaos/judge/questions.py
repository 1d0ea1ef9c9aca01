"""What a run must ask the metrics and the load's answers so that it can be judged."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.istio.hosts import service_of
from chaos.model.plan import Plan
from chaos.values.content import Marker
from chaos.values.questions import Durations, Edges, End, Question, Requests, Side


def needed(plan: Plan) -> tuple[Question, ...]:
    """Every question on which decisions rest, once: who calls the targets, and what the expectations count."""
    experiment = plan.experiment
    found: list[Question] = []
    for injection in plan.injections:
        found += [injection.requests, injection.arrivals]
    for one in experiment.every:
        found += one.questions(experiment.target.namespace)
    return tuple(dict.fromkeys(found))


def both_sides(plan: Plan) -> Iterator[tuple[Requests, Requests]]:
    """For each service that the callers' proxies count: the requests by these proxies, and by the service's own."""
    asked = (one for one in needed(plan) if isinstance(one, Requests | Durations) and one.side is Side.CALLERS)
    for host in dict.fromkeys(one.host for one in asked):
        yield Requests(host=host), Requests(host=host, side=Side.CALLED)


def watched(plan: Plan) -> tuple[str, ...]:
    """The namespaces of which all requests are recorded: those of the targets, and of what is expected."""
    claimed = (home[0] for host in plan.experiment.claimed if (home := service_of(host)) is not None)
    return tuple(dict.fromkeys((*plan.namespaces, *claimed)))


def edges_of(plan: Plan) -> tuple[Edges, ...]:
    """All requests of, and towards, these namespaces."""
    return tuple(Edges(namespace=namespace, end=end) for namespace in watched(plan) for end in End)


def aside(plan: Plan) -> tuple[Question, ...]:
    """What no decision waits for: whether all proxies are scraped, who calls whom, and what else may change."""
    found: list[Question] = [one for pair in both_sides(plan) for one in pair]
    found += edges_of(plan)
    known = needed(plan)
    return tuple(one for one in found if one not in known)


def looked_for(plan: Plan) -> tuple[Marker, ...]:
    """Every marker by which an expectation recognises answers, once."""
    return tuple({str(marker): marker for one in plan.experiment.every for marker in one.markers()}.values())
