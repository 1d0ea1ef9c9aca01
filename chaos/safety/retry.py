"""What is tried again, how often, and how long it waits in between.

A call of the API that reads is tried again a few times, for a few seconds, after a failure that may pass; a dry run is a
read. One that writes is tried again only after 429, which says that nothing was done. Any other failure of a write may have
come after its effect: only reading tells, and a run that has read may try once more. A clean-up is tried until its deadline.

`settle` and `persist` wait on the run's clock; `read` and `write` on the wall clock, since only calls to a real API server fail so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_before_delay,
    wait_fixed,
    wait_random_exponential,
)
from tenacity.retry import retry_base

from chaos.errors import MeshError
from chaos.ports import Clock

ATTEMPTS: Final = 4
LONGEST: Final = 12.0
"""Seconds after which no further attempt is begun: one that timed out is tried once more."""
_JITTER: Final = wait_random_exponential(multiplier=0.1, max=1.0)
_T = TypeVar("_T")


class Transient(MeshError):
    """The API did not answer or is too busy; another attempt may get through.

    Args:
        message: What was asked and what came back.
        status: HTTP status; ``None`` where no answer came.
        hint: What would make it right.
        after: Seconds that the server asked to wait (``Retry-After``).
    """

    def __init__(
        self, message: str, *, status: int | None = None, hint: str | None = None, after: float | None = None
    ) -> None:
        super().__init__(message, status=status, hint=hint)
        self.after = after


class Unsettled(MeshError):
    """A write had no answer, or met somebody else's, and who wrote has read that it did not happen: once more may do."""


def read(call: Callable[[], _T]) -> _T:
    """Calls something that only reads, until it answers or the policy ends; the last error is raised as it is."""
    return _policy(retry_if_exception_type(Transient))(call)


def write(call: Callable[[], _T]) -> _T:
    """Calls something that writes; again only where the server turned it away unread (429)."""
    return _policy(retry_if_exception(lambda error: isinstance(error, Transient) and error.status == 429))(call)


def settle(attempt: Callable[[], _T], *, tries: int, pause: float, sleep: Callable[[float], None]) -> _T:
    """Makes at most so many attempts at a write; the last error that was ``Unsettled``, and any other, is raised as it is."""
    again, stop = retry_if_exception_type(Unsettled), stop_after_attempt(tries)
    return Retrying(retry=again, stop=stop, wait=wait_fixed(pause), sleep=sleep, reraise=True)(attempt)


def persist(
    attempt: Callable[[], str], *, clock: Clock, deadline: float, pause: float, said: Callable[[str], None]
) -> str:
    """Attempts a clean-up, at least once, until an attempt succeeds or the deadline has passed.

    Args:
        attempt: Says what is wrong still; empty where nothing is.
        clock: The run's, on which it waits.
        deadline: Seconds after which no further attempt is begun.
        pause: Seconds between two attempts.
        said: Told what is wrong after each attempt.

    Returns:
        What the last attempt said.
    """
    until = clock.now() + deadline
    return Retrying(
        retry=retry_if_result(bool),
        stop=lambda _: clock.now() >= until,
        wait=wait_fixed(pause),
        sleep=clock.sleep,
        after=lambda state: said(_said(state)),
        retry_error_callback=_said,
    )(attempt)


def _said(state: RetryCallState) -> str:
    return str(state.outcome.result()) if state.outcome else ""


def _policy(retry: retry_base) -> Retrying:
    stop = stop_after_attempt(ATTEMPTS) | stop_before_delay(LONGEST)
    return Retrying(retry=retry, stop=stop, wait=_wait, reraise=True)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Transient) and error.after is not None else 0.0
    return max(asked, _JITTER(state))
