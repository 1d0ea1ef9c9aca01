"""A small schema language, by which the API server checks an object of Istio's: the structural part of the CRDs.

Every field that the CRDs have is in a schema; those that the lab does not support are marked, so that using one is an
error with its path and never ignored.
``docs/adr/0016`` says why the fields come from no package; the contract tests compare them with Istio's CRDs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.istio.durations import nanoseconds
from chaos.lab.api.validation import Cause, Path, dotted

Rule = tuple[str, Callable[[Any], bool]]
"""A rule of ``x-kubernetes-validations``: what is said where it is broken, and whether a value keeps it."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """What a value may be.

    Args:
        kind: ``object``, ``array``, ``string``, ``bytes`` (base64), ``duration`` (at least 1ms), ``integer``, ``number``,
            ``boolean``, ``any``.
        fields: Of an object.
        items: Of an array; of an object with free keys.
        required: Fields of an object that must be there.
        one_of: Groups of fields of which at most one may be given.
        unique: The field by which the items of an array are told apart, where the CRD says that they are.
        shortest: Fewest items of an array, fields of an object.
        longest: Most items, fields, characters of a string.
        rules: More that must hold.
        supported: Whether the lab does what it says.
    """

    kind: str
    fields: Mapping[str, Node] = field(default_factory=dict)
    items: Node | None = None
    required: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    unique: str = ""
    shortest: int = 0
    longest: int | None = None
    rules: tuple[Rule, ...] = ()
    supported: bool = True


def obj(
    fields: Mapping[str, Node],
    *,
    required: tuple[str, ...] = (),
    one_of: tuple[tuple[str, ...], ...] = (),
    rules: tuple[Rule, ...] = (),
) -> Node:
    """An object with these fields."""
    return Node(kind="object", fields=fields, required=required, one_of=one_of, rules=rules)


def array(items: Node, **more: Any) -> Node:
    """An array of these."""
    return Node(kind="array", items=items, **more)


def mapping(items: Node, **more: Any) -> Node:
    """An object with free keys."""
    return Node(kind="object", items=items, **more)


def text(**more: Any) -> Node:
    """A string."""
    return Node(kind="string", **more)


def choice(*values: str) -> Node:
    """One of these strings."""
    return Node(kind="string", enum=values)


def unsupported() -> Node:
    """A field that Istio has and the lab does not."""
    return Node(kind="any", supported=False)


STRING: Final = text()
BOOLEAN: Final = Node(kind="boolean")
NUMBER: Final = Node(kind="number")
INT32: Final = Node(kind="integer", minimum=-(2**31), maximum=2**31 - 1)
UINT32: Final = Node(kind="integer", minimum=0, maximum=2**32 - 1)
UINT64: Final = Node(kind="integer", minimum=0, maximum=2**63 - 1)
PORT: Final = Node(
    kind="integer",
    minimum=0,
    maximum=2**32 - 1,
    rules=(("port must be between 1-65535", lambda number: 0 < number <= 65535),),
)
DURATION: Final = Node(kind="duration")
STRINGS: Final = array(STRING)
LABELS: Final = mapping(STRING)
STRING_MATCH: Final = obj({"exact": STRING, "prefix": STRING, "regex": STRING}, one_of=(("exact", "prefix", "regex"),))
STRING_MATCHES: Final = mapping(STRING_MATCH)
_NO_WILDCARD: Final = ("wildcard not allowed in label value match", lambda value: "*" not in value)
SELECTED: Final = mapping(text(longest=63, rules=(_NO_WILDCARD,)), longest=256)
"""The labels of a networking workload selector."""
MATCH_LABELS: Final = mapping(
    text(longest=63, rules=(_NO_WILDCARD,)),
    longest=4096,
    rules=(
        ("wildcard not allowed in label key match", lambda labels: not any("*" in key for key in labels)),
        ("key must not be empty", lambda labels: "" not in labels),
    ),
)
"""The labels of a selector of the security API."""


@dataclass(frozen=True)
class Found:
    """What a walk over an object found.

    Args:
        value: As Istio gets it: without unknown fields and nulls. What the lab does not support is there as ``None``.
        nulls: Fields that are null; Kubernetes drops them (apiextensions ``defaulting/prune.go``), but not from lists.
    """

    value: Any
    causes: tuple[Cause, ...]
    unknown: tuple[Path, ...]
    nulls: tuple[Path, ...]
    unsupported: tuple[Path, ...]


def check(node: Node, value: Any, path: Path) -> Found:
    """Checks a value by a schema."""
    walk = _Walk()
    clean = walk.value(node, value, path)
    return Found(clean, tuple(walk.causes), tuple(walk.unknown), tuple(walk.nulls), tuple(walk.unsupported))


class _Walk:
    """Goes as deep as the schema does and no deeper, whatever the value."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []
        self.unknown: list[Path] = []
        self.nulls: list[Path] = []
        self.unsupported: list[Path] = []

    def value(self, node: Node, value: Any, path: Path) -> Any:
        if not node.supported:
            self.unsupported.append(path)
            return None
        known = len(self.causes)
        if node.kind == "object":
            value = self._object(node, value, path)
        elif node.kind == "array":
            value = self._array(node, value, path)
        else:
            if node.kind == "integer" and isinstance(value, float) and value.is_integer():
                value = int(value)
            self.causes.extend(_scalar(node, value, path))
        if len(self.causes) == known:  # rules are asked about what is well-formed only
            self.causes.extend(_bounds(node, value, path))
            for message, kept in node.rules:
                if not kept(value):
                    self._cause(path, f"Invalid value: {message}")
        return value

    def _object(self, node: Node, value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            self.causes.append(_type(value, "object", path))
            return value
        clean = {}
        for name, item in value.items():
            below = node.items or node.fields.get(name)
            if below is None:
                self.unknown.append((*path, name))
            elif item is None:
                self.nulls.append((*path, name))
            else:
                clean[name] = self.value(below, item, (*path, name))
        for name in node.required:
            if name not in clean:
                self._cause((*path, name), "Required value", "FieldValueRequired")
        for group in node.one_of:
            given = [name for name in group if name in clean]
            if len(given) > 1:
                # Kubernetes names the field in the words alone (kube-openapi ``validation/errors``).
                told = f'"{dotted(path)}" must validate one and only one schema (oneOf). Found {len(given)} valid alternatives'
                self.causes.append(Cause(field="<nil>", message=f'Invalid value: "": {told}'))
        return clean

    def _array(self, node: Node, value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            self.causes.append(_type(value, "array", path))
            return value
        clean = [self.value(node.items or STRING, item, (*path, index)) for index, item in enumerate(value)]
        if node.unique:
            keys = [item.get(node.unique) for item in clean if isinstance(item, dict)]
            for index, key in enumerate(keys):
                if key in keys[:index]:
                    self._cause((*path, index), f'Duplicate value: {{"{node.unique}":"{key}"}}', "FieldValueDuplicate")
        return clean

    def _cause(self, path: Path, message: str, reason: str = "FieldValueInvalid") -> None:
        self.causes.append(Cause(field=dotted(path), message=message, reason=reason))


def _scalar(node: Node, value: Any, path: Path) -> Iterator[Cause]:
    field_ = dotted(path)
    if node.kind in ("string", "bytes", "duration") and not isinstance(value, str):
        yield _type(value, "string", path)
    elif node.kind == "boolean" and not isinstance(value, bool):
        yield _type(value, "boolean", path)
    elif node.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield _type(value, "number", path)
    elif node.kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
        yield _type(value, "integer", path)
    elif node.minimum is not None and value < node.minimum:
        yield Cause(
            field=field_,
            message=f"Invalid value: {value}: {field_} in body should be greater than or equal to {node.minimum}",
        )
    elif node.maximum is not None and value > node.maximum:
        yield Cause(
            field=field_,
            message=f"Invalid value: {value}: {field_} in body should be less than or equal to {node.maximum}",
        )
    elif node.enum and value not in node.enum:
        listed = ", ".join(f'"{one}"' for one in node.enum)
        told = f'Unsupported value: "{value}": supported values: {listed}'
        yield Cause(field=field_, message=told, reason="FieldValueNotSupported")
    elif node.kind == "duration":
        amount = nanoseconds(value)
        if amount is None or amount < 10**6:
            yield Cause(field=field_, message='Invalid value: "string": must be a valid duration greater than 1ms')
    elif node.kind == "bytes":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            yield Cause(field=field_, message=f'Invalid value: "{value}": must be of type byte (base64)')


def _bounds(node: Node, value: Any, path: Path) -> Iterator[Cause]:
    if node.longest is not None and len(value) > node.longest:
        yield Cause(field=dotted(path), message=f"Too long: may not have more than {node.longest}")
    if node.shortest and len(value) < node.shortest:
        yield Cause(field=dotted(path), message=f"Invalid value: should have at least {node.shortest}")


def _type(value: Any, expected: str, path: Path) -> Cause:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    found = "null" if value is None else names.get(type(value), type(value).__name__)
    told = f'Invalid value: "{found}": {dotted(path)} in body must be of type {expected}: "{found}"'
    return Cause(field=dotted(path), message=told, reason="FieldValueTypeInvalid")
