"""The leases of all targets of a run: taken in an order that is the same for all runs, and all of them or none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chaos.errors import MeshError
from chaos.faults.target import Target
from chaos.safety.lease import LEASE_SECONDS, Held
from chaos.safety.lock import Locked, acquire
from chaos.safety.marks import Object

if TYPE_CHECKING:
    from chaos.ports import Mesh


class Leases:
    """One lease for each target.

    Two runs with common targets can't wait for each other: both ask in the same order, and who does not get all of its
    leases gives the others back before it asks again.
    """

    def __init__(
        self,
        mesh: Mesh,
        targets: Sequence[Target],
        *,
        run: str,
        experiment: str,
        owner: str | None,
        duration: float = LEASE_SECONDS,
    ) -> None:
        self._mesh = mesh
        self._targets = sorted(targets, key=str)
        self._run, self._experiment, self._owner = run, experiment, owner
        self._duration = duration
        self._held: dict[str, Held] = {}
        self._state = threading.Lock()
        self._closed = False
        self.taking = False
        """Whether somebody is taking them: one may become ours that is not yet."""

    def __bool__(self) -> bool:
        """Whether any lease may be ours."""
        return bool(self._held)

    def take(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Takes all leases and keeps renewing them.

        Raises:
            Locked: another run holds one; this run then holds none.
            MeshError: the API failed, what a dead run left can't be removed, or the run is ending; `release` has to follow.
        """
        self.taking = True
        try:
            for target in self._targets:
                self._keep(
                    target,
                    acquire(
                        self._mesh,
                        namespace=target.namespace,
                        service=target.service,
                        run=self._run,
                        experiment=self._experiment,
                        owner=self._owner,
                        duration=self._duration,
                        sleep=sleep,
                    ),
                )
        except Locked:
            self.release()
            raise
        finally:
            self.taking = False

    def _keep(self, target: Target, one: Held) -> None:
        with self._state:
            if not self._closed:
                self._held[str(target)] = one
                return
        one.release()
        raise MeshError(f"the lease of {target} was given back at once: the run is ending")

    def close(self) -> None:
        """Keeps none that is taken from now on, on another thread: it is given back as soon as the API has answered."""
        with self._state:
            self._closed = True

    def of(self, target: Target) -> Object:
        """A target's lease as last stored; all are taken."""
        return self._held[str(target)].obj

    @property
    def lost(self) -> str:
        """Why one is no longer ours; empty while all are."""
        return self._why(lambda one: one.lost)

    def check(self) -> str:
        """Looks whether all still are ours; why one is not, else nothing.

        Raises:
            MeshError: the cluster can't be read.
        """
        return self._why(Held.check)

    def _why(self, lost: Callable[[Held], str]) -> str:
        return next(
            (f"the lease of {target} was lost: {why}" for target, one in self._held.items() if (why := lost(one))), ""
        )

    def stop(self) -> None:
        """Renews none of them any more; safe to call twice. They stay and run out."""
        for one in self._held.values():
            one.stop()

    def release(self) -> None:
        """Gives all back. Safe to call twice.

        Raises:
            MeshError: one may still be there.
        """
        for target in tuple(self._held):
            self._held[target].release()
            del self._held[target]
