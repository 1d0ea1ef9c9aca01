"""The patch types: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and a strategic merge for the core kinds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from chaos.lab.api.errors import ApiError, bad_request, unreadable

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"

_MERGE_KEYS: Final = {
    "containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
    "ports": "port", "ownerReferences": "uid", "conditions": "type",
}  # fmt: skip


def check_type(kind: str, *, custom: bool) -> None:
    """Raises ``ApiError`` 415 for a media type that is no patch of this kind."""
    known = [JSON_PATCH, MERGE_PATCH, *([] if custom else [STRATEGIC_PATCH]), APPLY_PATCH]
    if kind not in known:
        raise unreadable(known)


def apply_patch(kind: str, obj: dict[str, Any], patch: Any, *, custom: bool) -> dict[str, Any]:
    """The patched object.

    Args:
        kind: The patch's media type, which ``check_type`` has let pass.
        obj: The object as it is; not changed.
        patch: The patch's body.
        custom: It is of a custom kind, for which Kubernetes has no strategic merge.

    Raises:
        ApiError: 400 for a patch that is not of its form, 422 for a failed test or path.
    """
    if kind == JSON_PATCH:
        return _json_patch(obj, patch)
    return _object(strategic(obj, patch) if kind == STRATEGIC_PATCH and not custom else merge(obj, patch))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_request("error decoding patch: expected the patch to be an object")
    return value


def merge(target: Any, patch: Any) -> Any:
    """JSON Merge Patch: ``null`` removes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, key: str = "") -> Any:
    """As merge, but lists with a known merge key are merged by it; ``$patch: delete|replace`` is understood."""
    if isinstance(patch, list) and key in _MERGE_KEYS and isinstance(target, list):
        return _merge_list(target, patch, _MERGE_KEYS[key])
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) and patch.get("$patch") != "replace" else {}
    for name, value in patch.items():
        if name.startswith(("$setElementOrder/", "$retainKeys", "$patch")):
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            plain = name.partition("/")[2]
            result[plain] = [item for item in result.get(plain, []) if item not in value]
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = strategic(result.get(name), value, name)
    return result


def _merge_list(target: list[Any], patch: list[Any], by: str) -> list[Any]:
    result = list(target)
    for item in patch:
        place = next((i for i, old in enumerate(result) if old.get(by) == item.get(by)), None)
        if item.get("$patch") == "delete":
            if place is not None:
                del result[place]
        elif place is None:
            result.append(copy.deepcopy(item))
        else:
            result[place] = strategic(result[place], item)
    return result


def _json_patch(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    if not isinstance(patch, list):
        raise bad_request("error decoding patch: expected a JSON Patch to be a list of operations")
    document: Any = {"": copy.deepcopy(obj)}
    try:
        for step in patch:
            _do(document, step)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, details={}) from error
    return _object(document[""])


def _do(document: Any, step: Any) -> None:
    """One operation; ``replace`` of a field that an object does not have adds it, as the API server's library does."""
    operation, path = step["op"], _pointer(step["path"])
    if operation in ("move", "copy"):
        source = _pointer(step["from"])
        value = copy.deepcopy(_get(document, source))
        if operation == "move":
            _remove(document, source)
        _add(document, path, value)
    elif operation == "add":
        _add(document, path, copy.deepcopy(step["value"]))
    elif operation == "remove":
        _remove(document, path)
    elif operation == "replace":
        _put(document, path, copy.deepcopy(step["value"]))
    elif operation != "test":
        raise ValueError(operation)
    elif _get_or_none(document, path) != step.get("value"):
        raise ValueError(step["path"])


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")]


def _step(node: Any, key: str) -> Any:
    return node[int(key)] if isinstance(node, list) else node[key]


def _get(document: Any, path: list[str]) -> Any:
    for key in path:
        document = _step(document, key)
    return document


def _get_or_none(document: Any, path: list[str]) -> Any:
    """A value; that of a field which an object does not have is ``None``."""
    parent = _get(document, path[:-1])
    return parent.get(path[-1]) if isinstance(parent, dict) else _step(parent, path[-1])


def _put(document: Any, path: list[str], value: Any) -> None:
    parent = _get(document, path[:-1])
    parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = value


def _add(document: Any, path: list[str], value: Any) -> None:
    parent = _get(document, path[:-1])
    if not isinstance(parent, list):
        parent[path[-1]] = value
    elif path[-1] == "-":
        parent.append(value)
    elif int(path[-1]) > len(parent):
        raise IndexError(path[-1])
    else:
        parent.insert(int(path[-1]), value)


def _remove(document: Any, path: list[str]) -> None:
    parent = _get(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
