"""Percent of requests, as Istio takes it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a plain number, such as 50 or 0.5")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number, such as 50 or 0.5")
    if abs(value) <= 1000 and Decimal(repr(value)) % Decimal("0.0001"):
        raise ValueError("expected steps of 0.0001 (Envoy counts in millionths)")
    return value


Percentage = Annotated[float, BeforeValidator(_number), Field(gt=0, le=100)]
"""Percent of requests, over 0 to 100. Istio ignores a fault without one, so it is required."""
