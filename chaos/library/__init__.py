"""Ready-made experiments for common questions about a service and what it depends on.

A file ``uses`` a template by its name; in Python each one is a function that returns an ordinary experiment. Pure.

    >>> from chaos import library
    >>> library.dependency_down("stock-down", service="inventory-svc", caller="order-svc", path="/orders/42").name
    'stock-down'
"""

from __future__ import annotations

from typing import Final

from chaos.library.aborted import (
    DependencyDown,
    Flapping,
    PartlyFailing,
    RateLimited,
    dependency_down,
    flapping,
    partly_failing,
    rate_limited,
)
from chaos.library.delayed import (
    DependencySlow,
    Hanging,
    SlowerThanItsTimeOut,
    dependency_slow,
    hanging,
    slower_than_its_time_out,
)
from chaos.library.template import Template

__all__ = [
    "dependency_down",
    "dependency_slow",
    "flapping",
    "hanging",
    "partly_failing",
    "rate_limited",
    "slower_than_its_time_out",
]

TEMPLATES: Final[tuple[type[Template], ...]] = (
    DependencyDown,
    DependencySlow,
    SlowerThanItsTimeOut,
    Hanging,
    PartlyFailing,
    RateLimited,
    Flapping,
)
"""Every template; each has a function of its name."""
