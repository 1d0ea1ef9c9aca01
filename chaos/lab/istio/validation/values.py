"""Single values that several kinds have: durations, headers, regexes (istiod ``pkg/config/validation``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.istio.durations import nanoseconds
from chaos.istio.regex import problem

_MILLISECOND: Final = 10**6
_UNITS: Final = {"ms": _MILLISECOND, "s": 10**9}
_HEADER_NAME: Final = re.compile(r"[0-9a-zA-Z!#$%&'*+,\-.^_|~`]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CLAIM: Final = re.compile(r"@request\.auth\.claims(\..+|\[.+\])", re.IGNORECASE | re.DOTALL)
_STRING: Final = r'(?:[^\\")]|\\.)*'
_ARGUMENTS: Final = rf'\( *(?:\[ *"|[^\[ ]){_STRING}(?:" *, *"{_STRING})*(?:\)|" *\] *\)) *'
_HEADER_VALUE: Final = re.compile(rf"(?:[^%]++|%%|%(?!%)[^%(]*(?:{_ARGUMENTS})?%)*", re.DOTALL)
"""Text, ``%%``, ``%VARIABLE%`` and ``%VARIABLE(arguments)%``, as Envoy's old parser of headers takes them."""


def duration(text: str | None, *, none: bool = False, parsed: bool = False, unit: str = "ms") -> Iterator[str]:
    """Istiod ``agent.ValidateDuration``, and its conversion.

    Args:
        text: The duration, where one is given.
        none: Less than a millisecond is as good as none.
        parsed: It has to be a duration, whatever its length.
        unit: What it has to be a multiple of, ``ms`` or ``s``.
    """
    if text is None:
        return
    amount = nanoseconds(text)
    if amount is None:
        yield f"bad duration {text!r}"
    elif parsed or (none and abs(amount) < _MILLISECOND):
        return
    elif amount < _MILLISECOND:
        yield f"duration {text!r} must be greater than 1ms"
    elif amount % _UNITS[unit]:
        yield f"only durations to {unit} precision are supported, not {text!r}"


def is_claim(name: str) -> bool:
    """Whether it is a header's name that stands for a claim of a JWT (istiod ``jwt.ToRoutingClaim``)."""
    return _CLAIM.fullmatch(name) is not None


def header_name(name: str) -> Iterator[str]:
    """Of a header that is matched."""
    if not name:
        yield "header name cannot be empty"
    elif not is_claim(name) and not _HEADER_NAME.fullmatch(name.removeprefix(":")):
        yield f"header name {name!r} is not a valid header name"


def cors_header_name(name: str) -> Iterator[str]:
    """Of a header that a CORS policy lists."""
    if not _HEADER_NAME.fullmatch(name):
        yield f"header name {name!r} is not a valid header name"


def is_authority(name: str) -> bool:
    """Whether a header is the one that names the host."""
    return name.lower() in (":authority", "host")


def operations(headers: Mapping[str, Any] | None) -> Iterator[str]:
    """Headers that are set, added and removed: names that Envoy lets change, values that it can read."""
    for side in ("request", "response"):
        changes = (headers or {}).get(side) or {}
        for verb in ("add", "set"):
            for name, value in (changes.get(verb) or {}).items():
                if not (side == "request" and is_authority(name)):
                    yield from _changed(name)
                yield from header_value(value)
        for name in changes.get("remove") or ():
            yield from _changed(name)


def _changed(name: str) -> Iterator[str]:
    if not name:
        yield "header name cannot be empty"
    elif name.startswith(":") or is_authority(name):
        yield f"invalid header {name!r}: it cannot be changed"


def header_value(value: str) -> Iterator[str]:
    """A value with Envoy's ``%VARIABLES%`` (istiod ``header_value_validator.go``)."""
    if _CONTROL.search(value):
        yield f"header value {value!r} is invalid"
    elif not _HEADER_VALUE.fullmatch(value):
        yield f"header value {value!r} has an un-escaped % or an un-terminated variable expression"


def regex(pattern: str, where: str) -> Iterator[str]:
    """A regex of RE2."""
    if told := problem(pattern):
        yield f'"{where}": {told}'


def string_match(match: Mapping[str, str] | None, where: str, *, empty_prefix: bool = False) -> Iterator[str]:
    """Istiod ``validateStringMatch``."""
    if match is None:
        return
    if match.get("prefix") == "" and not empty_prefix:
        yield f'"{where}": prefix string match should not be empty'
    if "regex" in match:
        yield from regex(match["regex"], where)
