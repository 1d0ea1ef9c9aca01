"""Everything outside that a run touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from chaos.engine.clock import StopRequest
from chaos.engine.listeners import Listeners
from chaos.engine.planning import look
from chaos.model.history import Environment
from chaos.model.plan import Plan
from chaos.model.settings import Settings
from chaos.model.situation import Situation
from chaos.ports import Clock, Load, Mesh, Metrics
from chaos.safety.lease import LEASE_SECONDS


class Watch(Protocol):
    """Whoever cleans up when this process is killed."""

    def release(self) -> None:
        """All is clean: stop watching."""
        ...

    def abandon(self) -> None:
        """Something is left: take over."""
        ...


@dataclass
class Surroundings:
    """Everything outside that a run touches.

    Args:
        watch: Starts whoever cleans up when this process is killed; called before the first write.
        patience: Seconds for which a target that another run holds is waited for; 0: refuse at once.
        base: Folder of the experiment file; relative paths in it start there.
        lease: Seconds without a renewal after which the run counts as dead.
        writable_outside: Where else the identity in use may write; asked once, when the cluster is connected to.
    """

    mesh: Mesh
    metrics: Metrics
    load: Load
    clock: Clock
    settings: Settings
    environment: Environment
    stop: StopRequest
    watch: Callable[[Plan], Watch]
    listeners: Listeners = field(default_factory=Listeners)
    patience: float = 0.0
    base: Path = field(default_factory=Path)
    lease: float = LEASE_SECONDS
    writable_outside: tuple[str, ...] = ()

    def look(self, plan: Plan) -> Situation:
        """What bears on a plan's target now."""
        return look(
            self.mesh,
            self.metrics,
            plan.experiment,
            cluster=self.environment.cluster,
            root=self.settings.root_namespace,
            writable_outside=self.writable_outside,
        )
