"""A fault inside somebody else's VirtualService, and how it is taken out again. Pure.

A copy of each route in scope, with the fault, stands right before the original, which is never changed: first match wins,
so the copy shadows it. Taking the fault out is dropping the copies. That is exact where nobody else wrote, and where
somebody did it leaves all that is theirs; a fault that a route carried before lies in the original and comes back.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chaos.faults.matching import Block
from chaos.faults.routes import faulted
from chaos.istio.virtual_services import MESH, gateways_of
from chaos.model.experiment import Fault
from chaos.model.marks import EXPERIMENT_LABEL, EXPIRES, FILE, OWNER_LABEL, RUN_LABEL, TARGET, UNDO, route_name

Object = Mapping[str, Any]

_LABELS: Final = (RUN_LABEL, EXPERIMENT_LABEL, OWNER_LABEL)
_NOTES: Final = (EXPIRES, FILE, UNDO, TARGET)


def digest(spec: Mapping[str, Any]) -> str:
    """A spec's identity, whatever the order of its keys."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def for_sidecars(route: Mapping[str, Any]) -> dict[str, Any] | None:
    """The route as sidecars follow it, without gateways in its matches; ``None`` where it is for gateways only.

    Beside ``gateways``, istiod ignores source selectors (``route.go`` sourceMatchHTTP), so they go together.
    """
    mine = copy.deepcopy(dict(route))
    if not mine.get("match"):
        return mine
    blocks = [b for b in mine["match"] if not b.get("gateways") or MESH in b["gateways"]]
    if not blocks:
        return None
    mine["match"] = [_without_gateways(block) for block in blocks]
    if not all(mine["match"]):  # one asks for nothing any more, so all requests match; Istio rejects an empty one
        del mine["match"]
    return mine


def _without_gateways(block: Mapping[str, Any]) -> Block:
    dropped = ("gateways", "sourceLabels", "sourceNamespace") if block.get("gateways") else ("gateways",)
    return {key: value for key, value in block.items() if key not in dropped}


def put_in(
    vs: Object,
    fault: Fault,
    *,
    run: str,
    scope: Sequence[Block],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    since: str = "",
) -> dict[str, Any]:
    """The VirtualService with the fault and its undo record, to be written by the ``resourceVersion`` that it was read with.

    Bound to a gateway beside the mesh, the copies match requests of sidecars only.

    Raises:
        NotExpressible: a route's match and the scope can't be joined.
    """
    spec = vs["spec"]
    routes: list[dict[str, Any]] = []
    for route in spec.get("http") or ():
        seen = for_sidecars(route)
        made = faulted(seen, fault, name=route_name(run), scope=scope) if seen is not None else None
        if made is not None:
            if any(gateway != MESH for gateway in gateways_of(vs)):
                made["match"] = [{**block, "gateways": [MESH]} for block in made.get("match") or [{}]]
            routes.append(made)
        routes.append(copy.deepcopy(dict(route)))
    undo = json.dumps({"run": run, "since": since, "spec": digest(spec)})
    meta = copy.deepcopy(dict(vs["metadata"]))
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    meta["annotations"] = {**(meta.get("annotations") or {}), **annotations, UNDO: undo}
    return {**copy.deepcopy(dict(vs)), "metadata": meta, "spec": {**copy.deepcopy(dict(spec)), "http": routes}}


def undo_of(vs: Object) -> Mapping[str, str]:
    """The undo record that an object carries; empty where there is none that can be read."""
    try:
        found = json.loads((vs["metadata"].get("annotations") or {}).get(UNDO) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def carries(vs: Object, run: str) -> bool:
    """Whether an object has anything of a run: its routes, its label or its undo record."""
    routes = (vs.get("spec") or {}).get("http") or ()
    return (
        any(route.get("name") == route_name(run) for route in routes)
        or (vs["metadata"].get("labels") or {}).get(RUN_LABEL) == run
        or undo_of(vs).get("run") == run
    )


def taken_out(vs: Object, run: str) -> dict[str, Any]:
    """The live object without anything of a run; all that others wrote meanwhile stays.

    Where somebody removed every route but ours, these stay without the fault: Istio rejects an object without routes.
    """
    clean = copy.deepcopy(dict(vs))
    meta = clean["metadata"]
    if (meta.get("labels") or {}).get(RUN_LABEL) in (None, run) and undo_of(vs).get("run") in (None, run):
        _drop(meta, "labels", _LABELS)
        _drop(meta, "annotations", _NOTES)
    spec = clean.get("spec") or {}
    if spec.get("http"):
        kept = [route for route in spec["http"] if route.get("name") != route_name(run)]
        spec["http"] = kept or [
            {k: v for k, v in route.items() if k not in ("name", "fault")} for route in spec["http"]
        ]
    return clean


def _drop(meta: dict[str, Any], place: str, keys: Sequence[str]) -> None:
    if place in meta:
        meta[place] = {key: value for key, value in (meta[place] or {}).items() if key not in keys}
        if not meta[place]:
            del meta[place]


def is_as_before(before: Object, after: Object) -> bool:
    """Whether taking out brought back exactly the spec that was there when the fault was put in."""
    return undo_of(before).get("spec") == digest(after["spec"])
