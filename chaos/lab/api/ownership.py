"""Who owns which field: ``managedFields`` and server-side apply, as Kubernetes' structured-merge-diff has them.

Lists are merged by the keys that Kubernetes' core types declare; those of Istio's kinds are atomic, since their CRDs
declare none. Not there: defaulted and immutable fields, sets of scalars, ownership through a schema's versions.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chaos.lab.api.errors import ApiError, bad_request
from chaos.lab.api.validation import Cause

Path = tuple[str, ...]
"""Steps as in FieldsV1: ``f:name`` for a field, ``k:{"name":"a"}`` for an item of a list with keys."""
Object = dict[str, Any]
_OF_THE_SERVER: Final = {
    "metadata": {
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "generateName",
        "selfLink",
    }
}  # fmt: skip
_NOT_OWNED: Final = {"apiVersion", "kind"}
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",), "initContainers": ("name",), "env": ("name",), "volumes": ("name",),
    "volumeMounts": ("mountPath",), "ownerReferences": ("uid",), "conditions": ("type",), "imagePullSecrets": ("name",),
}  # fmt: skip
_MISSING: Final = object()


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
    wanted = {path: value for path, value in _leaves(applied, (), custom=writer.custom) if _is_owned(path)}
    entries = list(((live or {}).get("metadata") or {}).get("managedFields") or ())
    mine = next((entry for entry in entries if _is(entry, writer, "Apply")), None)
    others = [(entry, paths_of(entry)) for entry in entries if entry is not mine]
    conflicts = [
        (entry["manager"], path)
        for entry, owned in others
        for path in sorted(owned & wanted.keys())
        if _get(live or {}, path) != wanted[path]
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    merged: Object = _merge(live or {}, applied, custom=writer.custom)
    lost = {path for _, path in conflicts}
    kept = [(entry, owned - lost) for entry, owned in others]
    for path in sorted(paths_of(mine) - wanted.keys(), key=len, reverse=True) if mine else ():
        if not any(path in owned for _, owned in kept) and not any(other[: len(path)] == path for other in wanted):
            _remove(merged, path)
    listed = [_entry(entry, owned, entry.get("time", "")) for entry, owned in kept if owned]
    own = set(wanted)
    unchanged = mine is not None and paths_of(mine) == own and _without(merged) == _without(live or {})
    listed.append(_new(writer, "Apply", own, (mine or {}).get("time", "") if unchanged else _now()))
    merged.setdefault("metadata", {})["managedFields"] = listed
    return merged


def track(live: Object | None, new: Object, writer: Writer) -> list[Any]:
    """``managedFields`` after a create, update or patch: the writer owns what it changed, and what is gone nobody owns."""
    before = {p: v for p, v in _leaves(live or {}, (), custom=writer.custom) if _is_owned(p)}
    after = {p: v for p, v in _leaves(new, (), custom=writer.custom) if _is_owned(p)}
    if not writer.subresource:
        before, after = ({p: v for p, v in one.items() if p[0] != "f:status"} for one in (before, after))
    was = ((live or {}).get("metadata") or {}).get("managedFields") or []
    given = (new.get("metadata") or {}).get("managedFields")
    entries = was if given is None else [entry for entry in given if entry]
    changed = {path for path, value in after.items() if before.get(path, _MISSING) != value}
    gone = before.keys() - after.keys()
    if not changed and not gone:
        return list(entries)
    mine = next((entry for entry in entries if _is(entry, writer, "Update")), None)
    listed = []
    for entry in entries:
        if entry is mine:
            continue
        owned = paths_of(entry)
        left = owned - changed - gone
        if left:
            listed.append(entry if left == owned else _entry(entry, left, entry.get("time", "")))
    own = ((paths_of(mine) if mine else set()) - gone) | changed
    if own:
        listed.append(_new(writer, "Update", own, _now()))
    return listed


def paths_of(entry: Mapping[str, Any]) -> set[Path]:
    """The fields that an entry of ``managedFields`` names."""
    return set(_unfolded(entry.get("fieldsV1") or {}, ()))


# --- fields ------------------------------------------------------------------------------------------------------------


def _is_owned(path: Path) -> bool:
    names = [step.removeprefix("f:") for step in path]
    return names[0] not in _NOT_OWNED and not (len(names) > 1 and names[1] in _OF_THE_SERVER.get(names[0], ()))


def _leaves(value: Any, path: Path, *, custom: bool) -> Iterator[tuple[Path, Any]]:
    """Every field that has a value of its own: scalars, atomic lists, empty objects."""
    if isinstance(value, Mapping) and (value or not path):
        for name, inner in value.items():
            if inner is not None:
                yield from _leaves(inner, (*path, f"f:{name}"), custom=custom)
        return
    items = _keyed(value, path, custom=custom)
    if items is None:
        yield path, value
        return
    for key, item in items.items():
        for inner, content in _leaves(item, (*path, key), custom=custom):
            yield inner, content


def _keyed(value: Any, path: Path, *, custom: bool) -> dict[str, Any] | None:
    """The items of a list by their keys; ``None`` for what is one value."""
    if not isinstance(value, list) or not value or not path or not all(isinstance(item, Mapping) for item in value):
        return None
    name = path[-1].removeprefix("f:")
    in_metadata = path[0] == "f:metadata"
    if custom and not in_metadata:
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


# --- entries -----------------------------------------------------------------------------------------------------------


def _is(entry: Mapping[str, Any], writer: Writer, operation: str) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == (
        writer.manager,
        operation,
        writer.subresource,
    )


def _new(writer: Writer, operation: str, owned: set[Path], time: str) -> Object:
    entry: Object = {"manager": writer.manager, "operation": operation, "apiVersion": writer.api_version}
    if writer.subresource:
        entry["subresource"] = writer.subresource
    return _entry(entry, owned, time)


def _entry(entry: Mapping[str, Any], owned: set[Path], time: str) -> Object:
    return {**entry, "time": time, "fieldsType": "FieldsV1", "fieldsV1": _folded(owned)}


def _folded(paths: set[Path]) -> Object:
    root: Object = {}
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    return root


def _unfolded(node: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for step, inner in node.items():
        if step == ".":
            continue  # the item or object itself; its fields say as much
        if inner and set(inner) != {"."}:
            yield from _unfolded(inner, (*path, step))
        else:
            yield (*path, step)


def _without(obj: Mapping[str, Any]) -> Object:
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {**obj, "metadata": meta}


def _conflict(conflicts: Sequence[tuple[str, Path]]) -> ApiError:
    told = [f'conflict with "{manager}": {_dotted(path)}' for manager, path in conflicts]
    count = f"{len(told)} conflict{'s' if len(told) > 1 else ''}"
    causes = [
        Cause(field=_dotted(path), message=f'conflict with "{manager}"', reason="FieldManagerConflict")
        for manager, path in conflicts
    ]
    return ApiError(409, "Conflict", f"Apply failed with {count}: {'; '.join(told)}", causes=causes)


def _dotted(path: Path) -> str:
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[{step[2:]}]" for step in path)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
