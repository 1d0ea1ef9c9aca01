"""The least share of good events, as people write it."""

from __future__ import annotations

from typing import Annotated, Any

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
