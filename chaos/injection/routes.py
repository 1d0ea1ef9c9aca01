"""Puts a fault into HTTP routes. Pure: the given routes are never changed.

Where the fault is narrowed, a copy of each route with the narrower match stands right before the original, so that
every other request finds the routes as they were: first match wins, and the order of the originals is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.faults.fault import Fault
from chaos.injection.matching import Block, narrow

Route = Mapping[str, Any]


def can_carry(route: Route) -> bool:
    """Whether a route may carry a fault: it forwards; Istio rejects a fault beside redirect or directResponse."""
    return "route" in route and "redirect" not in route and "directResponse" not in route


def faulted(route: Route, fault: Fault, *, name: str, scope: Sequence[Block]) -> dict[str, Any] | None:
    """The copy of a route that carries the fault for the requests in scope; ``None`` where there are none.

    Raises:
        NotExpressible: the route's match and the scope can't be joined.
    """
    if not can_carry(route):
        return None
    made = {**fault.put_into(copy.deepcopy(dict(route))), "name": name}
    if any(not block for block in scope):
        return made
    own: Sequence[Block] = made.get("match") or [{}]
    blocks = [joined for block in own for part in scope if (joined := narrow(block, part)) is not None]
    return {**made, "match": blocks} if blocks else None


def inject(routes: Sequence[Route], fault: Fault, *, name: str, scope: Sequence[Block]) -> list[dict[str, Any]]:
    """The routes with the fault for the requests that one of the ``scope`` blocks matches.

    Raises:
        NotExpressible: a route's match and the scope can't be joined.
    """
    result: list[dict[str, Any]] = []
    everything = any(not block for block in scope)
    for route in routes:
        made = faulted(route, fault, name=name, scope=scope)
        if made is not None:
            result.append(made)
        if made is None or not everything:
            result.append(copy.deepcopy(dict(route)))
    return result
