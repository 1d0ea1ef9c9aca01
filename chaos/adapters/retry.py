"""The one retry policy: reads that failed for a reason that may pass are tried again, a few times, for a few seconds.

Writes are never tried again here. A write without an answer may have happened: only reading tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from chaos.errors import MeshError

ATTEMPTS: Final = 4
LONGEST: Final = 6.0
"""Seconds after which no further attempt is begun."""
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
    policy = Retrying(
        retry=retry_if_exception_type(Transient),
        stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(LONGEST),
        wait=_wait,
        reraise=True,
    )
    return policy(call)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Transient) and error.after is not None else 0.0
    return max(asked, _JITTER(state))
