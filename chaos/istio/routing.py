"""Which of a VirtualService's routes somebody can follow at all. Pure.

A route that is for other namespaces, or that an earlier one always precedes, leads nobody anywhere: first match wins
(istiod ``route.go`` BuildHTTPRoutesForVirtualService), and source selectors are compared when a proxy's routes are built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.virtual_services import ignored_selectors, is_for_sidecars

Block = Mapping[str, Any]

_NAMES: Final = ("name", "statPrefix")
"""What a match block has beside conditions."""
_ANY_PATH: Final = ({"prefix": "/"}, {"regex": ".*"})
_MAPS: Final = ("headers", "withoutHeaders", "queryParams", "sourceLabels")


def followed(routes: Sequence[Mapping[str, Any]], namespace: str) -> Iterator[Mapping[str, Any]]:
    """The routes that sidecars of a namespace can follow."""
    earlier: list[Block] = []
    for route in routes:
        blocks = [_simple(block) for block in route.get("match") or [{}] if _for(block, namespace)]
        if any(not any(_covers(one, block) for one in earlier) for block in blocks):
            yield route
        earlier += blocks


def _for(block: Block, namespace: str) -> bool:
    ignored = "sourceNamespace" in ignored_selectors(block)
    return is_for_sidecars(block) and (ignored or block.get("sourceNamespace") in (None, "", namespace))


def _simple(block: Block) -> Block:
    """The conditions that are left to ask of a request, once the proxy is one of those it is for."""
    dropped = {*_NAMES, "gateways", "sourceNamespace", *ignored_selectors(block)}
    kept = {key: value for key, value in block.items() if key not in dropped and value}
    if kept.get("uri") in _ANY_PATH:
        del kept["uri"]
    return kept


def _covers(wide: Block, narrow: Block) -> bool:
    """Whether every request that matches ``narrow`` matches ``wide``; where that is not plain, no."""
    if wide.get("ignoreUriCase") != narrow.get("ignoreUriCase") and "uri" in wide:
        return False
    for key, wanted in wide.items():
        asked = narrow.get(key)
        if key == "ignoreUriCase":
            continue
        if asked is None:
            return False
        if key in _MAPS:
            if any(name not in asked or asked[name] != value for name, value in wanted.items()):
                return False
        elif asked != wanted and not (key == "uri" and _prefixes(wanted, asked)):
            return False
    return True


def _prefixes(wide: Mapping[str, str], narrow: Mapping[str, str]) -> bool:
    """Whether one prefix covers another, or an exact path."""
    own = narrow.get("prefix", narrow.get("exact"))
    return "prefix" in wide and own is not None and own.startswith(wide["prefix"])
