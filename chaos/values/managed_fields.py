"""``metadata.managedFields`` as sets of fields: who owns which, in the form ``FieldsV1`` of Kubernetes.

A field is a path of steps: ``f:name`` for a field, ``k:{"name":"a"}`` for an item of a list with keys, ``v:"a"`` for one of a
set. What stands as ``.`` in an object or item says that this itself is owned, not only fields of it
(structured-merge-diff ``fieldpath/serialize.go``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
Entry = Mapping[str, Any]
Identity = tuple[str, str, str, str]


def fields_of(entry: Entry) -> set[Path]:
    """The fields that an entry names."""
    return set(_unfolded(entry.get("fieldsV1") or {}, ()))


def _unfolded(node: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for step, inner in node.items():
        if step == ".":
            yield path
        elif inner:
            yield from _unfolded(inner, (*path, step))
        else:
            yield (*path, step)


def with_fields(entry: Entry, fields: Collection[Path]) -> dict[str, Any]:
    """The entry with other fields."""
    root: dict[str, Any] = {}
    owned = set(fields)
    for path in sorted(owned):
        node = root
        for depth, step in enumerate(path, start=1):
            inside = node.setdefault(step, {})
            if depth < len(path) and path[:depth] in owned:
                inside["."] = {}
            node = inside
    return {**entry, "fieldsType": "FieldsV1", "fieldsV1": root}


def identity_of(entry: Entry) -> Identity:
    """What makes two entries the same: an applier has one for all versions, everybody else one for each.

    From apimachinery ``managedfields/internal/managedfields.go`` BuildManagerIdentifier.
    """
    operation = str(entry.get("operation", ""))
    version = "" if operation == "Apply" else str(entry.get("apiVersion", ""))
    return str(entry.get("manager", "")), operation, version, str(entry.get("subresource", ""))
