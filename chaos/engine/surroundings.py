"""Everything outside that one run touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from chaos import judge
from chaos.engine.clock import StopRequest
from chaos.engine.listeners import Listeners
from chaos.engine.place import Place
from chaos.model.marks import RUN_HEADER
from chaos.model.plan import Plan
from chaos.ports import Clock, Load, Probe
from chaos.safety.lease import LEASE_SECONDS


class Watched(Protocol):
    """What a watchdog has to know to clean up; a plan has all of it."""

    @property
    def run(self) -> str:
        """The run whose writes are cleaned up."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of these writes."""


class Watch(Protocol):
    """Whoever cleans up when this process is killed."""

    def release(self) -> None:
        """All is clean: stop watching."""

    def abandon(self) -> None:
        """Something is left: take over."""


class NoWatch:
    """Nobody watches: for a mesh in memory, which dies with the process."""

    def release(self) -> None:
        """Nothing to stop."""

    def abandon(self) -> None:
        """Nobody takes over."""


@dataclass(kw_only=True)
class Surroundings:
    """A place, and what one run has there for itself. It ends with the run, while the place stays for the next one.

    Args:
        probe: Looks at the mesh's entry before anything is written.
        watch: Starts whoever cleans up when this process is killed; called before the first write.
        wait: Seconds to wait for a target that another run holds; 0: the run is refused at once.
        base: Folder of the experiment file; relative paths in it start there.
        lease: Seconds without a renewal after which the run counts as dead.
    """

    place: Place
    load: Load
    probe: Probe
    clock: Clock
    stop: StopRequest
    watch: Callable[[Watched], Watch]
    listeners: Listeners = field(default_factory=Listeners)
    wait: float = 0.0
    base: Path = field(default_factory=Path)
    lease: float = LEASE_SECONDS

    def prepare_load(self, plan: Plan) -> None:
        """Gets the load ready that a plan's experiment declares.

        Raises:
            LoadError: it can't be sent.
        """
        self.load.prepare(
            plan.experiment.load,
            entry=self.place.entry.get_secret_value(),
            headers={RUN_HEADER: plan.run},
            base=self.base,
            markers=judge.looked_for(plan),
        )
