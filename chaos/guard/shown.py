"""Can the mesh show what is expected?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.guard.draft import Draft
from chaos.guard.hosts import there_are
from chaos.istio.hosts import service_of, short
from chaos.model.scene import unshown
from chaos.model.situation import services_right
from chaos.values.remarks import Refusal

_SOME: Final = 20
"""Requests without a proxy's caller from which on they were no mere trial."""


def expectations_can_be_shown(draft: Draft) -> Iterator[Refusal]:
    """Nothing is expected that the mesh surely can't show; what it may not show is a warning."""
    yield from (one for one in unshown(draft.experiment, draft.situation) if isinstance(one, Refusal))


def observed_services_exist(draft: Draft) -> Iterator[Refusal]:
    """Services that expectations and guardrails count are there, in every namespace that may be read."""
    there, home = draft.situation, draft.namespace
    if draft.experiment.target.service not in there.names_in(home) or services_right(home) in there.unreadable:
        return  # another rule says so
    for title, host in _counted(draft):
        namespace, name = service_of(host) or ("", "")
        known = there.names_in(namespace)
        if namespace and namespace not in there.hidden and name not in known:
            elsewhere = "; of another namespace, write namespace/name" if namespace == home else ""
            yield Refusal(
                rule="observed-not-found",
                value=name,
                message=f"{title}: there is no Service {name!r} in namespace {namespace!r}, so nothing could be counted",
                hint=f"{there_are(known, name)}{elsewhere}",
            )


def observed_services_are_counted(draft: Draft) -> Iterator[Refusal]:
    """A service whose callers' proxies have to count has callers with a proxy."""
    for title, host in _counted(draft):
        requests = draft.situation.uncounted.get(host, 0)
        if requests >= _SOME:
            name = short(host, draft.namespace)
            yield Refusal(
                rule="observed-not-counted",
                value=name,
                message=f"{title}: the proxies of its callers count the requests to {name}, but in the last hour all {requests} requests "
                f"came from callers without a proxy",
                hint="let the load and the callers come through a proxy of the mesh (the ingress gateway, or a sidecar in the calling pods), "
                "and send one request that way, so that it is counted; or expect it of a service that is called through a proxy",
            )


def _counted(draft: Draft) -> Iterator[tuple[str, str]]:
    """The expectations' titles, each with a host whose callers' proxies have to count."""
    for one in draft.experiment.every:
        yield from ((one.title, host) for host in one.hosts(draft.experiment.target.namespace))
