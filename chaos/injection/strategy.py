"""Chooses how a fault gets into the mesh, and makes the object.

Sidecars do not merge VirtualServices of one host, and a private one beats a public one whatever their age (istiod
``SelectVirtualServices``). So a private copy in the callers' namespace takes effect there and nowhere else, the user's
own object is never touched, and undoing is deleting. Only where a private one is there already, which nothing beats,
the fault is put into it (``chaos.injection.patching``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chaos.faults.fault import Fault
from chaos.injection.effect import governing_of, known_callers, name_of, refuse, why_not
from chaos.injection.matching import Block, NotExpressible, scopes
from chaos.injection.patching import for_sidecars, put_in, undo_of, without_fault
from chaos.injection.routes import can_carry, inject
from chaos.istio.exports import Object, reach
from chaos.istio.hosts import resolve_host, service_fqdn
from chaos.istio.virtual_services import MESH, delegates_of, destinations_of, gateways_of, hosts_of, written_hosts_of
from chaos.model.experiment import Experiment
from chaos.model.marks import RUN_HEADER, RUN_LABEL, annotations_for, labels_for, own_name
from chaos.model.plan import Change, Injection, Strategy
from chaos.model.situation import Situation
from chaos.values.remarks import Refusal

API_VERSION = "networking.istio.io/v1"


def choose(
    experiment: Experiment, situation: Situation, *, run: str, expires: datetime, file: str = "", since: str = ""
) -> Injection | Refusal:
    """The object to write for this experiment now, or why there is none that could take effect.

    ``expires`` says when the fault is void in any case, ``since`` (RFC 3339) tells those who find it when it was written.
    """
    target = experiment.target
    host = service_fqdn(target.service, target.namespace)
    situation = without(situation, run)
    governing = governing_of(experiment, situation)
    if isinstance(governing, Refusal):
        return governing
    strategy = Strategy.CREATE
    if governing is not None:
        private = reach(governing, target.namespace, default=situation.default_export) == "private"
        strategy = Strategy.PATCH if private else Strategy.OVERLAY
    refusal = _unusable(governing, strategy, experiment)
    if refusal is not None:
        return refusal
    labels = labels_for(run=run, experiment=experiment.name, owner=experiment.owner)
    notes = annotations_for(expires=expires, file=file, target=_target(experiment, situation))
    scope = scopes(target.match, callers=target.callers, header=(RUN_HEADER, run) if target.only_our_load else None)

    def written(fault: Fault, name: str) -> dict[str, Any]:
        if strategy is Strategy.PATCH and governing is not None:
            return put_in(
                governing, fault, run=run, name=name, scope=scope, labels=labels, annotations=notes, since=since
            )
        spec = _spec(governing, host, fault, name=name, scope=scope)
        meta = {"name": own_name(run, target.service), "namespace": target.namespace}
        return {
            "apiVersion": API_VERSION,
            "kind": "VirtualService",
            "metadata": {**meta, "labels": labels, "annotations": notes},
            "spec": spec,
        }

    fault = experiment.fault
    names = [own_name(run, target.service, stage=number) for number in range(1, len(fault.steps) + 1)]
    try:
        after, *later = map(written, fault.steps, names)
    except NotExpressible as error:
        return refuse(
            "match-not-expressible",
            str(error),
            "target.match can't be combined with the routes' own matches",
            "simplify target.match, or leave it out",
        )
    faulted = [route for route in after["spec"]["http"] if route.get("name") == names[0]]
    if not faulted:
        return refuse(
            "match-matches-nothing",
            name_of(governing),
            "no route of the governing VirtualService overlaps target.match",
            "compare target.match with its routes: kubectl get virtualservice NAME -o yaml",
        )
    return why_not(after, faulted, governing, experiment, situation) or Injection(
        target=target,
        fault=fault,
        callers=known_callers(experiment, situation),
        strategy=strategy,
        namespace=target.namespace,
        name=after["metadata"]["name"],
        before=dict(governing) if governing is not None else None,
        after=after,
        route_name=names[0],
        changes=tuple(Change(spec=one["spec"], route_name=name) for one, name in zip(later, names[1:], strict=True)),
    )


def _spec(governing: Object | None, host: str, fault: Fault, *, name: str, scope: Sequence[Block]) -> dict[str, Any]:
    """The spec of an object of our own, which routes as the governing one does, plus the fault: private to its namespace."""
    routes = inject(_base_routes(governing, host), fault, name=name, scope=scope)
    return {"hosts": [host], "exportTo": ["."], "http": routes}


def without(situation: Situation, run: str) -> Situation:
    """The situation as it would be without a run's fault: its objects gone, and its part out of others'."""
    kept: list[Object] = []
    for vs in situation.virtual_services:
        if undo_of(vs).get("run") == run:
            kept.append(without_fault(vs, run))
        elif (vs["metadata"].get("labels") or {}).get(RUN_LABEL) != run:
            kept.append(vs)
    return replace(situation, virtual_services=kept)


def _target(experiment: Experiment, situation: Situation) -> tuple[str, str]:
    """Name and UID of the Service that is hit."""
    target = experiment.target
    service = situation.service(target.namespace, target.service) or {"metadata": {}}
    return target.service, str(service["metadata"].get("uid", ""))


def _unusable(vs: Object | None, strategy: Strategy, experiment: Experiment) -> Refusal | None:
    """Why the governing VirtualService is no base for what would be written."""
    if vs is None:
        return None
    host = service_fqdn(experiment.target.service, experiment.target.namespace)
    return (
        _ungovernable(vs, host)
        or (_unpatchable(vs, host, callers=experiment.target.callers) if strategy is Strategy.PATCH else None)
        or _without_route(vs, host)
    )


def _ungovernable(vs: Object, host: str) -> Refusal | None:
    """Why neither a copy of the governing VirtualService nor a change of it could take effect."""
    if RUN_LABEL in (vs["metadata"].get("labels") or {}) or undo_of(vs):
        return refuse(
            "already-injected",
            name_of(vs),
            "the governing VirtualService has the fault of another run, which lasts or was left, or fields that it has not given back yet",
            "wait until that run ends, or sweep: chaosctl sweep",
        )
    if host not in hosts_of(vs):
        return refuse(
            "wildcard-host",
            name_of(vs),
            "a VirtualService with a wildcard host governs, and a copy could not replace it for all of its hosts",
            "give the service a VirtualService of its own",
        )
    if host not in written_hosts_of(vs):
        return refuse(
            "host-in-upper-case",
            name_of(vs),
            "a VirtualService has upper-case letters in the host, so it governs from Istio 1.30 on, but not before",
            "write the host in lower case",
        )
    delegates = [f"{namespace}/{name}" for namespace, name in delegates_of(vs)]
    if delegates:
        return refuse(
            "delegate",
            ", ".join(delegates),
            f"the governing VirtualService {name_of(vs)} delegates its routes, and a copy would not change with them",
            "give the target a VirtualService with routes of its own",
        )
    return None


def _unpatchable(vs: Object, host: str, *, callers: Mapping[str, str]) -> Refusal | None:
    """Why the fault can't be put into a private VirtualService without hitting more than was declared."""
    others = sorted(set(hosts_of(vs)) - {host})
    if others:
        return refuse(
            "several-hosts",
            ", ".join(others),
            f"the private VirtualService {name_of(vs)} governs other hosts too, which the fault would hit",
            "give the target a VirtualService of its own, or export this one, so that a copy can take effect",
        )
    blocks = [block for route in vs["spec"].get("http") or () for block in route.get("match") or ()]
    bound = any(gateway != MESH for gateway in gateways_of(vs))
    if bound and (callers or any(block.get("sourceLabels") or block.get("sourceNamespace") for block in blocks)):
        return refuse(
            "gateway-and-source",
            name_of(vs),
            "the VirtualService is bound to a gateway and to the mesh: to keep the fault away from the gateway, its matches would "
            "need gateways, and in a match with gateways Istio ignores sourceLabels and sourceNamespace",
            "split it into one VirtualService for the gateway and one for the mesh",
        )
    return None


def _without_route(vs: Object, host: str) -> Refusal | None:
    if any(can_carry(route) for route in _base_routes(vs, host)):
        return None
    return refuse(
        "no-route-to-fault",
        name_of(vs),
        "no route of the governing VirtualService forwards requests",
        "give that VirtualService a route that forwards requests (`route`)",
    )


def _base_routes(governing: Object | None, host: str) -> Sequence[Mapping[str, Any]]:
    """The routes that sidecars follow now; those that are only for gateways are left out."""
    if governing is None:
        return [{"route": [{"destination": {"host": host}}]}]
    owner = governing["metadata"]["namespace"]
    kept = [mine for route in governing["spec"]["http"] if (mine := for_sidecars(route)) is not None]
    for mine in kept:
        _qualify(mine, owner)
    return kept


def _qualify(route: dict[str, Any], owner: str) -> None:
    """Short destination hosts belong to the namespace of the object that names them: the copy may live elsewhere."""
    for destination in destinations_of(route):
        destination["host"] = resolve_host(destination["host"], owner)
