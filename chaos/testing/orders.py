"""How orders end in the shop in memory, and what their answers say."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from chaos.values.content import Content

LATENCY: Final = 20.0
"""Milliseconds that an answer takes where nothing is delayed."""


class Says(Enum):
    """The content of an order's answer."""

    WHOLE = Content({"x-stock": "live"}, b'{"order": {"id": "42"}, "stock": 7, "degraded": false}')
    DEGRADED = Content({"x-stock": "unknown"}, b'{"order": {"id": "42"}, "stock": null, "degraded": true}')
    """Without the stock, and it says so."""
    FOREIGN = Content({"x-stock": "live"}, b'{"order": {"id": "7"}, "stock": 7, "degraded": false}')
    """Somebody else's order."""
    FAILED = Content({}, b"inventory-svc does not answer")


class Order(NamedTuple):
    """How an order ends.

    Args:
        code: HTTP status.
        slow: Its call was delayed.
        says: The content of its answer.
    """

    code: int = 200
    slow: bool = False
    says: Says = Says.WHOLE

    def takes(self, late: float) -> float:
        """Milliseconds, where a delay has ``late``."""
        return LATENCY + late * self.slow


FAILED: Final = Order(code=500, says=Says.FAILED)
