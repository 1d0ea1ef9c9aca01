"""Moves a share of the requests from one version of a service to another, by the weights of a VirtualService. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import http_routes

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Way:
    """Which requests are shifted, and where to.

    Args:
        source: A subset, or a host, that the routes name.
        target: Likewise; where no route names it yet, it is a subset of the source's host, or a host of its own.
        is_host: It is a host of its own.
    """

    source: str
    target: str
    is_host: bool = False


def share_of(vs: Object, way: Way) -> float | None:
    """The share of the target, of what goes to either now, in percent; ``None`` where no route leads to one of them.

    Where routes differ, the smallest: one for testers may have all of it at the target already.
    """
    shares = [100 * to / (from_ + to) for _, from_, to in _weights(vs, way)]
    return min(shares, default=None)


def shifted(vs: Object, way: Way, percent: float) -> dict[str, Any]:
    """The spec in which the target has at least this share of what goes to either; weights are whole numbers of Istio's.

    A route in which it has more stays as it is.
    """
    spec: dict[str, Any] = copy.deepcopy(dict(vs["spec"]))
    for at, from_, to in _weights(vs, way):
        both = from_ + to
        mine = max(to, round(both * percent / 100))
        parts = spec["http"][at]["route"]
        source = next(one for one in parts if _is(one, way.source, vs)) if _has(parts, way.source, vs) else None
        if source is None:
            continue  # all of it is at the target already
        if not _has(parts, way.target, vs):
            before = source["destination"]
            own = {key: before[key] for key in ("port",) if key in before}
            destination = {**own, "host": way.target} if way.is_host else {**before, "subset": way.target}
            parts.append({**source, "destination": destination})
        for one in parts:
            if _is(one, way.target, vs):
                one["weight"] = mine
            elif _is(one, way.source, vs):
                one["weight"] = both - mine
    return spec


def destinations_named(vs: Object, name: str) -> Sequence[Mapping[str, Any]]:
    """The destinations of all routes that are this subset, or this host."""
    parts = (one for route in http_routes(vs) for one in route.get("route") or () if _is(one, name, vs))
    return [one["destination"] for one in parts]


def _weights(vs: Object, way: Way) -> Iterator[tuple[int, int, int]]:
    """The routes that lead to either, by their index, with the weights of source and target; one without has all."""
    for at, route in enumerate(http_routes(vs)):
        parts = route.get("route") or ()
        whole = 100 if len(parts) == 1 else 0
        from_ = sum(int(one.get("weight") or whole) for one in parts if _is(one, way.source, vs))
        to = sum(int(one.get("weight") or whole) for one in parts if _is(one, way.target, vs))
        if from_ + to:
            yield at, from_, to


def _has(parts: Any, name: str, vs: Object) -> bool:
    return any(_is(one, name, vs) for one in parts)


def _is(part: Mapping[str, Any], name: str, vs: Object) -> bool:
    destination = part.get("destination") or {}
    if destination.get("subset"):
        return bool(destination["subset"] == name)
    namespace = vs["metadata"]["namespace"]
    return resolve_host(str(destination.get("host", "")), namespace) == resolve_host(name, namespace)
