"""What a route matches (istiod ``pilot/pkg/networking/core/route/route.go`` TranslateRouteMatch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def route_match(block: Mapping[str, Any] | None) -> dict[str, Any]:
    """Envoy's matcher for one block of a route's ``match``; any request where there is none."""
    block = block or {}
    uri = block.get("uri") or {}
    match: dict[str, Any] = {"prefix": "/"}
    if "exact" in uri:
        match = {"path": uri["exact"]}
    elif "prefix" in uri:
        match = {"prefix": uri["prefix"]}
    elif "regex" in uri:
        match = {"safe_regex": {"regex": uri["regex"]}}
    if block.get("ignoreUriCase"):
        match["case_sensitive"] = False
    headers = [_header(key, value) for key, value in sorted((block.get("headers") or {}).items())]
    headers += [_header(key, value, invert=True) for key, value in sorted((block.get("withoutHeaders") or {}).items())]
    for key in ("method", "authority", "scheme"):
        if block.get(key) is not None:
            headers.append(_header(f":{key}", block[key]))
    if headers:
        match["headers"] = headers
    queries = [_query(key, value) for key, value in sorted((block.get("queryParams") or {}).items())]
    if queries:
        match["query_parameters"] = queries
    return match


def is_catch_all(match: Mapping[str, Any]) -> bool:
    """Whether no request gets past a route with this matcher (istiod IsCatchAllRoute)."""
    everything = match.get("prefix") == "/" or (match.get("safe_regex") or {}).get("regex") == ".*"
    return everything and not match.get("headers") and not match.get("query_parameters")


def _string_match(value: Mapping[str, str]) -> dict[str, Any] | None:
    """``None`` for anything that is there.

    That is nothing said; ``*``, which is no regular expression; and an empty prefix, which Envoy would not take.
    """
    if "exact" in value:
        return {"exact": value["exact"]}
    if "prefix" in value:
        return {"prefix": value["prefix"]} if value["prefix"] else None
    if "regex" in value:
        return None if value["regex"] == "*" else {"safe_regex": {"regex": value["regex"]}}
    return None


def _header(name: str, value: Mapping[str, str] | None, *, invert: bool = False) -> dict[str, Any]:
    matcher: dict[str, Any] = {"name": name}
    string = _string_match(value or {})
    if string is None:
        matcher["present_match"] = True
    else:
        matcher["string_match"] = string
    if invert:
        matcher["invert_match"] = True
        if string is not None:
            matcher["treat_missing_header_as_empty"] = True
    return matcher


def _query(name: str, value: Mapping[str, str] | None) -> dict[str, Any]:
    string = _string_match(value or {})
    return {"name": name, "present_match": True} if string is None else {"name": name, "string_match": string}
