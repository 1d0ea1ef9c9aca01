"""Asks the metrics: side by side, and off the thread that decides, which waits for quick answers at most."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.ports import Clock, Metrics
from chaos.values.questions import Question
from chaos.values.series import Series

_AT_ONCE: Final = 4
"""Questions that are asked at the same time; a Prometheus answers 20 at once by default, and others ask it, too."""


@dataclass(frozen=True)
class Inquiry:
    """A question for the samples of some seconds up to a moment, on the clock of the metrics."""

    question: Question
    at: float
    seconds: float


@dataclass(frozen=True)
class Reply:
    """An answer: series, or the error."""

    inquiry: Inquiry
    series: Sequence[Series] = ()
    error: Exception | None = None


class Inquiries:
    """Questions that are under way, each at most once at the same time."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._under_way: dict[Question, Inquiry] = {}
        self._open: queue.SimpleQueue[Inquiry] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._free = threading.Semaphore(_AT_ONCE)

    @property
    def under_way(self) -> Sequence[Inquiry]:
        """Questions without an answer yet."""
        return tuple(self._under_way.values())

    def ask(self, inquiries: Sequence[Inquiry]) -> None:
        """Asks what is not under way already. Never waits."""
        for one in inquiries:
            if one.question not in self._under_way:
                self._under_way[one.question] = one
                self._open.put(one)
        for _ in range(min(_AT_ONCE, self._open.qsize())):
            if self._free.acquire(blocking=False):
                self._clock.beside(self._work)

    def replies(self) -> Iterator[Reply]:
        """The answers since the last time. Never waits."""
        while True:
            try:
                found = self._replies.get_nowait()
            except queue.Empty:
                return
            self._under_way.pop(found.inquiry.question)
            yield found

    def _work(self) -> None:
        try:
            while True:
                try:
                    one = self._open.get_nowait()
                except queue.Empty:
                    return
                try:
                    found = Reply(one, self._metrics.samples(one.question, at=one.at, seconds=one.seconds))
                except Exception as error:  # noqa: BLE001 - whoever takes the replies raises what is no answer of the metrics
                    found = Reply(one, error=error)
                self._replies.put(found)
        finally:
            self._free.release()
