"""What the load generator's process counts, second by second; free of Locust, so that it can be imported anywhere."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, TypeVar

Answered = TypeVar("Answered")

_DIGITS: Final = 3

_WORDS: Final[Mapping[str, str]] = {
    "ConnectionRefusedError": "connection refused",
    "ConnectionResetError": "connection reset",
    "BrokenPipeError": "connection reset",
    "ConnectionAbortedError": "connection reset",
    "HTTPConnectionClosed": "connection closed",
    "RemoteDisconnected": "connection closed",
    "IncompleteRead": "incomplete answer",
    "HTTPParseError": "incomplete answer",
    "TimeoutError": "timeout",
    "Timeout": "timeout",
    "ConnectTimeout": "timeout",
    "ReadTimeout": "timeout",
    "gaierror": "name not resolved",
    "SSLError": "TLS failed",
    "SSLCertVerificationError": "TLS failed",
}
"""By the exception's class; those of the standard library, gevent, geventhttpclient, urllib3 and Requests."""


def rounded_up(milliseconds: float) -> float:
    """To three significant digits, upwards: never better than it was."""
    if milliseconds <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(milliseconds)) - _DIGITS + 1)
    return round(math.ceil(milliseconds / step - 1e-9) * step, 6)


def by_weight(weights: Sequence[int]) -> Iterator[int]:
    """Indexes without end, each as often as its weight says, spread evenly (smooth weighted round robin)."""
    credit = [0] * len(weights)
    total = sum(weights)
    while True:
        for index, weight in enumerate(weights):
            credit[index] += weight
        best = max(range(len(weights)), key=credit.__getitem__)
        credit[best] -= total
        yield best


def in_words(error: BaseException) -> str:
    """Why there was no answer, in a word or two: the innermost reason that has a word, else the class of the error.

    Clients wrap: the refused connection is inside of ``RetriesExceeded.original``, ``MaxRetryError.reason`` and so on.
    """
    word = ""
    seen: set[int] = set()
    ahead: list[object] = [error]
    while ahead:
        one = ahead.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        word = _WORDS.get(type(one).__name__, word)
        ahead += [*one.args, getattr(one, "original", None), getattr(one, "reason", None), one.__cause__]
    return word or type(error).__name__


@dataclass
class _Second:
    sent: int = 0
    lag: float = 0.0
    cells: dict[tuple[str, int, str], dict[float, int]] = field(default_factory=dict)


class Seconds:
    """Counts by second of the wall clock, which is read once and carried on by the monotonic one.

    Attributes:
        rate: Arrivals per second that are intended; ``None`` where nobody declared one, so that what is sent is intended.
        began: When the first request was intended, on ``time.perf_counter``.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self.began: float | None = None
        self._wall = time.time() - time.perf_counter()
        self._found: dict[int, _Second] = {}
        self._under_way: dict[int, float] = {}
        self._numbers = count()

    def now(self) -> float:
        """Unix seconds."""
        return self._wall + time.perf_counter()

    def _second(self) -> _Second:
        return self._found.setdefault(int(self.now()), _Second())

    def sent(self, lag: float) -> None:
        """A request was started, ``lag`` seconds after its intended moment."""
        second = self._second()
        second.sent += 1
        second.lag = max(second.lag, lag)

    def watched(self, request: Callable[..., Answered]) -> Callable[..., Answered]:
        """A client's way to send a request, that tells for how long each has waited that is under way."""

        def send(*arguments: Any, **options: Any) -> Answered:
            number = next(self._numbers)
            self._under_way[number] = self.now()
            try:
                return request(*arguments, **options)
            finally:
                del self._under_way[number]

        return send

    def answered(self, request: str, status: int, error: str, milliseconds: float) -> None:
        """A request has ended just now."""
        cell = self._second().cells.setdefault((request, status, error), {})
        took = rounded_up(milliseconds)
        cell[took] = cell.get(took, 0) + 1

    def take(self, at: int) -> dict[str, Any]:
        """What happened in the second from ``at``, as JSON has it; asked once, when it is over."""
        second = self._found.pop(at, _Second())
        return {
            "at": at,
            "intended": second.sent if self.rate is None else self._intended(at, self.rate),
            "sent": second.sent,
            "worst_lag": round(second.lag, 4),
            "waiting": [round(at + 1 - begun, 3) for begun in self._under_way.values() if begun <= at],
            "cells": [
                {"request": request, "status": status, "error": error, "latencies": latencies}
                for (request, status, error), latencies in second.cells.items()
            ],
        }

    def line(self, at: int) -> str:
        """What happened in a second, as a line of JSON."""
        return json.dumps(self.take(at))

    def _intended(self, at: int, rate: float) -> int:
        """Arrivals that the rate asks for in a second, whether or not anybody had time for them."""
        if self.began is None:
            return 0
        begin = self._wall + self.began
        return max(0, math.ceil((at + 1 - begin) * rate)) - max(0, math.ceil((at - begin) * rate))
