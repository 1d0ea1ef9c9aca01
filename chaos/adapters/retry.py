"""The one retry policy: reads that failed for a reason that may pass are tried again, a few times, for a few seconds.

A dry run is a read.

Writes are tried again only after 429, which says that nothing was done. Any other failure of a write may have come after
its effect: only reading tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.retry import retry_base

from chaos.errors import MeshError

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


def read(call: Callable[[], _T]) -> _T:
    """Calls something that only reads, until it answers or the policy ends; the last error is raised as it is."""
    return _policy(retry_if_exception_type(Transient))(call)


def write(call: Callable[[], _T]) -> _T:
    """Calls something that writes; again only where the server turned it away unread (429)."""
    return _policy(retry_if_exception(lambda error: isinstance(error, Transient) and error.status == 429))(call)


def _policy(retry: retry_base) -> Retrying:
    stop = stop_after_attempt(ATTEMPTS) | stop_before_delay(LONGEST)
    return Retrying(retry=retry, stop=stop, wait=_wait, reraise=True)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Transient) and error.after is not None else 0.0
    return max(asked, _JITTER(state))
