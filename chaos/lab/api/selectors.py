"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.lab.api.errors import bad_request

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")


@dataclass(frozen=True)
class Selector:
    """What a list or a watch is narrowed to."""

    labels: str = ""
    fields: str = ""
    _labels: tuple[tuple[str, str, tuple[str, ...]], ...] = field(init=False, default=())
    _fields: tuple[tuple[str, bool, str], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_labels", tuple(_label(part) for part in _split(self.labels)))
        object.__setattr__(self, "_fields", tuple(_field(part) for part in _split(self.fields)))

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields that are asked for."""
        return tuple(path for path, _, _ in self._fields)

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object is selected."""
        labels = obj["metadata"].get("labels") or {}
        return all(_holds(labels, *part) for part in self._labels) and all(
            (str(_path(obj, path)) == value) is equal for path, equal, value in self._fields
        )


def _split(text: str) -> list[str]:
    parts = re.findall(r"[^,(]+(?:\([^)]*\))?", text)
    return [part for part in parts if part.strip()]


def _label(part: str) -> tuple[str, str, tuple[str, ...]]:
    found = _SET.match(part)
    if found:
        return found[1], found[2], tuple(value.strip() for value in found[3].split(","))
    for operator, name in (("!=", "notin"), ("==", "in"), ("=", "in")):
        key, sign, value = part.partition(operator)
        if sign:
            return key.strip(), name, (value.strip(),)
    key = part.strip()
    return (key[1:].strip(), "absent", ()) if key.startswith("!") else (key, "exists", ())


def _field(part: str) -> tuple[str, bool, str]:
    for operator, equal in (("!=", False), ("==", True), ("=", True)):
        path, sign, value = part.partition(operator)
        if sign:
            return path.strip(), equal, value.strip()
    raise bad_request(f"invalid field selector: {part!r}")


def _holds(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
    if operator == "in":
        return labels.get(key) in values
    if operator == "notin":
        return labels.get(key) not in values
    return (key in labels) == (operator == "exists")


def _path(obj: Mapping[str, Any], path: str) -> Any:
    node: Any = obj
    for step in path.split("."):
        node = node.get(step) if isinstance(node, Mapping) else None
    return "" if node is None else node
