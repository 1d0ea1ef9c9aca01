"""Can the expectations be seen at all? A mistake in a name would else cost a whole run."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.expectations.unaffected import UnaffectedExpectation
from chaos.guard.draft import Draft
from chaos.istio.hosts import host_of, service_fqdn, service_of
from chaos.model.situation import services_right
from chaos.values.questions import Durations, Requests
from chaos.values.remarks import Refusal


def observed_services_exist(draft: Draft) -> Iterator[Refusal]:
    """Services of the target's namespace that expectations count are there; those of other namespaces are not read."""
    there, home = draft.situation, draft.namespace
    known = sorted(one["metadata"]["name"] for one in there.services if one["metadata"]["namespace"] == home)
    if draft.experiment.target.service not in known or services_right(home) in there.unreadable:
        return  # another rule says so
    for one in (*draft.experiment.steady_state, *draft.experiment.guardrails):
        for question in one.questions(home):
            found = service_of(question.host) if isinstance(question, Requests | Durations) else None
            if found is not None and found[0] == home and found[1] not in known:
                yield Refusal(
                    rule="observed-not-found",
                    value=found[1],
                    message=f"{one.title}: there is no Service {found[1]!r} in namespace {home!r}, so nothing could be counted",
                    hint=f"Services there: {', '.join(known) or 'none'}; of another namespace, write namespace/name",
                )
                break


def target_is_affected(draft: Draft) -> Iterator[Refusal]:
    """Nobody expects that the target's answers stay as they were: the fault is in them."""
    target = draft.experiment.target
    host = service_fqdn(target.service, target.namespace)
    for one in draft.experiment.steady_state:
        if isinstance(one, UnaffectedExpectation) and any(host_of(s, target.namespace) == host for s in one.unaffected):
            yield Refusal(
                rule="target-is-affected",
                value=target.service,
                message=f"{one.title}: the target {target.service!r} can't be unaffected, since its callers get the fault in place of its answers",
                hint="name the services that shall not feel the fault",
            )
