"""Can the mesh show what is expected?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.istio.hosts import service_of
from chaos.model.scene import unshown
from chaos.model.situation import services_right
from chaos.values.questions import Durations, Requests
from chaos.values.remarks import Refusal


def expectations_can_be_shown(draft: Draft) -> Iterator[Refusal]:
    """Nothing is claimed that the mesh surely can't show; what it may not show is a warning."""
    yield from (one for one in unshown(draft.experiment, draft.situation) if isinstance(one, Refusal))


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
