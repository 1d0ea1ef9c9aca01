"""Label and field selectors, read as Kubernetes reads them: what is not understood is refused and never ignored.

The messages are those of ``apimachinery/pkg/labels/selector.go`` and ``pkg/fields/selector.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.lab.api.errors import bad_request
from chaos.lab.api.metadata import label_value_problems, qualified_name_problems
from chaos.lab.api.validation import Cause

_TOKENS: Final = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_SPECIAL: Final = frozenset(("=", "==", "!=", "!", "<", ">", "(", ")", ","))
_OPERATORS: Final = {"=": "in", "==": "in", "!=": "notin", "in": "in", "notin": "notin", ">": "gt", "<": "lt"}
_SETS: Final = ("in", "notin")


@dataclass(frozen=True)
class Requirement:
    """One part of a label selector: ``in``, ``notin``, ``gt``, ``lt``, ``exists`` or ``absent``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it."""
        value = labels.get(self.key)
        if self.operator in ("gt", "lt"):
            if value is None or not re.fullmatch(r"[+-]?\d+", value):
                return False
            return int(value) > int(self.values[0]) if self.operator == "gt" else int(value) < int(self.values[0])
        if self.operator in _SETS:
            return (value in self.values) is (self.operator == "in")
        return (value is not None) is (self.operator == "exists")


@dataclass(frozen=True)
class Selector:
    """What a list or a watch is narrowed to.

    Raises:
        ApiError: 400, one of them can't be read.
    """

    labels: str = ""
    fields: str = ""
    _labels: tuple[Requirement, ...] = field(init=False, default=())
    _fields: tuple[tuple[str, bool, str], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_labels", _LabelParser(self.labels).requirements())
        parts = [part for part in self.fields.split(",") if part]
        object.__setattr__(self, "_fields", tuple(_field(part, self.fields) for part in parts))

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields that are asked for."""
        return tuple(path for path, _, _ in self._fields)

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object is selected."""
        labels = obj["metadata"].get("labels") or {}
        return all(part.holds(labels) for part in self._labels) and all(
            (str(_path(obj, path)) == value) is equal for path, equal, value in self._fields
        )


class _LabelParser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKENS.findall(text)
        self._at = 0

    def requirements(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while True:
            part = self._peek()
            if part == "" and not found:
                return ()
            if part != "!" and (part in _SPECIAL or part == ""):
                raise bad_request(f"found '{part}', expected: !, identifier, or 'end of string'")
            found.append(self._requirement())
            part = self._next()
            if part == "":
                return tuple(found)
            if part != ",":
                raise bad_request(f"found '{part}', expected: ',' or 'end of string'")
            if self._peek() != "!" and (self._peek() in _SPECIAL or self._peek() == ""):
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._next()
        key = self._next()
        if key in _SPECIAL or key == "":
            raise _unparsable(f"found '{key}', expected: identifier")
        problems = qualified_name_problems(key)
        if problems:
            raise _unparsable(f"<nil>: {Cause.invalid('', key, problems[0]).message}")
        if absent or self._peek() in ("", ","):
            return Requirement(key, "absent" if absent else "exists")
        sign = self._next()
        if sign not in _OPERATORS:
            raise _unparsable(f"found '{sign}', expected: in, notin, =, ==, !=, gt, lt")
        operator = _OPERATORS[sign]
        values = self._set() if sign in _SETS else (self._exact(),)
        for at, value in enumerate(values):
            if operator in ("gt", "lt") and not re.fullmatch(r"[+-]?\d+", value):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _unparsable(f"values[{at}]: {Cause.invalid('', value, why).message}")
            problems = label_value_problems(value)
            if problems:
                raise _unparsable(f"values[{at}][{key}]: {Cause.invalid('', value, problems[0]).message}")
        return Requirement(key, operator, values)

    def _exact(self) -> str:
        if self._peek() in ("", ","):
            return ""
        value = self._next()
        if value in _SPECIAL:
            raise _unparsable(f"found '{value}', expected: identifier")
        return value

    def _set(self) -> tuple[str, ...]:
        part = self._next()
        if part != "(":
            raise _unparsable(f"found '{part}', expected: '('")
        values: list[str] = []
        value = ""
        while True:
            part = self._next()
            if part in (",", ")"):
                values.append(value)
                value = ""
                if part == ")":
                    return tuple(dict.fromkeys(values))
            elif part in _SPECIAL or part == "" or value:
                raise _unparsable(f"found '{part}', expected: ',' or ')'")
            else:
                value = part

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        part = self._peek()
        self._at += 1
        return part


def _unparsable(why: str) -> Exception:
    return bad_request(f"unable to parse requirement: {why}")


def _field(part: str, whole: str) -> tuple[str, bool, str]:
    for operator, equal in (("!=", False), ("==", True), ("=", True)):
        path, sign, value = part.partition(operator)
        if sign:
            return path, equal, value
    raise bad_request(f"invalid selector: '{whole}'; can't understand '{part}'")


def _path(obj: Mapping[str, Any], path: str) -> Any:
    node: Any = obj
    for step in path.split("."):
        node = node.get(step) if isinstance(node, Mapping) else None
    return "" if node is None else node
