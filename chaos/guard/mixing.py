"""Does anything else decide where the target's requests go, or could that not be read?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.istio.gateway_api import routes_service, waypoint_of
from chaos.istio.hosts import CLUSTER_DOMAIN
from chaos.istio.virtual_services import title
from chaos.values.remarks import Refusal


def everything_was_read(draft: Draft) -> Iterator[Refusal]:
    """Everything that decides who is hit could be read: an object that can't be read may exist."""
    for right in draft.situation.unreadable:
        yield Refusal(
            rule="not-readable",
            value=right,
            message=f"the identity in use may not {right}, so the plan can't know whom the fault would hit",
            hint="grant it this right: chaosctl manifests rbac prints all that are needed",
        )


def one_domain_is_known(draft: Draft) -> Iterator[Refusal]:
    """The mesh has the DNS domain that the rules assume: with another one they would compare names that do not exist."""
    domains = {domain for one in draft.situation.workloads for domain in one.domains} - {CLUSTER_DOMAIN}
    for domain in sorted(domains):
        yield Refusal(
            rule="cluster-domain",
            value=domain,
            message=f"the proxies of {draft.namespace!r} were started for the DNS domain {domain!r}; the staging rules "
            f"support {CLUSTER_DOMAIN} only",
            hint=f"run it on a mesh with the domain {CLUSTER_DOMAIN} (global.proxy.clusterDomain)",
        )


def revisions_agree(draft: Draft) -> Iterator[Refusal]:
    """The control planes that configure the namespace have the same default for a VirtualService's ``exportTo``."""
    defaults = draft.situation.default_exports
    if len(set(defaults.values())) > 1:
        revisions = ", ".join(sorted(defaults))
        yield Refusal(
            rule="revisions-differ",
            value=revisions,
            message=f"the proxies of {draft.namespace!r} follow the revisions {revisions}, which differ in their default of "
            "exportTo, so whom the fault would hit depends on the proxy",
            hint="restart the pods that still follow the old revision, or set the same defaultVirtualServiceExportTo for all",
        )


def no_waypoint(draft: Draft) -> Iterator[Refusal]:
    """A waypoint serves the callers of all namespaces, and ignores exportTo and, before 1.25, source selectors."""
    situation, name = draft.situation, draft.experiment.target.service
    waypoint = waypoint_of(situation.service(draft.namespace, name), situation.namespaces.get(draft.namespace))
    if waypoint:
        yield Refusal(
            rule="waypoint",
            value=waypoint,
            message=f"requests to the target go through the waypoint {waypoint!r}, where the fault would hit every caller",
            hint="label the Service istio.io/use-waypoint=none for the run, or choose a target without a waypoint",
        )


def no_http_route(draft: Draft) -> Iterator[Refusal]:
    """No HTTPRoute or GRPCRoute of the Gateway API is for the target: how it combines with a VirtualService is undefined."""
    target = draft.experiment.target
    for route in draft.situation.http_routes:
        if routes_service(route, target.service, target.namespace):
            kind = route.get("kind", "HTTPRoute")
            yield Refusal(
                rule="http-route",
                value=title(route),
                message=f"the {kind} {title(route)} routes the target's requests, and Istio does not "
                "define how it combines with a VirtualService",
                hint=f"choose a target without {kind}s, or delete that one for the run",
            )
