"""What the load generator's process counts, second by second; free of Locust, so that it can be imported anywhere."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, TypeVar

Answered = TypeVar("Answered")

_DIGITS: Final = 3
_BLOCKED: Final = 0.05
"""Seconds without a sign of life from which the process was blocked."""
_REMEMBERED: Final = 64
"""Times at which it was blocked, the last ones."""
_LATE: Final = 10.0
"""Milliseconds below which nothing counts as late."""
_APART: Final = 0.1
"""Seconds between two readings of the processor's time that tell a share of it."""

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


def _in_two_digits(milliseconds: float, rounded: Callable[[float], int]) -> float:
    """To two significant digits, so that a late second has few cells; what is hardly late is not late."""
    if milliseconds < _LATE:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(milliseconds)) - 1)
    return float(rounded(milliseconds / step) * step)


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
    cells: dict[_Key, dict[float, int]] = field(default_factory=dict)


_Key = tuple[str, int, str, tuple[str, ...], bool | None, float, float]


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
        self._alive: float | None = None
        self._blocked: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._read = (time.perf_counter(), time.process_time())
        self._cpu = 0.0

    def alive(self) -> None:
        """The process runs. To be called often: where some time has passed without it, nothing could be sent or read then."""
        now = time.perf_counter()
        if self._alive is not None and now - self._alive > _BLOCKED:
            self._blocked.append((self._alive, now))
        self._alive = now

    def now(self) -> float:
        """Unix seconds."""
        return self._wall + time.perf_counter()

    def _second(self) -> _Second:
        return self._found.setdefault(int(self.now()), _Second())

    def sent(self, lag: float) -> None:
        """A request was started, ``lag`` seconds after its intended moment."""
        self.alive()
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

    def answered(
        self,
        request: str,
        status: int,
        error: str,
        milliseconds: float,
        *,
        matched: tuple[str, ...] = (),
        judged: bool | None = None,
        lag: float = 0.0,
    ) -> None:
        """A request has ended just now.

        Args:
            request: Its name.
            status: Its status; 0 without an answer.
            error: Why it has none.
            milliseconds: Since its intended start.
            matched: The markers that its answer has.
            judged: What a locustfile said of it.
            lag: Seconds by which it was started late.
        """
        self.alive()
        held = self._held(time.perf_counter() - milliseconds / 1000 + lag)
        key = (
            request,
            status,
            error,
            matched,
            judged,
            _in_two_digits(lag * 1000, math.floor),
            _in_two_digits(held, math.ceil),
        )
        cell = self._second().cells.setdefault(key, {})
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
            "cpu": self._share_of_processor(),
            "cells": [
                {"request": request, "status": status, "error": error, "matched": matched, "judged": judged, "lag": lag,
                 "held": held, "latencies": latencies}
                for (request, status, error, matched, judged, lag, held), latencies in second.cells.items()
            ],
        }  # fmt: skip

    def _held(self, started: float) -> float:
        """Milliseconds for which the process was blocked since a moment."""
        return 1000 * sum(end - max(begin, started) for begin, end in self._blocked if end > started)

    def _share_of_processor(self) -> float:
        """What the process had of one since the last reading, or at that one if it was just now."""
        wall, mine = time.perf_counter(), time.process_time()
        if wall - self._read[0] > _APART:
            self._cpu = round((mine - self._read[1]) / (wall - self._read[0]), 3)
            self._read = wall, mine
        return self._cpu

    def line(self, at: int) -> str:
        """What happened in a second, as a line of JSON."""
        return json.dumps(self.take(at))

    def _intended(self, at: int, rate: float) -> int:
        """Arrivals that the rate asks for in a second, whether or not anybody had time for them."""
        if self.began is None:
            return 0
        begin = self._wall + self.began
        return max(0, math.ceil((at + 1 - begin) * rate)) - max(0, math.ceil((at - begin) * rate))
