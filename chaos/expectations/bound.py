"""Bounds as people write them: a least share, a largest share, a largest number."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from chaos.values.quantities import format_share, parse_share


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


def _bound(value: Any) -> Any:
    if isinstance(value, Bound):
        return value
    if isinstance(value, str) and value.strip().startswith("baseline"):
        rest = value.strip().removeprefix("baseline").strip()
        if not rest:
            return Bound(share=0.0, relative=True)
        if rest.startswith("-"):
            return Bound(share=parse_share(rest[1:].strip()), relative=True)
        raise ValueError("expected 'baseline' or 'baseline - 0.5%'")
    return Bound(share=parse_share(value))


AtLeast = Annotated[
    Bound,
    BeforeValidator(_bound),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["99%", "baseline - 0.5%"]}),
]


class Most(BaseModel):
    """The largest mean number of something: a number, or so many times the mean of the baseline."""

    model_config = ConfigDict(frozen=True)
    number: float
    relative: bool = False

    def __str__(self) -> str:
        return f"baseline * {self.number:g}" if self.relative else f"{self.number:g}"


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
        "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^baseline\s*\*\s*\d+(\.\d+)?$"}],
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


_LIMIT: Final = re.compile(r"at (least|most)\s+(.+)")
AtLeastOrMost = Annotated[
    Limit,
    BeforeValidator(_limit),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^at (least|most) \d+(\.\d+)?\s*%$", "examples": ["at most 5%", "at least 20%"]}),
]  # fmt: skip
