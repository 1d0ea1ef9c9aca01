"""A small schema language, for the structural part of Istio's CRDs.

Every field that the CRDs have is in a schema; those that the lab does not support are marked, so that using one is an
error with its path and never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.lab.api.validation import Cause, Path, dotted
from chaos.lab.istio.durations import nanoseconds


@dataclass(frozen=True, kw_only=True)
class Node:
    """What a value may be.

    Args:
        kind: ``object``, ``array``, ``string``, ``integer``, ``number``, ``boolean``, ``duration``.
        fields: Of an object.
        items: Of an array; of an object with free keys.
        one_of: At most one of these fields may be given.
        supported: Whether the lab does what it says.
        duration_min: Whether the CRD asks for at least 1ms.
    """

    kind: str
    fields: Mapping[str, Node] = field(default_factory=dict)
    items: Node | None = None
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    supported: bool = True


STRING: Final = Node(kind="string")
BOOLEAN: Final = Node(kind="boolean")
NUMBER: Final = Node(kind="number")
INT32: Final = Node(kind="integer", minimum=-(2**31), maximum=2**31 - 1)
UINT32: Final = Node(kind="integer", minimum=0, maximum=2**32 - 1)
DURATION: Final = Node(kind="duration")
STRINGS: Final = Node(kind="array", items=STRING)
LABELS: Final = Node(kind="object", items=STRING)
STRING_MATCH: Final = Node(
    kind="object",
    fields={"exact": STRING, "prefix": STRING, "regex": STRING},
    one_of=("exact", "prefix", "regex"),
)
STRING_MATCHES: Final = Node(kind="object", items=STRING_MATCH)


def obj(fields: Mapping[str, Node], *, required: tuple[str, ...] = (), one_of: tuple[str, ...] = ()) -> Node:
    """An object with these fields."""
    return Node(kind="object", fields=fields, required=required, one_of=one_of)


def array(items: Node) -> Node:
    """An array of these."""
    return Node(kind="array", items=items)


def unsupported() -> Node:
    """A field that Istio has and the lab does not."""
    return Node(kind="any", supported=False)


@dataclass(frozen=True)
class Found:
    """What a walk over an object found."""

    causes: tuple[Cause, ...]
    unknown: tuple[Path, ...]
    unsupported: tuple[Path, ...]


def check(node: Node, value: Any, path: Path) -> Found:
    """Holds a value against a schema."""
    causes: list[Cause] = []
    unknown: list[Path] = []
    missing: list[Path] = []
    for kind, where, message in _walk(node, value, path):
        if kind == "unknown":
            unknown.append(where)
        elif kind == "unsupported":
            missing.append(where)
        else:
            causes.append(Cause(field=dotted(where), message=message, reason=kind))
    return Found(tuple(causes), tuple(unknown), tuple(missing))


_Problem = tuple[str, Path, str]


def _walk(node: Node, value: Any, path: Path) -> Iterator[_Problem]:
    if value is None:
        return  # Kubernetes drops nulls of fields that are not nullable
    if not node.supported:
        yield "unsupported", path, ""
    elif node.kind == "object":
        yield from _object(node, value, path)
    elif node.kind == "array":
        if not isinstance(value, list):
            yield _type(value, "array", path)
            return
        for index, item in enumerate(value):
            yield from _walk(node.items or STRING, item, (*path, index))
    else:
        yield from _scalar(node, value, path)


def _object(node: Node, value: Any, path: Path) -> Iterator[_Problem]:
    if not isinstance(value, dict):
        yield _type(value, "object", path)
        return
    for name in node.required:
        if value.get(name) is None:
            yield "FieldValueRequired", (*path, name), "Required value"
    given = [name for name in node.one_of if value.get(name) is not None]
    if len(given) > 1:
        yield (
            "FieldValueInvalid",
            path,
            f"Invalid value: must validate one and only one schema (oneOf); found {', '.join(given)}",
        )
    for name, item in value.items():
        if node.items is not None:
            yield from _walk(node.items, item, (*path, name))
        elif name in node.fields:
            yield from _walk(node.fields[name], item, (*path, name))
        else:
            yield "unknown", (*path, name), ""


def _scalar(node: Node, value: Any, path: Path) -> Iterator[_Problem]:
    if node.kind in ("string", "duration") and not isinstance(value, str):
        yield _type(value, "string", path)
    elif node.kind == "boolean" and not isinstance(value, bool):
        yield _type(value, "boolean", path)
    elif node.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield _type(value, "number", path)
    elif node.kind == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            yield _type(value, "integer", path)
        elif node.minimum is not None and value < node.minimum:
            yield (
                "FieldValueInvalid",
                path,
                f"Invalid value: {value}: should be greater than or equal to {node.minimum}",
            )
        elif node.maximum is not None and value > node.maximum:
            yield "FieldValueInvalid", path, f"Invalid value: {value}: should be less than or equal to {node.maximum}"
    elif node.enum and value not in node.enum:
        listed = ", ".join(f'"{one}"' for one in node.enum)
        yield "FieldValueNotSupported", path, f'Unsupported value: "{value}": supported values: {listed}'
    elif node.kind == "duration":
        amount = nanoseconds(value)
        if amount is None or amount < 10**6:
            yield "FieldValueInvalid", path, f'Invalid value: "{value}": must be a valid duration greater than 1ms'


def _type(value: Any, expected: str, path: Path) -> _Problem:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    found = names.get(type(value), type(value).__name__)
    message = f'Invalid value: "{found}": {dotted(path)} in body must be of type {expected}: "{found}"'
    return "FieldValueTypeInvalid", path, message
