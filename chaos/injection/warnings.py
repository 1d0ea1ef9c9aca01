"""What an experiment can't show although its reader may think so."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.injection.delays import delays_unseen
from chaos.injection.effect import callers_of
from chaos.istio.destinations import leading_to
from chaos.istio.hosts import host_matches, other_names, resolve_host, short
from chaos.istio.virtual_services import MESH, gateways_of, hosts_of, http_routes, same, sent_to, title
from chaos.model.audience import audience_of
from chaos.model.experiment import Experiment
from chaos.model.plan import Injection, Strategy
from chaos.model.scene import unshown
from chaos.model.situation import Situation
from chaos.values.remarks import Warn


def warnings(experiment: Experiment, situation: Situation, injection: Injection, *, host: str) -> Iterator[Warn]:
    """Everything that the plan's reader should know."""
    yield from _policies_of_the_hop(experiment, situation, injection, host)
    yield from _gateways(situation, host)
    yield from _callers(experiment, situation, injection)
    yield from _names(experiment, situation, injection, host)
    yield from _splits(experiment, situation, host)
    yield from delays_unseen(experiment, situation)
    yield from (one for one in unshown(experiment, situation) if isinstance(one, Warn))
    if injection.strategy is Strategy.OVERLAY and injection.before is not None:
        meta = injection.before["metadata"]
        yield Warn(
            code="base-shadowed",
            message=f"during the run, changes of {meta['namespace']}/{meta['name']} have no effect on callers in "
            f"{injection.namespace}: a private copy governs",
        )
    if situation.writable_outside:
        where = "every namespace" if "*" in situation.writable_outside else ", ".join(situation.writable_outside)
        yield Warn(
            code="credentials-too-wide",
            message=f"the identity in use may write VirtualServices outside the allowed namespaces ({where}): a Role in "
            "each staging namespace is enough (chaosctl manifests rbac)",
        )
    if injection.strategy is Strategy.PATCH:
        yield Warn(
            code="patched",
            message=f"{injection.place} is private, so the run inserts the fault into it, and restores it afterwards",
        )
    if any("fault" in route for route in (injection.before or {}).get("spec", {}).get("http") or ()):
        yield Warn(
            code="already-faulted",
            message="the governing VirtualService already has a fault of its own: the injected object replaces it during "
            "the run, and afterwards it acts again; if it hits a request in the baseline, the run injects nothing",
        )
    if experiment.target.only_our_load:
        yield Warn(
            code="header-must-be-forwarded",
            message="onlyOurLoad: every application up to the target must forward x-chaos-run",
        )


def _policies_of_the_hop(
    experiment: Experiment, situation: Situation, injection: Injection, host: str
) -> Iterator[Warn]:
    """The fault is decided before the router (Envoy's filter order), so the hop's own policies never see it."""
    places = list(injection.after["spec"].get("http") or ())
    spec = (situation.rule_for(host, injection.namespace) or {}).get("spec", {})
    places += [one.get("trafficPolicy") or {} for one in (spec, *(spec.get("subsets") or ()))]
    unseen = frozenset.intersection(*(kind.unseen_by for kind in experiment.kinds))
    found = {key for place in places for key in unseen if place.get(key)}
    if found:
        names = ", ".join(sorted(found))
        yield Warn(
            code="hop-policies-not-tested",
            message=f"{names} of {host} will not see the injected fault, because the caller's proxy injects it before its "
            "router: the run tests the callers' own code; to test these policies, inject a fault into a service that the target calls",
        )


def _gateways(situation: Situation, host: str) -> Iterator[Warn]:
    for vs in situation.virtual_services:
        bound = [g for g in gateways_of(vs) if g != MESH]
        home = vs["metadata"]["namespace"]
        routed = any(resolve_host(one["host"], home) == host for route in http_routes(vs) for one in sent_to(route))
        if bound and routed and not any(host_matches(pattern, host) for pattern in hosts_of(vs)):
            yield Warn(
                code="gateway-not-hit",
                message=f"requests that enter through {', '.join(bound)} do not feel the fault: "
                "a VirtualService of the mesh does not apply at a gateway",
            )
            return


def _names(experiment: Experiment, situation: Situation, injection: Injection, host: str) -> Iterator[Warn]:
    """A host with a dot, such as ``inventory.staging``, is a name of the target that another VirtualService may have."""
    then = situation.with_(injection.after)
    missed = sorted(
        {
            name
            for caller in callers_of(experiment, situation)
            for port in situation.ports_of(host)
            for name in other_names(host, caller.namespace)
            if (found := then.mesh.virtual_host(name, caller.namespace, caller.labels, port)) is not None
            and (found.governor is None or not same(found.governor, injection.after))
        }
    )
    if missed:
        yield Warn(
            code="names-not-hit",
            message=f"requests to {', '.join(missed)} do not feel the fault, because another VirtualService governs that name; "
            "call the target by its short name or its full name",
        )


def _splits(experiment: Experiment, situation: Situation, host: str) -> Iterator[Warn]:
    """What is expected of one part of a split says nothing of the others, and what has a part's name alone hits only that."""
    namespace = experiment.target.namespace
    counted = {found for claimed in experiment.claimed for found in situation.destinations(claimed)}
    for claimed in experiment.claimed:
        for vs, parts in leading_to(claimed, situation.virtual_services):
            name, missed = short(claimed, namespace), [short(one, namespace) for one in parts if one not in counted]
            if missed:
                yield Warn(
                    code="split-not-claimed",
                    message=f"the VirtualService {title(vs)} splits requests over {name} and {', '.join(missed)}: what is expected of "
                    f"{name} is not counted at {', '.join(missed)}; expect it of these, too, or of the Service that is called",
                )
    for vs, _ in leading_to(host, situation.virtual_services):
        if MESH in gateways_of(vs):
            names = ", ".join(short(one, namespace) for one in hosts_of(vs))
            yield Warn(
                code="called-by-another-name",
                message=f"requests to {names} that {title(vs)} routes to {short(host, namespace)} do not feel the fault, although they are "
                f"counted there: callers who ask for {names} follow {title(vs)}; to hit them, choose {names} as the target",
            )
            return


def _callers(experiment: Experiment, situation: Situation, injection: Injection) -> Iterator[Warn]:
    wanted = experiment.target.callers
    namespace = experiment.target.namespace
    bare = [w.name for w in situation.workloads if w.bare and wanted and wanted.items() <= w.labels.items()]
    if bare:
        yield Warn(code="callers-without-proxy", message=f"pods without a sidecar feel no fault: {', '.join(bare)}")
    elsewhere = sorted({f"{ns}/{workload}" for ns, workload in situation.calling if ns != namespace})
    if elsewhere:
        yield Warn(
            code="callers-elsewhere",
            message=f"{', '.join(elsewhere)} call the target too, but do not feel the fault: it is private to {namespace}",
        )
    hidden = [w.name for w in audience_of(injection.after, situation).hidden if wanted.items() <= w.labels.items()]
    if hidden:
        yield Warn(
            code="hidden-from-some",
            message=f"the Sidecar of {', '.join(hidden)} does not import the target or the object: these callers do not feel the fault",
        )
    doors = {(w.namespace, w.name) for w in situation.workloads if w.gateway}
    through = sorted(f"{ns}/{name}" for ns, name in set(situation.calling) & doors)
    if through:
        yield Warn(
            code="gateway-not-hit",
            message=f"{', '.join(through)} is a gateway: requests that enter through it do not feel the fault",
        )
    if not situation.calling:
        yield Warn(code="no-calls-yet", message="the metrics show no call to the target yet; the baseline decides")
