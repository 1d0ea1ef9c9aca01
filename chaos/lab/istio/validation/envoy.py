"""What Istio's webhook takes and Envoy does not: on a cluster every proxy would refuse the whole update that has it.

Sources: the constraints in Envoy's ``api/envoy/config/route/v3/route_components.proto`` and ``…/core/v3/base.proto``;
``source/common/common/regex.cc`` (RE2 over bytes, and how large a regex may be).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import re2

from chaos.istio.durations import nanoseconds
from chaos.lab.istio.bootstrap import MAX_PROGRAM_SIZE

_FREE: Final = ("redirect", "rewrite", "headers")
"""Where a route has text that goes on a request or an answer as it is."""
_BREAKING: Final = frozenset("\0\r\n")


def route_limits(http: Mapping[str, Any], path: str) -> Iterator[str]:
    """Of one HTTP route of a VirtualService; ``path`` is where it is."""
    status = ((http.get("fault") or {}).get("abort") or {}).get("httpStatus", 200)
    answer = (http.get("directResponse") or {}).get("status", 200)
    for where, number in (("fault.abort.httpStatus", status), ("directResponse.status", answer)):
        if not 200 <= number < 600:
            yield _told(f"{path}.{where}", number)
    for at, block in enumerate(http.get("match") or ()):
        if "" in (block.get("queryParams") or {}):
            yield _told(f"{path}.match[{at}].queryParams", '""')
    yield from _regexes(http, path)
    parts = [(f"{path}.{key}", http.get(key)) for key in _FREE]
    parts += [(f"{path}.route[{at}].headers", one.get("headers")) for at, one in enumerate(http.get("route") or ())]
    for where, part in parts:
        for text in _texts(part):
            if not _BREAKING.isdisjoint(text):
                yield _told(where, repr(text))


def policy_limits(policy: Mapping[str, Any], path: str) -> Iterator[str]:
    """Of one traffic policy of a DestinationRule."""
    by = (policy.get("loadBalancer") or {}).get("consistentHash") or {}
    ttl = (by.get("httpCookie") or {}).get("ttl")
    if ttl is not None and (nanoseconds(ttl) or 0) < 0:
        yield _told(f"{path}.loadBalancer.consistentHash.httpCookie.ttl", ttl)


def _told(where: str, what: object) -> str:
    return f"{where}: {what} (Envoy would refuse the whole update)"


def _regexes(found: Any, path: str) -> Iterator[str]:
    if isinstance(found, Mapping):
        for key, value in found.items():
            if isinstance(value, str) and (key == "regex" or (key == "match" and path.endswith("uriRegexRewrite"))):
                if not _is_taken(value):
                    yield _told(f"{path}.{key}", value)
            else:
                yield from _regexes(value, f"{path}.{key}")
    elif isinstance(found, list):
        for at, one in enumerate(found):
            yield from _regexes(one, f"{path}[{at}]")


def _is_taken(pattern: str) -> bool:
    if pattern == "*":
        return True  # it stands for anything that is there, and never comes to Envoy as a regex
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        return bool(re2.compile(pattern.encode(), options).programsize <= MAX_PROGRAM_SIZE)
    except re2.error:
        return False


def _texts(found: Any) -> Iterator[str]:
    """Every name and value."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        for key, value in found.items():
            yield key
            yield from _texts(value)
    elif isinstance(found, list):
        for one in found:
            yield from _texts(one)
