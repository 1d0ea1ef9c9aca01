"""Follows where routes send the requests that a run counts: a canary may begin, or shift its weight, while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from chaos.engine.beside import Beside
from chaos.engine.planning import led_in
from chaos.errors import MeshError
from chaos.model.experiment import Experiment
from chaos.model.situation import Situation
from chaos.ports import Clock, Informer
from chaos.values.led import Led

EVERY: Final = 2.0
"""Seconds between two looks."""


class RouteWatch:
    """Looks off the thread that decides; all but the VirtualServices is taken to be as it was when the run began.

    Args:
        followed: The VirtualServices of all namespaces.
        clock: Time.
        experiment: The experiment of the run.
        led: What the plan found.
        around: Reads what matters to the targets, as a plan does.
    """

    def __init__(
        self,
        followed: Informer,
        clock: Clock,
        experiment: Experiment,
        led: Sequence[Led],
        around: Callable[[], Sequence[Situation]],
    ) -> None:
        self._followed = followed
        self._clock = clock
        self._experiment = experiment
        self._known = {(one.host, one.destination) for one in led if one.side is None}
        self._around = around
        self._situations: Sequence[Situation] | None = None
        self._seen = -1
        self._well_at = self._begun = float("-inf")
        self._asking: Beside[Sequence[Led]] | None = None

    def look(self, offset: float) -> Sequence[Led]:
        """What routes have begun to do since the last look, each told once. Never waits.

        Args:
            offset: Seconds to add to the clock for the times of what was seen.
        """
        if self._asking is None and self._clock.now() - self._begun >= EVERY:
            self._begun = self._clock.now()
            self._asking = Beside(self._clock, partial(self._ask, self._begun))
        if self._asking is None or not self._asking.done:
            return ()
        asked, self._asking = self._asking, None
        try:
            found = asked.result()
        except MeshError:
            return ()  # the run notices by other reads that the API is gone; what came meanwhile is seen afterwards
        return [one.model_copy(update={"since": one.since + offset}) if one.since is not None else one for one in found]

    def _ask(self, begun: float) -> Sequence[Led]:
        changes, objects = self._followed.changes, self._followed.objects()
        new: list[Led] = []
        if changes != self._seen:
            if self._situations is None:
                self._situations = self._around()
            now = [replace(one, virtual_services=objects) for one in self._situations]
            # It may have begun at any moment since the look before.
            since = self._well_at if self._well_at > float("-inf") else None
            led = led_in(self._experiment, now)
            new = [
                one.model_copy(update={"since": since})
                for one in led
                if one.side is None and (one.host, one.destination) not in self._known
            ]
            self._known |= {(one.host, one.destination) for one in new}
            self._seen = changes
        self._well_at = begun
        return new
