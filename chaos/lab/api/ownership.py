"""Who owns which field: ``managedFields`` and server-side apply, as Kubernetes has them.

The rules are those of structured-merge-diff (``merge/update.go``, ``typed/compare.go``) and of apimachinery
(``managedfields/internal``). Lists are merged by the keys that Kubernetes' core types declare; those of Istio's kinds are
atomic, since their CRDs declare none. Not there: defaulted and immutable fields, conversion between a schema's versions, the
bucket for more than ten managers.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chaos.lab.api.errors import ApiError, bad_request
from chaos.lab.api.validation import Cause
from chaos.values.managed_fields import Entry, Path, fields_of, identity_of, with_fields

Object = dict[str, Any]
Nodes = dict[Path, Any]
"""What an object consists of: its leaves with their values, and ``_INSIDE`` for what has fields or items of its own."""
_OF_THE_SERVER: Final = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
}  # fmt: skip
_NOT_OWNED: Final = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(("f:metadata", f"f:{x}") for x in _OF_THE_SERVER),
}
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",), "initContainers": ("name",), "env": ("name",), "volumes": ("name",),
    "volumeMounts": ("mountPath",), "ownerReferences": ("uid",), "conditions": ("type",), "imagePullSecrets": ("name",),
}  # fmt: skip
_SETS: Final = {"finalizers"}
_ATOMIC: Final = {"selector", "involvedObject", "nodeSelector"}
"""Objects of Kubernetes' core types that are owned as a whole."""
_ALWAYS_THERE: Final = {
    ("f:spec",), ("f:status",), ("f:source",), ("f:spec", "f:strategy"), ("f:spec", "f:template"),
    ("f:spec", "f:template", "f:metadata"), ("f:spec", "f:template", "f:spec"), ("f:spec", "f:template", "f:spec", "f:containers"),
}  # fmt: skip
"""Where a core type has a struct and no pointer to one: nobody adds it."""
_BEFORE_FIRST_APPLY: Final = "before-first-apply"
_MISSING: Final = object()
_INSIDE: Final = object()


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Who writes, and through which version and subresource."""

    manager: str
    api_version: str
    custom: bool
    subresource: str = ""


def apply(live: Object | None, applied: Object, writer: Writer, *, force: bool) -> Object:
    """The object after a server-side apply.

    Raises:
        ApiError: 409, a field has another owner and another value; 400 for what can't be applied.
    """
    if (applied.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    wanted = _applied(_nodes(applied, custom=writer.custom))
    entries = decoded(_listed(live)) or []
    if live is not None and not entries:
        # From before anybody applied: all of it is somebody's, so that not even the first apply changes it unasked.
        entries = _after_update([], {}, _nodes(live, custom=writer.custom), _named(writer, _BEFORE_FIRST_APPLY), _now())
    mine = next((entry for entry in entries if identity_of(entry) == identity_of(_new(writer, "Apply"))), None)
    others = [entry for entry in entries if entry is not mine]
    merged: Object = _merge(live or {}, applied, custom=writer.custom)
    owned_by_others = {path for entry in others for path in fields_of(entry)}
    for path in sorted(fields_of(mine) - wanted - owned_by_others, key=len, reverse=True) if mine else ():
        if not any(other[: len(path)] == path for other in wanted):
            _remove(merged, path)
    before, after = (_nodes(one, custom=writer.custom) for one in (live or {}, merged))
    taken, gone = _changes(before, after)
    conflicts = [(entry, path) for entry in others for path in sorted(fields_of(entry) & taken)]
    if conflicts and not force:
        raise _conflict(conflicts)
    unchanged = live is not None and _without_owners(merged) == _without_owners(live)
    own = with_fields(_new(writer, "Apply"), wanted)
    if not unchanged:
        own["time"] = _now()
    elif mine is not None and mine.get("time"):
        own["time"] = mine["time"]
    merged.setdefault("metadata", {})["managedFields"] = _ordered([*_left(others, taken | gone), own])
    return merged


def track(live: Object | None, new: Object, writer: Writer) -> list[Any]:
    """``managedFields`` after a create, update or patch: the writer owns what it changed, and what is gone nobody owns.

    A list in the body takes the place of the stored one, unless it is empty or can't be read; ``[{}]`` drops it.
    """
    stored, given = _listed(live), _listed(new)
    if given == [{}] and not writer.subresource:
        entries = []
    else:
        entries = (None if writer.subresource else decoded(given)) or decoded(stored) or []
    if live is not None and not entries:
        return []  # an object without owners stays so until somebody applies
    before, after = (_nodes(one, custom=writer.custom) for one in (live or {}, new))
    if writer.subresource in ("", "status"):
        of_status = bool(writer.subresource)
        before, after = (
            {path: value for path, value in one.items() if (path[0] == "f:status") is of_status}
            for one in (before, after)
        )
    if live is None and not writer.custom:
        after = {path: value for path, value in after.items() if value is not _INSIDE or path not in _ALWAYS_THERE}
    listed = _after_update(entries, before, after, writer, _now())
    timeless = [[{**entry, "time": ""} for entry in one] for one in (listed, stored)]
    return stored if before == after and timeless[0] == timeless[1] else listed


def decoded(entries: Iterable[Any]) -> list[Entry] | None:
    """The entries of a list; ``None`` where one of them can't be read, which the server passes over without a word."""
    found = {}
    for entry in entries:
        if not isinstance(entry, Mapping) or entry.get("operation") not in ("Apply", "Update"):
            return None
        if (
            not entry.get("apiVersion")
            or entry.get("fieldsType") != "FieldsV1"
            or not _can_be_read(entry.get("fieldsV1"))
        ):
            return None
        found[identity_of(entry)] = entry
    return list(found.values())


