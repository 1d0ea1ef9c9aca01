"""Narrows Istio match blocks: the requests that match both of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chaos.faults.target import Match, StringMatch

Block = dict[str, Any]


class NotExpressible(ValueError):
    """Two match blocks whose intersection Istio has no words for."""


def block_of(match: Match) -> Block:
    """The declared match as an Istio match block."""
    block: Block = {}
    if match.uri is not None:
        block["uri"] = _string(match.uri)
    if match.method is not None:
        block["method"] = _string(match.method)
    if match.headers:
        block["headers"] = {key: _string(value) for key, value in match.headers.items()}
    if match.query_params:
        block["queryParams"] = {key: _string(value) for key, value in match.query_params.items()}
    if match.ignore_uri_case:
        block["ignoreUriCase"] = True
    return block


def _string(match: StringMatch) -> dict[str, str]:
    return match.model_dump(exclude_none=True)


def narrow(base: Mapping[str, Any], extra: Mapping[str, Any]) -> Block | None:
    """The block that matches what both match; ``None`` where nothing can.

    Raises:
        NotExpressible: both ask for the same attribute in ways that can't be joined in one block.
    """
    joined: Block = {key: value for key, value in base.items() if key != "name"}
    for key, value in extra.items():
        if key not in joined:
            joined[key] = value
        elif key in ("headers", "queryParams", "sourceLabels", "withoutHeaders"):
            inner = _narrow_map(joined[key], value, key)
            if inner is None:
                return None
            joined[key] = inner
        elif key in ("uri", "method", "scheme", "authority"):
            both = _narrow_string(joined[key], value, key)
            if both is None:
                return None
            joined[key] = both
        elif joined[key] != value:
            raise NotExpressible(f"both set {key}, to {joined[key]!r} and {value!r}")
    return joined


def _narrow_map(base: Mapping[str, Any], extra: Mapping[str, Any], what: str) -> Mapping[str, Any] | None:
    joined = dict(base)
    for key, value in extra.items():
        if key not in joined:
            joined[key] = value
        elif what == "sourceLabels":
            if joined[key] != value:
                return None
        elif what == "withoutHeaders":
            if joined[key] != value:
                raise NotExpressible(f"both set withoutHeaders[{key}]")
        else:
            both = _narrow_string(joined[key], value, f"{what}[{key}]")
            if both is None:
                return None
            joined[key] = both
    return joined


def _narrow_string(one: Mapping[str, str], two: Mapping[str, str], what: str) -> Mapping[str, str] | None:
    if one == two or not two:
        return one
    if not one:
        return two
    for first, second in ((one, two), (two, one)):
        if "exact" in first:
            if "exact" in second:
                return None
            if "prefix" in second:
                return first if first["exact"].startswith(second["prefix"]) else None
        if "prefix" in first and "prefix" in second:
            longer, shorter = sorted((first["prefix"], second["prefix"]), key=len, reverse=True)
            return {"prefix": longer} if longer.startswith(shorter) else None
    raise NotExpressible(f"{what}: {dict(one)} and {dict(two)} can't be combined in one match")


def scopes(
    matches: Sequence[Match], *, callers: Mapping[str, str], header: tuple[str, str] | None
) -> tuple[Block, ...]:
    """The blocks that say whose requests are hit; one empty block where all are."""
    common: Block = {}
    if callers:
        common["sourceLabels"] = dict(callers)
    if header is not None:
        common["headers"] = {header[0]: {"exact": header[1]}}
    blocks = [narrow(block_of(match), common) for match in matches] if matches else [common]
    return tuple(block for block in blocks if block is not None)
