"""Chooses how a fault gets into the mesh, and makes the object.

Sidecars do not merge VirtualServices of one host, and a private one beats a public one whatever their age (istiod
``SelectVirtualServices``). So a private copy in the callers' namespace takes effect there and nowhere else, the user's
own object is never touched, and undoing is deleting.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chaos.faults.matching import NotExpressible, scopes
from chaos.faults.routes import can_carry, inject
from chaos.model.experiment import Experiment
from chaos.model.istio import MESH, hosts_of, reach, resolve_host, service_fqdn
from chaos.model.marks import RUN_HEADER, RUN_LABEL, annotations_for, labels_for, object_name, route_name
from chaos.model.plan import Broken, Injection, Strategy
from chaos.model.situation import Object, Situation

API_VERSION = "networking.istio.io/v1"


def choose(
    experiment: Experiment, situation: Situation, *, run: str, expires: datetime, file: str = ""
) -> Injection | Broken:
    """The object to write for this experiment now, or why there is none that could take effect."""
    target = experiment.target
    host = service_fqdn(target.service, target.namespace)
    candidates = situation.governing(host, target.namespace)
    others = [vs for vs in candidates if not _is_ours(vs, run)]
    governing = others[0] if others else None
    strategy = Strategy.CREATE
    if governing is not None:
        broken = _unusable(governing, host, target.namespace)
        if broken is not None:
            return broken
        strategy = Strategy.OVERLAY
    routes = _base_routes(governing, host)
    if not any(can_carry(route) for route in routes):
        return _refuse(
            "no-route-to-fault", _name(governing), "no route of the governing VirtualService forwards requests"
        )
    header = (RUN_HEADER, run) if target.only_our_load else None
    try:
        injected = inject(
            routes,
            experiment.fault,
            name=route_name(run),
            scope=scopes(target.match, callers=target.callers, header=header),
        )
    except NotExpressible as error:
        return _refuse("match-not-expressible", str(error), "target.match can't be joined with the routes' own matches")
    if not any(route.get("name") == route_name(run) for route in injected):
        return _refuse(
            "match-matches-nothing", _name(governing), "no route of the governing VirtualService overlaps target.match"
        )
    after = {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": {
            "name": object_name(run, target.service),
            "namespace": target.namespace,
            "labels": labels_for(run=run, experiment=experiment.name, owner=experiment.owner),
            "annotations": annotations_for(expires=expires, file=file),
        },
        "spec": {"hosts": [host], "exportTo": ["."], "http": injected},
    }
    return Injection(
        strategy=strategy,
        namespace=target.namespace,
        name=object_name(run, target.service),
        before=dict(governing) if governing is not None else None,
        after=after,
        route_names=(route_name(run),),
    )


def _is_ours(vs: Object, run: str) -> bool:
    return bool((vs["metadata"].get("labels") or {}).get(RUN_LABEL) == run)


def _name(vs: Object | None) -> str:
    return "{namespace}/{name}".format(**vs["metadata"]) if vs is not None else "-"


def _refuse(rule: str, value: str, message: str, hint: str = "") -> Broken:
    return Broken(
        rule=rule, value=value, message=f"{message} ({value})", hint=hint or "see the documentation of strategies"
    )


def _unusable(vs: Object, host: str, namespace: str) -> Broken | None:
    """Why a copy of the governing VirtualService can't take effect or can't be made."""
    spec: Mapping[str, Any] = vs.get("spec", {})
    if RUN_LABEL in (vs["metadata"].get("labels") or {}):
        return _refuse(
            "already-injected",
            _name(vs),
            "another run's fault governs the host",
            "wait for its end, or remove it with `chaosctl sweep`",
        )
    if any("fault" in route for route in spec.get("http") or ()):
        return _refuse(
            "already-faulted",
            _name(vs),
            "the governing VirtualService already injects a fault that is not ours",
            "remove that fault first, so that the baseline is a baseline",
        )
    if host not in hosts_of(vs):
        return _refuse(
            "wildcard-host",
            _name(vs),
            "a wildcard VirtualService governs the host, which a copy would not shadow as a whole",
            "give the service a VirtualService of its own",
        )
    if reach(vs, namespace) == "private":
        return _refuse(
            "patch-not-available",
            _name(vs),
            "a private VirtualService governs the host; only patching it could take effect, which is not available yet",
            "export the VirtualService, or remove exportTo from it",
        )
    if any("delegate" in route for route in spec.get("http") or ()):
        return _refuse(
            "delegate", _name(vs), "the governing VirtualService delegates its routes, which can't be followed yet"
        )
    if not spec.get("http"):
        return _refuse(
            "not-http", _name(vs), "the governing VirtualService has no HTTP routes; faults exist only there"
        )
    return None


def _base_routes(governing: Object | None, host: str) -> Sequence[Mapping[str, Any]]:
    """The routes that sidecars follow now; those that are only for gateways are left out."""
    if governing is None:
        return [{"route": [{"destination": {"host": host}}]}]
    owner = governing["metadata"]["namespace"]
    kept = []
    for route in governing["spec"]["http"]:
        mine = copy.deepcopy(dict(route))
        if mine.get("match"):
            blocks = [b for b in mine["match"] if not b.get("gateways") or MESH in b["gateways"]]
            if not blocks:
                continue
            mine["match"] = [{k: v for k, v in b.items() if k != "gateways"} for b in blocks]
        _qualify(mine, owner)
        kept.append(mine)
    return kept


def _qualify(route: dict[str, Any], owner: str) -> None:
    """Short destination hosts belong to the namespace of the object that names them: the copy may live elsewhere."""
    mirrors = [route["mirror"]] if route.get("mirror") else []
    mirrors += [m["destination"] for m in route.get("mirrors") or () if m.get("destination")]
    for destination in (*(r["destination"] for r in route.get("route") or ()), *mirrors):
        destination["host"] = resolve_host(destination["host"], owner)
