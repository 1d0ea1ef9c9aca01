"""The session that runs are a part of, such as pytest's. Its reports have every run, whichever harness made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chaos.engine.listeners import Listeners

Making = Callable[[], "Listeners | None"]
"""Makes who hears of a run that begins now; ``None`` between two tests."""
_SESSIONS: Final[list[Making]] = []


def begin(making: Making) -> None:
    """From now on, a harness without listeners of its own uses those of this session."""
    _SESSIONS.append(making)


def end(making: Making) -> None:
    """No longer."""
    _SESSIONS.remove(making)


def hearing() -> Listeners | None:
    """Who hears of a run that begins now, in the innermost session; ``None`` where there is none."""
    return _SESSIONS[-1]() if _SESSIONS else None
