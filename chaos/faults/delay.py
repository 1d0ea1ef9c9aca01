"""Delay: the caller's proxy holds a request back."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from chaos.values.declared import Declared
from chaos.values.percentage import Percentage
from chaos.values.quantities import Duration


class Delay(Declared):
    """Requests held back by the caller's proxy before they are sent on."""

    percentage: Percentage = Field(description="percent of the matching requests, over 0 to 100")
    fixed_delay: Duration = Field(description="how long, at least 1ms")

    @model_validator(mode="after")
    def _at_least_a_millisecond(self) -> Self:
        if self.fixed_delay < timedelta(milliseconds=1):
            raise ValueError("fixedDelay: expected at least 1ms")
        return self