# --- entries -----------------------------------------------------------------------------------------------------------


def _after_update(entries: list[Entry], before: Nodes, after: Nodes, writer: Writer, now: str) -> list[Entry]:
    taken, gone = _changes(before, after)
    own = _new(writer, "Update")
    mine = next((entry for entry in entries if identity_of(entry) == identity_of(own)), None)
    listed = _left([entry for entry in entries if entry is not mine], taken | gone)
    owned = ((fields_of(mine) if mine else set()) - gone) | taken
    if owned:
        listed.append(with_fields({**own, "time": now} if taken or mine is None else mine, owned))
    return _ordered(listed)


def _left(entries: Iterable[Entry], lost: set[Path]) -> list[Entry]:
    """The entries without fields that are somebody else's now, or gone."""
    return [with_fields(entry, kept) for entry in entries if (kept := fields_of(entry) - lost)]


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    def place(entry: Entry) -> tuple[str, ...]:
        return tuple(str(entry.get(key) or "") for key in ("operation", "time", "manager", "apiVersion", "subresource"))

    return sorted(entries, key=place)


def _new(writer: Writer, operation: str) -> Object:
    entry: Object = {"manager": writer.manager, "operation": operation, "apiVersion": writer.api_version}
    return {**entry, "subresource": writer.subresource} if writer.subresource else entry


def _named(writer: Writer, manager: str) -> Writer:
    return Writer(manager=manager, api_version=writer.api_version, custom=writer.custom)


def _listed(obj: Object | None) -> list[Any]:
    return ((obj or {}).get("metadata") or {}).get("managedFields") or []


def _can_be_read(fields: Any) -> bool:
    if fields is None:
        return True
    return isinstance(fields, Mapping) and all(
        (step == "." or step[:2] in ("f:", "k:", "v:", "i:")) and _can_be_read(inner) for step, inner in fields.items()
    )


def _without_owners(obj: Mapping[str, Any]) -> Object:
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {**obj, "metadata": meta}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- fields ------------------------------------------------------------------------------------------------------------


def _changes(before: Nodes, after: Nodes) -> tuple[set[Path], set[Path]]:
    """What a writer added or changed, and what it took away."""
    taken = {path for path, value in after.items() if before.get(path, _MISSING) != value}
    return taken, before.keys() - after.keys()


def _nodes(obj: Object, *, custom: bool) -> Nodes:
    return {path: value for path, value in _walk(obj, (), custom=custom) if path not in _NOT_OWNED}


def _walk(value: Any, path: Path, *, custom: bool) -> Iterator[tuple[Path, Any]]:
    if path[-2:-1] == ("f:ownerReferences",):
        yield path, value  # an owner is one value
        return
    if isinstance(value, Mapping) and (custom or not path or path[-1][2:] not in _ATOMIC):
        inner = {f"f:{name}": one for name, one in value.items() if one is not None}
    else:
        items = _keyed(value, path, custom=custom)
        if items is None:
            yield path, value
            return
        inner = items
    if path:
        yield path, _INSIDE
    if path not in _NOT_OWNED or path == ("f:metadata",):
        for step, one in inner.items():
            yield from _walk(one, (*path, step), custom=custom)


def _applied(nodes: Nodes) -> set[Path]:
    """What an applier owns: leaves, empty objects too, and the items of lists, but not the objects on the way."""
    on_the_way = {path[:-1] for path in nodes}
    return {path for path in nodes if path not in on_the_way or path[-1].startswith("k:")}


