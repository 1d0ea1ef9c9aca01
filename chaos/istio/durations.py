"""Go's durations, as Istio's resources write them.

They are read here and not by ``durationpy``, which counts in floats of microseconds, and takes days, months, years, and
whatever stands between two parts (``1s and 2m``): what Istio refuses would pass.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_NUMBER: Final = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_UNIT: Final = "(ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
_PART: Final = re.compile(_NUMBER + _UNIT)
_DURATION: Final = re.compile(rf"[+-]?(0|({_PART.pattern})+)")
_NANOS: Final = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def nanoseconds(text: str) -> int | None:
    """A Go duration in nanoseconds; ``None`` where it is none, or longer than Go's, which end after 292 years."""
    if not _DURATION.fullmatch(text):
        return None
    total = sum(int(Decimal(number) * _NANOS[unit]) for number, unit in _PART.findall(text))
    if total >= 2**63:
        return None
    return -total if text.startswith("-") else total
