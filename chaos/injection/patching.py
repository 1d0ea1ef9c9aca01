"""A fault inside somebody else's VirtualService, and how it is restored. Pure.

A copy of each route in scope, with the fault, stands right before the original, which is never changed: first match wins,
so the copy takes precedence over it. To restore is to drop the copies. That is exact if nobody else wrote, and if
somebody did, it keeps all that is theirs; a fault that a route carried before lies in the original and comes back.

It takes two writes: the first takes the fault out and leaves the undo record, the second gives the fields back to their
owners and drops the record. So whoever comes after a crash between the two finds what is left to do.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chaos.faults.fault import Fault, without_faults
from chaos.injection.matching import Block
from chaos.injection.ownership import can_be_kept, given_back, others, owners_of, still_owns
from chaos.injection.routes import faulted
from chaos.istio.virtual_services import MESH, gateways_of, ignored_selectors, is_for_sidecars
from chaos.model.marks import ALPHABET, EXPERIMENT_LABEL, EXPIRES, FILE, OWNER_LABEL, RUN_LABEL, TARGET, UNDO, prefix_of

Object = Mapping[str, Any]

_LABELS: Final = (RUN_LABEL, EXPERIMENT_LABEL, OWNER_LABEL)
_NOTES: Final = (EXPIRES, FILE, UNDO, TARGET)
_ROUTE: Final = re.compile(prefix_of(f"[{ALPHABET}]{{8}}"))
LARGEST: Final = 256 * 1024
"""Bytes that the annotations of an object may have together (apimachinery ``api/validation/objectmeta.go``)."""


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
    blocks = [block for block in mine["match"] if is_for_sidecars(block)]
    if not blocks:
        return None
    mine["match"] = [_without_gateways(block) for block in blocks]
    if not all(mine["match"]):  # one asks for nothing any more, so all requests match; Istio rejects an empty one
        del mine["match"]
    return mine


def _without_gateways(block: Mapping[str, Any]) -> Block:
    dropped = ("gateways", *ignored_selectors(block))
    return {key: value for key, value in block.items() if key not in dropped}


def put_in(
    vs: Object,
    fault: Fault,
    *,
    run: str,
    name: str,
    scope: Sequence[Block],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    since: str = "",
) -> dict[str, Any]:
    """The VirtualService with the fault and its undo record, to be written by the ``resourceVersion`` that it was read with.

    The copies have the ``name``, which is a run's. Bound to a gateway beside the mesh, they match requests of sidecars only.

    Raises:
        NotExpressible: a route's match and the scope can't be joined.
    """
    spec = vs["spec"]
    routes: list[dict[str, Any]] = []
    for route in spec.get("http") or ():
        seen = for_sidecars(route)
        made = faulted(seen, fault, name=name, scope=scope) if seen is not None else None
        if made is not None:
            if any(gateway != MESH for gateway in gateways_of(vs)):
                made["match"] = [{**block, "gateways": [MESH]} for block in made.get("match") or [{}]]
            routes.append(made)
        routes.append(copy.deepcopy(dict(route)))
    meta = copy.deepcopy(dict(vs["metadata"]))
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    record = {"run": run, "since": since, "spec": digest(spec)}
    if not _record(meta, {**record, "owners": others(owners_of(vs))}):
        meta["annotations"][UNDO] = json.dumps(record)
    return {**copy.deepcopy(dict(vs)), "metadata": meta, "spec": {**copy.deepcopy(dict(spec)), "http": routes}}


def _record(meta: dict[str, Any], record: Mapping[str, Any]) -> bool:
    """Writes the undo record, unless there is no room for it."""
    notes = {**(meta.get("annotations") or {}), UNDO: json.dumps(record, separators=(",", ":"), ensure_ascii=False)}
    fits = sum(len(key.encode()) + len(str(value).encode()) for key, value in notes.items()) <= LARGEST
    if fits:
        meta["annotations"] = notes
    return fits


def undo_of(vs: Object) -> Mapping[str, Any]:
    """The undo record that an object carries; empty where there is none that can be read."""
    try:
        found = json.loads((vs["metadata"].get("annotations") or {}).get(UNDO) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def kept_owners(vs: Object) -> list[Any] | None:
    """Who owned which field, as the undo record has it; ``None`` where it is lost."""
    owners = undo_of(vs).get("owners")
    return owners if can_be_kept(owners) else None


def is_of_run(route: Mapping[str, Any], run: str) -> bool:
    """Whether a route is one that a run put in, by its name."""
    return str(route.get("name", "")).startswith(prefix_of(run))


def carries_any_fault(vs: Object) -> bool:
    """Whether an object has routes of any run."""
    return any(_ROUTE.match(str(route.get("name", ""))) for route in (vs.get("spec") or {}).get("http") or ())


def carries_fault(vs: Object, run: str) -> bool:
    """Whether an object has a run's routes or its label, so that something is still to be taken out."""
    routes = (vs.get("spec") or {}).get("http") or ()
    return any(is_of_run(route, run) for route in routes) or (vs["metadata"].get("labels") or {}).get(RUN_LABEL) == run


