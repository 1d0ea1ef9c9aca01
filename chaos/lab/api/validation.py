"""What a validator says of an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason why an object is not valid, as Kubernetes' ``StatusCause``."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    @classmethod
    def invalid(cls, field: str, value: object, why: str) -> Cause:
        """A value that can't be."""
        return cls(field=field, message=f"Invalid value: {_shown(value)}: {why}")

    @classmethod
    def required(cls, field: str, why: str = "") -> Cause:
        """A value that is missing."""
        return cls(field=field, message=f"Required value{f': {why}' if why else ''}", reason="FieldValueRequired")

    @classmethod
    def forbidden(cls, field: str, why: str) -> Cause:
        """A value that may not be given here."""
        return cls(field=field, message=f"Forbidden: {why}", reason="FieldValueForbidden")

    @classmethod
    def unsupported(cls, field: str, value: object, supported: Sequence[str]) -> Cause:
        """A value that is none of those that there are."""
        known = ", ".join(f'"{one}"' for one in supported)
        message = f"Unsupported value: {_shown(value)}: supported values: {known}"
        return cls(field=field, message=message, reason="FieldValueNotSupported")

    @classmethod
    def too_long(cls, field: str, most: int) -> Cause:
        """A value of too many bytes."""
        return cls(field=field, message=f"Too long: may not be more than {most} bytes", reason="FieldValueTooLong")


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The outcome of validating one object.

    Args:
        causes: What the schema rejects: 422 Invalid.
        denied: What the webhook rejects, as its message: 400.
        warnings: What the webhook says beside accepting it.
        unknown: Fields that the schema does not have: an error under strict field validation; else they are dropped,
            with a warning.
        nulls: Fields that are null where the schema has no null: dropped without a word.
    """

    causes: tuple[Cause, ...] = ()
    denied: str = ""
    warnings: tuple[str, ...] = ()
    unknown: tuple[Path, ...] = ()
    nulls: tuple[Path, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the object may be stored."""
        return not self.causes and not self.denied

    def prune(self, obj: dict[str, Any]) -> None:
        """Drops from the object what Kubernetes does not store of it."""
        for path in sorted((*self.unknown, *self.nulls), key=len, reverse=True):
            node: Any = obj
            for step in path[:-1]:
                node = node[step]
            del node[path[-1]]


def dotted(path: Path) -> str:
    """A path as Kubernetes writes it: ``spec.http[0].route``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


Validator = Callable[[dict[str, Any]], Validation]
