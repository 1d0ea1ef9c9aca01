"""How orders end in the shop in memory, and what their answers say."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from chaos.values.content import Content


class Says(Enum):
    """The content of an order's answer."""

    WHOLE = Content({"x-stock": "live"}, b'{"order": {"id": "42"}, "stock": 7, "degraded": false}')
    DEGRADED = Content({"x-stock": "unknown"}, b'{"order": {"id": "42"}, "stock": null, "degraded": true}')
    """Without the stock, and it says so."""
    FOREIGN = Content({"x-stock": "live"}, b'{"order": {"id": "7"}, "stock": 7, "degraded": false}')
    """Somebody else's order."""
    NOTHING = Content({}, b"")
    """It failed."""


class Order(NamedTuple):
    """How an order ends: its status, Envoy's flags, the milliseconds that it took, the content of its answer, its gRPC status."""

    code: int
    flags: str
    took: float
    says: Says
    grpc: str = ""
