"""Bounds as people write them: a least share, a largest share, a largest number."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)

from chaos.values.quantities import CERTAIN, SHARE_PATTERN, format_number, format_share, parse_share, read_share


class Bound(BaseModel):
    """The least share of good events: a share, or the baseline's observed share less a margin."""

    model_config = ConfigDict(frozen=True)
    share: float
    relative: bool = False

    def __str__(self) -> str:
        if not self.relative:
            return format_share(self.share)
        return f"baseline - {format_share(self.share)}" if self.share else "baseline"

    def resolved(self, share: float) -> str:
        """In words, with the share that a relative one came to."""
        return f"{self} (here {100 * share:.4g}%)" if self.relative else str(self)


def _bound(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Bound):
        return value
    if isinstance(value, str) and value.strip().startswith("baseline"):
        rest = value.strip().removeprefix("baseline").strip()
        if not rest:
            return Bound(share=0.0, relative=True)
        if rest.startswith("-"):
            return Bound(share=parse_share(rest[1:].strip()), relative=True)
        raise ValueError("expected 'baseline' or 'baseline - 0.5%'")
    return Bound(share=read_share(value, info))


def _absolute(value: Bound) -> Bound:
    if value.relative:
        raise ValueError("expected a share; only duringFault can be relative, since atLeast judges the baseline")
    return value


AtLeast = Annotated[
    Bound,
    BeforeValidator(_bound),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({
        "type": "string",
        "pattern": SHARE_PATTERN.replace(r"\s*", r"\s*(baseline\s*-\s*)?", 1).replace("$", r"$|^\s*baseline\s*$"),
        "examples": ["99%", "baseline - 0.5%"],
    }),
]  # fmt: skip
Absolute = Annotated[
    AtLeast,
    AfterValidator(_absolute),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": ["99%", "99.5%"]}),
]
"""A bound that is not relative."""


class Most(BaseModel):
    """The largest mean number of something: a number, or so many times the mean of the baseline."""

    model_config = ConfigDict(frozen=True)
    number: float
    relative: bool = False

    def __str__(self) -> str:
        return f"baseline * {format_number(self.number)}" if self.relative else format_number(self.number)


_OVER_ONE: Final = r"0*(([2-9]|[1-9]\d+)(\.\d+)?|1\.\d*[1-9]\d*)"
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_TIMES: Final = re.compile(r"baseline\s*\*\s*(\d+(\.\d+)?)")


def read_most(value: Any) -> Most:
    """The largest number as it is declared.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, Most):
        return value
    if isinstance(value, str) and (found := _TIMES.fullmatch(value.strip())):
        if float(found[1]) <= 1:
            raise ValueError(
                "expected 'baseline * ' and a number over 1, since nothing surely stays below its own mean"
            )
        return Most(number=float(found[1]), relative=True)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)  # as a record has it
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise ValueError("expected a number over 0, such as 2, or 'baseline * 2'")
    return Most(number=float(value))


AtMost = Annotated[
    Most,
    BeforeValidator(read_most),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e6},
            {"type": "string", "pattern": rf"^((?=.*[1-9])0*\d{{1,6}}(\.\d+)?|\s*baseline\s*\*\s*{_OVER_ONE}\s*)$"},
        ],
        "examples": [2, "baseline * 2"],
    }),
]  # fmt: skip


class Limit(BaseModel):
    """A least or a largest share."""

    model_config = ConfigDict(frozen=True)
    share: float
    least: bool = False

    def __str__(self) -> str:
        return f"at {'least' if self.least else 'most'} {format_share(self.share)}"


def _limit(value: Any) -> Any:
    if isinstance(value, Limit):
        return value
    found = _LIMIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected 'at most 5%' or 'at least 20%'")
    return Limit(share=parse_share(found[2]), least=found[1] == "least")


CERTAIN_LIMIT: Final = rf"^\s*(at (least|most)\s+)?{CERTAIN}\s*$"
"""The pattern of limits that no number of events can prove."""
_LIMIT: Final = re.compile(r"at (least|most)\s+(.+)")
AtLeastOrMost = Annotated[
    Limit,
    BeforeValidator(_limit),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN.replace(r"\s*", r"\s*at (least|most)\s+", 1), "examples": ["at most 5%", "at least 20%"]}),
]  # fmt: skip