def carries(vs: Object, run: str) -> bool:
    """Whether an object has anything of a run: its routes, its label or its undo record."""
    return carries_fault(vs, run) or undo_of(vs).get("run") == run


def without_fault(vs: Object, run: str) -> dict[str, Any]:
    """The live object without anything of a run; all that others wrote meanwhile stays.

    Where somebody removed every route but ours, these stay without the fault: Istio rejects an object without routes.
    """
    clean = copy.deepcopy(dict(vs))
    meta = clean["metadata"]
    if _is_only(vs, run):
        _drop(meta, "labels", _LABELS)
        _drop(meta, "annotations", _NOTES)
    spec = clean.get("spec") or {}
    if spec.get("http"):
        kept = [route for route in spec["http"] if not is_of_run(route, run)]
        spec["http"] = kept or [
            {key: value for key, value in without_faults(route).items() if key != "name"} for route in spec["http"]
        ]
    return clean


def undone(vs: Object, run: str) -> dict[str, Any]:
    """The live object without the fault, to be written first; of the marks, the undo record stays for the second write.

    The owners in the record are brought up to date, since this write takes the routes from whoever wrote them meanwhile.
    Where they are lost, or the record finds no room, those of now are all that can be kept: the fault goes first.
    """
    clean = without_fault(vs, run)
    if owners_of(vs) and _is_only(vs, run):
        kept = kept_owners(vs)
        record = {**undo_of(vs), "run": run, "owners": given_back(kept or (), owners_of(vs))}
        _record(clean["metadata"], record if kept is not None else {**record, "incomplete": True})
    return clean


def given_back_to_owners(vs: Object, run: str) -> dict[str, Any]:
    """The object from which the fault is out, as the second write has it: its owners as without us, and no record."""
    clean = without_fault(vs, run)
    owners = given_back(kept_owners(vs) or (), owners_of(vs))
    if owners:  # an empty list is passed over, and would leave all as it is
        clean["metadata"]["managedFields"] = owners
    return clean


def owes_owners(vs: Object, run: str) -> bool:
    """Whether the fault is out and the fields are not their owners' again; also where the record of that is gone."""
    if carries_fault(vs, run) or not _is_only(vs, run):
        return False
    return bool(undo_of(vs)) or still_owns(vs)


def owners_are_known(vs: Object) -> bool:
    """Whether the undo record says who owned the fields before the fault went in."""
    return kept_owners(vs) is not None and not undo_of(vs).get("incomplete")


def _is_only(vs: Object, run: str) -> bool:
    """Whether the marks on an object are of this run, if there are any."""
    return (vs["metadata"].get("labels") or {}).get(RUN_LABEL) in (None, run) and undo_of(vs).get("run") in (None, run)


def _drop(meta: dict[str, Any], place: str, keys: Sequence[str]) -> None:
    if place in meta:
        meta[place] = {key: value for key, value in (meta[place] or {}).items() if key not in keys}
        if not meta[place]:
            del meta[place]


def is_as_before(before: Object, after: Object) -> bool:
    """Whether taking out brought back exactly the spec that was there when the fault was put in."""
    return undo_of(before).get("spec") == digest(after["spec"])
