"""Delay: the caller's proxy holds a request back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from chaos.faults.kind import FilterKind
from chaos.values.quantities import Duration, format_duration


class Delay(FilterKind):
    """Requests held back by the caller's proxy before they are sent on."""

    key = "delay"
    done = "delayed"
    colour = "#e08a00"
    flag = "DI"
    answers = False
    effects = ("fixedDelay",)
    percentages = ("delay.percentage.value", "delay.percent")
    held_by = "fixedDelay"

    fixed_delay: Duration = Field(description="how long, at least 1ms")

    if TYPE_CHECKING:

        def __init__(self, *, percentage: float, fixed_delay: timedelta | str) -> None: ...

    @model_validator(mode="after")
    def _at_least_a_millisecond(self) -> Self:
        if self.fixed_delay < timedelta(milliseconds=1):
            raise ValueError("fixedDelay: expected at least 1ms")
        return self

    def written(self) -> dict[str, Any]:
        """Its part of HTTPFaultInjection."""
        return {"percentage": {"value": self.percentage}, "fixedDelay": format_duration(self.fixed_delay)}

    @property
    def held(self) -> timedelta:
        """The declared delay."""
        return self.fixed_delay

    def __str__(self) -> str:
        return f"delay of {self.percentage:g}% by {format_duration(self.fixed_delay)}"
