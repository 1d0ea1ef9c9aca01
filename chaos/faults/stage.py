"""A stage of a fault: for how long it is as strong as this."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Self

from pydantic import ConfigDict, Field, model_validator

from chaos.values.conditions import all_of, at_most_one_of
from chaos.values.declared import Declared
from chaos.values.quantities import Duration, Percentage, format_duration, shorter_than

SHORTEST: Final = timedelta(seconds=5)
"""Shortest time of a stage: what is counted in less says little."""
CHANGE: Final = timedelta(seconds=5)
"""What a change from one stage to the next may take until the proxies have it, beside the stages' own times."""


class Stage(Declared):
    """A part of a fault's time: ``Stage("30s", percentage=10)``, or ``Stage("10s", off=True)``."""

    positional: ClassVar[tuple[str, ...]] = ("lasts",)
    model_config = ConfigDict(json_schema_extra={"required": ["for"], **all_of(at_most_one_of("percentage", "off"))})

    lasts: Duration = Field(
        alias="for",
        json_schema_extra={"not": shorter_than(SHORTEST.seconds)},
        description="how long, from the moment from which all callers' proxies have it; at least 5s",
    )
    percentage: Percentage | None = Field(
        None, description="percent of the matching requests; without it, what the abort and the delay declare"
    )
    off: bool = Field(False, strict=True, description="no fault in this stage")

    if TYPE_CHECKING:

        def __init__(self, lasts: timedelta | str, *, percentage: float | None = None, off: bool = False) -> None: ...

    @model_validator(mode="after")
    def _useful(self) -> Self:
        if self.lasts < SHORTEST:
            raise ValueError(f"for: expected at least {format_duration(SHORTEST)}")
        if self.off and self.percentage is not None:
            raise ValueError("expected percentage or off, and not both")
        return self

    def __str__(self) -> str:
        strength = "off" if self.off else "as declared" if self.percentage is None else f"{self.percentage:g}%"
        return f"{strength} for {format_duration(self.lasts)}"
