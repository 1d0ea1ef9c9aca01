"""The patch types: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and a strategic merge for the core kinds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import jsonpatch

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
    try:
        return _object(_JsonPatch(patch).apply(obj))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, details={}) from error


class _Replace(jsonpatch.ReplaceOperation):
    """Adds a field that an object does not have, as the API server's library (evanphx/json-patch v4) does beside RFC 6902."""

    def apply(self, obj: Any) -> Any:
        parent, _ = self.pointer.to_last(obj)
        return jsonpatch.AddOperation(self.operation).apply(obj) if isinstance(parent, dict) else super().apply(obj)


class _Test(jsonpatch.TestOperation):
    """Takes a field that an object does not have as ``null``, and a missing ``value`` too: as that library does."""

    def apply(self, obj: Any) -> Any:
        parent, key = self.pointer.to_last(obj)
        if isinstance(parent, dict) and key is not None and key not in parent and self.operation.get("value") is None:
            return obj
        return jsonpatch.TestOperation({"value": None, **self.operation}).apply(obj)


class _JsonPatch(jsonpatch.JsonPatch):
    operations = MappingProxyType({**jsonpatch.JsonPatch.operations, "replace": _Replace, "test": _Test})
