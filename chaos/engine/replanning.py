"""What a plan would say now, while its run is under way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chaos.engine.live import Live
from chaos.errors import MeshError
from chaos.model.plan import Plan
from chaos.model.situation import Situation
from chaos.safety.retry import Unsettled, settle

_TRIES: Final = 3
_PAUSE: Final = 0.5
"""Seconds between two tries to read what is live."""


def planned_again(live: Live, known: Sequence[Situation] | None = None) -> tuple[Plan, Sequence[Situation]]:
    """Asks every staging rule about what is live now, also if a read fails for once; made beside the run.

    Args:
        live: The run.
        known: Situations from which it takes who calls.

    Raises:
        Unsettled: the API can't be read.
    """
    place, plan = live.place, live.plan

    def attempt() -> tuple[Plan, Sequence[Situation]]:
        try:
            found = place.look(plan.experiment, known=known)
            fresh = place.decide(plan.experiment, found, run=plan.run, file=plan.file, declared=plan.declared)
        except MeshError as error:
            raise Unsettled(error.message, status=error.status, hint=error.hint) from error
        return fresh, found

    return settle(attempt, tries=_TRIES, pause=_PAUSE, sleep=live.clock.sleep)