def _keyed(value: Any, path: Path, *, custom: bool) -> dict[str, Any] | None:
    """The items of a list by their keys, or of a set by their values; ``None`` for what is one value."""
    if not isinstance(value, list) or not value or not path or (custom and path[0] != "f:metadata"):
        return None
    name = path[-1].removeprefix("f:")
    if name in _SETS:
        return {f"v:{json.dumps(item)}": item for item in value}
    if not all(isinstance(item, Mapping) for item in value):
        return None
    keys = _KEYS.get(name)
    if name == "ports":
        keys = ("containerPort", "protocol") if "containerPort" in value[0] else ("port", "protocol")
    if keys is None:
        return None
    found: dict[str, Any] = {}
    for item in value:
        own = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
        if any(part is None for part in own.values()):
            return None
        found[f"k:{json.dumps(own, separators=(',', ':'))}"] = item
    return found if len(found) == len(value) else None


def _get(obj: Any, path: Path) -> Any:
    node = obj
    for at, step in enumerate(path):
        if step.startswith("f:"):
            node = node.get(step[2:], _MISSING) if isinstance(node, Mapping) else _MISSING
        else:
            node = (_keyed(node, path[:at], custom=False) or {}).get(step, _MISSING)
        if node is _MISSING:
            return _MISSING
    return node


def _remove(obj: Object, path: Path) -> None:
    """Takes a field away, and what is empty then; an item of a list goes with its last field that is no key."""
    parent = _get(obj, path[:-1]) if len(path) > 1 else obj
    if path[-1].startswith("v:") and isinstance(parent, list):
        parent[:] = [item for item in parent if f"v:{json.dumps(item)}" != path[-1]]
        if not parent:
            _remove(obj, path[:-1])
    if not isinstance(parent, dict):
        return
    keys = _keys_of(path[:-1])
    if path[-1][2:] not in keys:
        parent.pop(path[-1][2:], None)
    if keys and parent.keys() <= keys:
        listed = _get(obj, path[:-2])
        listed[:] = [item for item in listed if item is not parent]
        if not listed:
            _remove(obj, path[:-2])
    elif not parent and len(path) > 1:
        _remove(obj, path[:-1])


def _keys_of(path: Path) -> set[str]:
    """The names of the key fields where the path leads to an item of a list."""
    return set(json.loads(path[-1][2:])) if path and path[-1].startswith("k:") else set()


def _merge(live: Any, applied: Any, path: Path = (), *, custom: bool) -> Any:
    if isinstance(applied, Mapping):
        result = copy.deepcopy(dict(live)) if isinstance(live, Mapping) else {}
        for name, value in applied.items():
            if value is not None:
                result[name] = _merge(result.get(name), value, (*path, f"f:{name}"), custom=custom)
        return result
    wanted = _keyed(applied, path, custom=custom)
    there = _keyed(live, path, custom=custom)
    if wanted is None or there is None:
        return copy.deepcopy(applied)
    merged = {
        key: _merge(item, wanted[key], (*path, key), custom=custom) if key in wanted else copy.deepcopy(item)
        for key, item in there.items()
    }
    return [*merged.values(), *(copy.deepcopy(item) for key, item in wanted.items() if key not in there)]


# --- conflicts ---------------------------------------------------------------------------------------------------------


def _conflict(conflicts: list[tuple[Entry, Path]]) -> ApiError:
    """As apimachinery's ``managedfields/internal/conflict.go`` says it."""
    by_manager: dict[str, list[str]] = {}
    for entry, path in conflicts:
        by_manager.setdefault(_told(entry), []).append(_dotted(path))
    if len(conflicts) == 1:
        text = "Apply failed with 1 conflict: " + "".join(f"conflict with {m}: {p[0]}" for m, p in by_manager.items())
    else:
        lines = [
            line
            for manager in sorted(by_manager)
            for line in (f"conflicts with {manager}:", *(f"- {path}" for path in by_manager[manager]))
        ]
        text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    causes = [
        Cause(field=_dotted(path), message=f"conflict with {_told(entry)}", reason="FieldManagerConflict")
        for entry, path in conflicts
    ]
    return ApiError(409, "Conflict", text, causes=causes)


def _told(entry: Entry) -> str:
    told = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        told += f' with subresource "{entry["subresource"]}"'
    return told if entry["operation"] == "Apply" else f"{told} using {entry['apiVersion']}"


def _dotted(path: Path) -> str:
    """``.spec.containers[name="app"].image``."""
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[{_shown(step)}]" for step in path)


def _shown(step: str) -> str:
    value = json.loads(step[2:])
    if step.startswith("k:"):
        return ",".join(f"{key}={json.dumps(part)}" for key, part in value.items())
    return f"={json.dumps(value)}"
