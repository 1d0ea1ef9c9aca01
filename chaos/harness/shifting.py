"""A canary shift from its begin to its record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from chaos.engine.shifting import Shifting
from chaos.engine.surroundings import Surroundings
from chaos.errors import InputError
from chaos.harness.concluding import make_folder
from chaos.harness.running import see_entry
from chaos.injection.weights import Way
from chaos.model.experiment import Experiment
from chaos.model.shift import Shift, ShiftStep
from chaos.reporting.record import write_shift

_SHORTEST: Final = timedelta(seconds=5)


def shift(
    experiment: Experiment,
    around: Surroundings,
    *,
    virtual_service: str,
    way: Way,
    step: float,
    every: timedelta,
    run: str,
    folder: Path,
    told: Callable[[ShiftStep], None],
) -> Shift:
    """Shifts, and leaves a record: the steps with their decisions, and all that they rest on.

    Raises:
        InputError: a value can't be used, or the record can't be written.
        Refused: a staging rule forbids it; nothing was written.
        MeshError: the API failed, or all could not be put back yet.
    """
    see_entry(around.place)
    see_steps(way, step, every)
    make_folder(folder)
    with around.stop.on_signals():
        made = Shifting(
            experiment, around, name=virtual_service, way=way, step=step, every=every.total_seconds(), run=run, told=told
        )  # fmt: skip
        found = made.execute()
    try:
        write_shift(found, made.history, folder)
    except OSError as error:
        raise InputError(
            f"{folder}: the shift ended ({found.headline}), and its record can't be written: {error}"
        ) from error
    return found


def see_steps(way: Way, step: Any, every: timedelta) -> None:
    """Sees that there can be such steps.

    Raises:
        InputError: they are too small, too large or too short, or lead nowhere.
    """
    if way.source == way.target:
        raise InputError(f"expected two different versions, got {way.source!r} for both")
    if not isinstance(step, int | float) or not 0 < step <= 100:
        shown = f"{step:g}" if isinstance(step, int | float) else repr(step)
        raise InputError(f"expected a step of more than 0 and at most 100 percent, got {shown}")
    if every < _SHORTEST:
        raise InputError(f"expected steps of at least {_SHORTEST.total_seconds():g} s, got {every.total_seconds():g} s")
