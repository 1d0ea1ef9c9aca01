"""Delay: the caller's proxy holds a request back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from chaos.faults.kind import FilterKind
from chaos.values.quantities import SomeTime, format_duration


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

    fixed_delay: SomeTime = Field(description="how long, at least 1ms")

    if TYPE_CHECKING:

        def __init__(self, *, percentage: float, fixed_delay: timedelta | str) -> None: ...

    def written(self) -> dict[str, Any]:
        """Its part of HTTPFaultInjection."""
        return {"percentage": {"value": self.percentage}, "fixedDelay": format_duration(self.fixed_delay)}

    @property
    def held(self) -> timedelta:
        """The declared delay."""
        return self.fixed_delay

    def __str__(self) -> str:
        return f"delay of {self.percentage:g}% by {format_duration(self.fixed_delay)}"
