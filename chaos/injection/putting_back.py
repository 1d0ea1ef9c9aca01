"""A change of Istio's configuration is put in, and put back: what to write, by what is there now. Pure.

Others may have written meanwhile, and what they wrote stays: of a spec, only those fields become what they were that are as we
wrote them. Each step is by the ``resourceVersion`` of what was seen.

Where the object is as it was before, our write may still be under way: somebody who was killed had just sent it. So the
object is marked and the mark taken off again; a write that comes later is by a version that is no more.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from chaos.injection.ownership import given_back, owners_of, owns
from chaos.model.marks import CHANGE_MANAGER, CHANGED
from chaos.model.mesh_change import MeshChange, spec_of

Object = Mapping[str, Any]
_MISSING: Final = object()


@dataclass(frozen=True)
class Step:
    """The next write.

    Args:
        obj: What to write, or to delete.
        last: With it, all is as it has to be; else the object has to be looked at again.
        note: What is not as before, since others changed it meanwhile.
    """

    do: Literal["nothing", "create", "replace", "delete"]
    obj: Object = field(default_factory=dict)
    last: bool = True
    note: str = ""


def put_in(change: MeshChange, live: Object | None, *, run: str, owner: Object) -> Step:
    """The write that begins a change.

    Args:
        change: What is to be changed.
        live: The object that was checked; ``None`` where there is none.
        run: Who puts it back.
        owner: Reference to the lease: what we make goes with it, also if it is made too late.
    """
    if live is None:
        meta = {"name": change.name, "namespace": change.namespace, "ownerReferences": [dict(owner)]}
        return Step(
            "create", {"kind": change.kind, "metadata": {**meta, "annotations": {CHANGED: run}}, "spec": change.after}
        )
    if change.after is None:
        return Step("delete", live)
    return Step("replace", {**_marked(live, run), "spec": change.after})


def put_back(change: MeshChange, live: Object | None, *, run: str) -> Step:
    """The next write of putting a change back."""
    if live is None:
        return _from_nothing(change)
    mark = mark_of(live)
    if mark not in ("", run):
        return Step("nothing", note=f"the run {mark} changes {_named(change)} now")
    if change.before is None:
        return _unmade(change, live) if mark else Step("nothing")
    if live["metadata"].get("uid") != change.before["metadata"].get("uid"):
        again = change.after is None and spec_of(live) == spec_of(change.before)
        return Step(
            "nothing", note="" if again else f"somebody created {_named(change)} again meanwhile, and it stays so"
        )
    here = spec_of(live)
    spec, others = (here, []) if change.after is None else merged(spec_of(change.before), change.specs, here)
    if not mark and spec == here:
        return Step("replace", _marked(live, run), last=False)
    note = f"somebody wrote {', '.join(others)} of {_named(change)} meanwhile, which stays so" if others else ""
    return Step("replace", {**without_mark(live), "spec": spec}, note=note)


def _from_nothing(change: MeshChange) -> Step:
    if change.before is None:
        return Step("nothing")
    if change.after is not None:
        return Step("nothing", note=f"somebody removed {_named(change)} meanwhile, and it stays so")
    meta = {key: value for key, value in change.before["metadata"].items() if key not in ("uid", "managedFields")}
    return Step("create", {**change.before, "metadata": meta})


def _unmade(change: MeshChange, live: Object) -> Step:
    if spec_of(live) in change.specs:
        return Step("delete", live)
    kept = without_mark(live)
    kept["metadata"].pop("ownerReferences", None)  # else it would go with the lease
    return Step("replace", kept, note=f"somebody wrote {_named(change)}, which we had made, and it stays")


def without_us(change: MeshChange, live: Object | None) -> Object | None:
    """The object with its fields given back to their owners, once all else is done; ``None`` where we own none."""
    if live is None or change.before is None or not owns(live, us=CHANGE_MANAGER):
        return None
    owners = given_back(owners_of(change.before), owners_of(live), us=CHANGE_MANAGER)
    return {**live, "metadata": {**live["metadata"], "managedFields": owners}} if owners else None


def is_in(change: MeshChange, live: Object | None, *, run: str) -> bool:
    """Whether the change is as it was written: nobody else wrote over it."""
    if live is None or change.after is None:
        return live is None and change.after is None
    return mark_of(live) == run and spec_of(live) in change.specs


def merged(before: Object, ours: Sequence[Object], live: Object) -> tuple[dict[str, Any], list[str]]:
    """A spec in which what is as one of ours has it becomes as ``before`` had it, and where others wrote something else.

    A list is one value: others who changed a part of it have written all of it.
    """
    found: dict[str, Any] = {}
    others: list[str] = []
    _merge(before, ours, live, "spec", found, others)
    return found, others


def _merge(
    before: Object, ours: Sequence[Object], live: Object, path: str, into: dict[str, Any], others: list[str]
) -> None:
    for key in dict.fromkeys((*before, *live)):
        was, now = before.get(key, _MISSING), live.get(key, _MISSING)
        set_ = [one.get(key, _MISSING) for one in ours]
        here = f"{path}.{key}"
        if isinstance(was, Mapping) and isinstance(now, Mapping) and _all_maps(set_):
            into[key] = {}
            _merge(was, set_, now, here, into[key], others)
            continue
        value = was if now in set_ else now
        if value is not _MISSING:
            into[key] = copy.deepcopy(value)
        if now != was and now not in set_ and any(one != was for one in set_):
            others.append(here)


def _all_maps(values: Sequence[Any]) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def mark_of(obj: Object) -> str:
    """The run that has changed an object for a while; empty where none has."""
    return str((obj["metadata"].get("annotations") or {}).get(CHANGED) or "")


def _marked(obj: Object, run: str) -> dict[str, Any]:
    made = copy.deepcopy(dict(obj))
    made["metadata"]["annotations"] = {**(made["metadata"].get("annotations") or {}), CHANGED: run}
    return made


def without_mark(obj: Object) -> dict[str, Any]:
    """The object without the note of who changes it."""
    made = copy.deepcopy(dict(obj))
    notes = {key: text for key, text in (made["metadata"].get("annotations") or {}).items() if key != CHANGED}
    made["metadata"]["annotations"] = notes
    if not notes:
        del made["metadata"]["annotations"]
    return made


def _named(change: MeshChange) -> str:
    return f"{change.kind} {change.namespace}/{change.name}"
