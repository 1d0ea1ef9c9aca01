"""What a JSON Schema says beyond types: which keys need each other, and which exclude each other.

Validation says the same in Python; ``tests/property/test_schema.py`` compares both.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

Condition = dict[str, Any]

_NOTHING: Final[tuple[Any, ...]] = (None, False, [], {})
"""What a key has that is not given, or given as nothing."""


def given(key: str) -> Condition:
    """A key is there, and has more than nothing."""
    return {"required": [key], "properties": {key: {"not": {"enum": list(_NOTHING)}}}}


def any_of(*keys: str) -> Condition:
    """At least one of them is given."""
    return {"anyOf": [given(key) for key in keys]}


def one_of(*keys: str) -> Condition:
    """Exactly one of them is given."""
    return {"oneOf": [given(key) for key in keys]}


def none_of(*keys: str) -> Condition:
    """None of them is given."""
    return {"not": any_of(*keys)}


def at_most_one_of(*keys: str) -> Condition:
    """No two of them are given."""
    return {"not": {"anyOf": [{"allOf": [given(one), given(other)]} for one, other in combinations(keys, 2)]}}


def inside(key: str, *conditions: Condition) -> Condition:
    """What a key has, if it is there, meets them."""
    return all_of({"properties": {key: all_of(*conditions)}})


def all_of(*conditions: Condition) -> Condition:
    """All of them, beside what else a schema says."""
    return {"allOf": list(conditions)}
