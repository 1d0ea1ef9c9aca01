"""What a harness takes beside its place, and who hears of its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

from chaos.engine.listeners import Listeners
from chaos.engine.surroundings import Watch, Watched
from chaos.errors import InputError
from chaos.model.experiment import Profile
from chaos.ports import Clock, Listener, Load, Probe
from chaos.reporting import session
from chaos.reporting.listeners import listeners as reports


class Means(TypedDict, total=False):
    """What ``Harness`` takes beside its place, each with a default; see there."""

    load: Callable[[], Load]
    probe: Callable[[], Probe]
    watchdog: Callable[[Watched, Path], Watch] | None
    clock: Clock
    listeners: Sequence[Listener] | None
    report_dir: Path | str
    wait: timedelta | str
    lease: float
    profile: Profile | None


def these(listeners: Any) -> Callable[[], Listeners]:
    """Always the same.

    Raises:
        InputError: one is no listener.
    """
    wrong = (
        [one for one in listeners if not isinstance(one, Listener)] if isinstance(listeners, Sequence) else [listeners]
    )
    if wrong:
        raise InputError(f"listeners= expected a list of chaos.Listener objects, got {wrong[0]!r}")
    return lambda: Listeners(listeners)


def usual() -> Listeners:
    """Those of the test that runs, else the harness's own and those of installed packages."""
    hearing = session.hearing()
    return Listeners(reports()) if hearing is None else hearing
