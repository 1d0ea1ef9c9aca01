"""Durations, shares and percentages as people write them in an experiment file."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from chaos.errors import InputError
from chaos.istio.durations import nanoseconds
from chaos.values.declared import is_written

_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_LONGEST: Final = 7 * 24 * 3600 * 10**9
_MOST_DIGITS: Final = 4
"""Decimals of a percentage, which experiment files have at most."""

DURATION_PATTERN: Final = r"^(\d+(\.\d+)?(h|ms|m|s))+$"


def parse_duration(value: Any) -> timedelta:
    """The duration written as ``3s``, ``500ms``, ``1m30s``.

    Raises:
        ValueError: not of that form, or finer than a millisecond, which neither Istio nor a scrape can tell.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(DURATION_PATTERN, value, re.ASCII):
        raise ValueError("expected a duration with its unit, such as 500ms, 3s or 1m30s")
    nanos = nanoseconds(value)
    if nanos is None or nanos > _LONGEST:
        raise ValueError("expected at most seven days")
    if nanos % 1_000_000:
        raise ValueError("expected whole milliseconds")
    return timedelta(milliseconds=nanos // 1_000_000)


def duration_of(name: object, value: timedelta | str) -> timedelta:
    """The duration that an option or an argument has.

    Raises:
        InputError: it is none.
    """
    try:
        return parse_duration(value)
    except ValueError as error:
        raise InputError(f"{name} {value!r}: {error}") from error


def format_duration(value: timedelta) -> str:
    """The duration in the form that Istio and :func:`parse_duration` read; exact to the millisecond."""
    milliseconds = round(value / timedelta(milliseconds=1))
    if milliseconds % 1000:
        return f"{milliseconds}ms" if milliseconds < 1000 else f"{Decimal(milliseconds) / 1000}s"
    return f"{milliseconds // 1000}s"


def parse_share(value: Any) -> float:
    """The share written as ``99%`` or ``99.5%``, as a number from 0 to 1.

    Raises:
        ValueError: no percent sign, or outside 0 % to 100 %.
    """
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    found = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError("expected a share with its percent sign, such as 99%")
    share = Decimal(found[1])
    if share > 100:
        raise ValueError("expected a share from 0% to 100%")
    return float(share / 100)


def read_share(value: Any, info: ValidationInfo) -> float:
    """The share as it is declared; in a file it has a percent sign, since 0.5 might be meant as 0.5 %.

    Raises:
        ValueError: as by :func:`parse_share`.
    """
    return parse_share(str(value) if is_written(info) else value)


def _uncertain(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError("expected a share over 0% and under 100%: no number of events can prove either")
    return value


def _some(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("expected at least 1ms")
    return value


def shorter_than(seconds: int) -> dict[str, Any]:
    """The JSON Schema of a duration of one number that is shorter than some seconds, at most ten."""
    tens = f"0*[0-{seconds - 1}]"
    return {"pattern": rf"^({tens}(\.\d+)?s|{tens}?\d{{1,3}}(\.\d+)?ms|0+(\.0+)?(h|m))$"}


def format_number(value: float, digits: int | None = None) -> str:
    """A number without an exponent: exact, or rounded to a number of significant digits (``1234.5`` to two is ``1200``)."""
    if not math.isfinite(value):
        return f"{value:g}"
    return f"{Decimal(repr(value) if digits is None else f'{value:.{digits - 1}e}').normalize():f}"


def format_share(value: float) -> str:
    """A declared share as people write it, exactly: ``99%``, ``99.53%``."""
    return f"{Decimal(repr(round(value * 100, _MOST_DIGITS))).normalize():f}%"


def measured_share(value: float, low: float, high: float, *, bound: float | None = None) -> tuple[str, str, str]:
    """A measured share and its interval in the digits that they carry: ``53%``, ``21%``, ``84%``.

    Two digits of the interval's width count. The limits are rounded outwards, so that a report never says more than was
    measured; a bound that the interval excludes, or contains, gets the digits that show it.
    """
    digits = _carried(high - low)
    while digits < _MOST_DIGITS and bound is not None and not _is_shown(bound, low, high, digits):
        digits += 1
    return (
        _in_digits(value, digits, ROUND_HALF_EVEN),
        _in_digits(low, digits, ROUND_FLOOR),
        _in_digits(high, digits, ROUND_CEILING),
    )


def format_confidence(value: float) -> str:
    """A confidence, of whose rest two digits count: ``99.44%``."""
    return f"{_percent(value, _carried(1 - value), ROUND_FLOOR).normalize():f}%"


def _carried(width: float) -> int:
    """Decimals of a percentage whose uncertainty has this width, as a share."""
    return min(_MOST_DIGITS, max(0, 1 - math.floor(math.log10(100 * width)))) if width > 0 else _MOST_DIGITS


def _is_shown(bound: float, low: float, high: float, digits: int) -> bool:
    shown_low, shown_high = _percent(low, digits, ROUND_FLOOR), _percent(high, digits, ROUND_CEILING)
    at = _percent(bound, _MOST_DIGITS, ROUND_HALF_EVEN)
    return (shown_low <= at <= shown_high) == (low <= bound <= high)


def _percent(value: float, digits: int, rounding: str) -> Decimal:
    exact = Decimal(repr(round(value, 12))) * 100  # 0.29 * 100 is less than 29 as floats have it
    return exact.quantize(Decimal(1).scaleb(-digits), rounding=rounding)


def _in_digits(value: float, digits: int, rounding: str) -> str:
    """All and nothing are exact, and so are their words."""
    return f"{_percent(value, 0 if value in (0.0, 1.0) else digits, rounding):f}%"


def _number(value: Any) -> Any:
    if isinstance(value, str) and (found := _SHARE.fullmatch(value.strip())):
        raise ValueError(f"expected a plain number, without the percent sign: {found[1]}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a plain number, such as 50 or 0.5")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number, such as 50 or 0.5")
    if abs(value) <= 1000 and Decimal(repr(value)) % Decimal("0.0001"):
        raise ValueError("expected steps of 0.0001 (Envoy counts in millionths)")
    return value


_ANY_SHARE: Final = r"0*(\d{1,2}(\.\d+)?|100(\.0+)?)\s*%"
CERTAIN: Final = r"0*(0|100)(\.0+)?\s*%"
"""All or none: the pattern of shares that no number of events can prove."""
SHARE_PATTERN: Final = rf"^\s*{_ANY_SHARE}\s*$"
_UNCERTAIN_PATTERN: Final = rf"^(?!\s*{CERTAIN}\s*$)\s*{_ANY_SHARE}\s*$"

_DURATION: Final = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["500ms", "3s", "1m30s"]}
_SHARE_EXAMPLES: Final = ["99%", "99.5%"]

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION),
]
SomeTime = Annotated[
    Duration, AfterValidator(_some), WithJsonSchema({**_DURATION, "not": {"pattern": r"^(0+(\.0+)?(h|ms|m|s))+$"}})
]
"""A duration that is longer than nothing."""
Share = Annotated[
    float,
    BeforeValidator(read_share),
    PlainSerializer(format_share, return_type=str),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": _SHARE_EXAMPLES}),
]
UncertainShare = Annotated[
    Share,
    AfterValidator(_uncertain),
    WithJsonSchema({"type": "string", "pattern": _UNCERTAIN_PATTERN, "examples": _SHARE_EXAMPLES}),
]
"""A share that can be decided: over 0 % and under 100 %."""
Percentage = Annotated[float, Field(gt=0, le=100), BeforeValidator(_number)]
"""Percent of requests, over 0 to 100. Istio ignores a fault without one, so it is required."""
