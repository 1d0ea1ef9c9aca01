"""Writes the faults, and restores, whatever the API answers meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from chaos.engine.beside import POLL, Insistent
from chaos.errors import MeshError
from chaos.injection.patching import carries, carries_fault, is_as_before
from chaos.model.plan import Change, Injection, Strategy
from chaos.ports import Clock, Mesh, Object
from chaos.safety.lease import owner_reference
from chaos.safety.marks import describe_part
from chaos.safety.removal import give_back, restore
from chaos.safety.retry import Unsettled, persist, settle

RESTORE_DEADLINE: Final = 60.0
"""Seconds for which the run itself keeps trying; the watchdog goes on after that."""
SILENT: Final = 1.0
"""Seconds for which an attempt to restore is waited for, before that is said and another one begins beside it."""
_PAUSE: Final = 0.5
_TRIES: Final = 3


class Overtaken(Exception):
    """Somebody wrote the object after it was read, so what was checked no longer holds; nothing was written."""


class Injector:
    """One injected fault, from the first attempt to write it until it is surely gone.

    A write may be tried again although its fate is unknown: a created object's name is unique for the run, and a changed
    one's ``resourceVersion`` fits once. So a second attempt either succeeds or finds the first one's effect.
    """

    def __init__(self, mesh: Mesh, injection: Injection, run: str, clock: Clock) -> None:
        self._mesh = mesh
        self._run = run
        self._clock = clock
        self._state = threading.Lock()
        self._closed = False
        self._sending = False
        self.injection = injection
        self.attempted = False
        self.written: Object | None = None
        self.exact: bool | None = None
        """Whether taking the fault out of somebody's object gave exactly what was there before; ``None``: not known."""

    @property
    def unaccounted(self) -> bool:
        """Whether a write was sent that may still take effect."""
        return self.attempted and self.written is None

    def close(self) -> None:
        """No write begins from now on; one that is under way may still take effect."""
        with self._state:
            self._closed = True

    @contextmanager
    def _open(self) -> Iterator[None]:
        """While inside, a write may be under way; raises ``MeshError`` where none may begin any more."""
        with self._state:
            if self._closed:
                raise MeshError(f"{self.injection.place} was not written: the run is ending")
            self._sending = True
        try:
            yield
        finally:
            self._sending = False

    def write(self, *, owner: Object | None) -> Object:
        """Writes the fault; a created object belongs to the run's lease, so that Kubernetes collects it with that.

        Raises:
            Overtaken: the object changed since it was read.
            MeshError: it was not written, or nobody can tell, or the run is ending.
        """
        obj = dict(self.injection.after)
        if owner is not None and self.injection.strategy is not Strategy.PATCH:
            obj["metadata"] = {**obj["metadata"], "ownerReferences": [owner_reference(owner)]}
        return settle(lambda: self._send(obj), tries=_TRIES, pause=_PAUSE, sleep=self._clock.sleep)

    def _send(self, obj: Object) -> Object:
        with self._open():
            return self._sent(obj)

    def _sent(self, obj: Object) -> Object:
        patches = self.injection.strategy is Strategy.PATCH
        send = self._mesh.replace_virtual_service if patches else self._mesh.create_virtual_service
        before, self.attempted = self.attempted, True
        try:
            self.written, _ = send(obj)
        except MeshError as error:
            if error.refused and error.status != 409:
                self.attempted = before
                raise
            found = self.live()
            if found is not None and carries(found, self._run):
                self.written = found
                return found
            if error.status == 409 and patches:
                self.attempted = before
                raise Overtaken(error.message) from error
            raise Unsettled(error.message, status=error.status, hint=error.hint) from error
        return self.written

    def change(self, to: Change) -> Object:
        """Writes the next stage of the fault into the object, by the version that is there now.

        A write that arrives after the restore fits no version any more, so none of these can bring the fault back.

        Raises:
            Overtaken: the spec is not what this run wrote, so somebody else's is not touched.
            MeshError: it was not written, or nobody can tell.
        """
        self.written = settle(lambda: self._changed(to), tries=_TRIES, pause=_PAUSE, sleep=self._clock.sleep)
        return self.written

    def _changed(self, to: Change) -> Object:
        assert self.written is not None  # noqa: S101 - a stage follows another
        try:
            found = self.live()
        except MeshError as error:
            raise Unsettled(error.message, status=error.status, hint=error.hint) from error
        if found is None or found["metadata"]["uid"] != self.written["metadata"]["uid"]:
            raise Overtaken(f"{self.injection.place} was deleted")
        if found["spec"] == to.spec:
            return found  # an attempt before this one, whose answer was lost
        if found["spec"] != self.written["spec"]:
            raise Overtaken(f"somebody edited {self.injection.place}")
        try:
            return self._mesh.replace_virtual_service({**found, "spec": to.spec})[0]
        except MeshError as error:
            if error.refused and error.status not in (404, 409):
                raise
            raise Unsettled(error.message, status=error.status, hint=error.hint) from error

    def live(self) -> Object | None:
        """The object as it is now, ``None`` where it is gone."""
        return self._mesh.virtual_service(self.injection.namespace, self.injection.name)

    def restore(self) -> str:
        """One attempt to take the fault out of the API; who owns which field is for `give_back`.

        Returns:
            Why it could not restore; empty once the fault is out of the API.
        """
        sending = self._sending
        try:
            if found := self._found():
                return "" if self._gone(found) else f"the fault is still in {self.injection.place} after the restore"
            return f"the API server has not answered yet whether it wrote {self.injection.place}" if sending else ""
        except MeshError as error:
            return error.message
        except Exception as error:  # noqa: BLE001 - whatever it is, a fault is out there
            return f"{type(error).__name__}: {error}"

    def _found(self) -> Object | None:
        found = self.live()
        return found if found is not None and self._is_in(found) else None

    def _gone(self, found: Object) -> bool:
        restore(self._mesh, found, run=self._run)
        left = self.live()
        if left is not None and self.injection.strategy is Strategy.PATCH:
            self.exact = is_as_before(found, left)
        return left is None or not self._is_in(left)

    def _is_in(self, found: Object) -> bool:
        patches = self.injection.strategy is Strategy.PATCH
        return carries_fault(found, self._run) if patches else carries(found, self._run)

    def give_back(self, *, said: Callable[[str], None]) -> str:
        """Gives the fields of a changed object back to their owners, after the fault is out; see ``removal.give_back``.

        Never raises: the fault is out, and the record of the rest is on the object for whoever cleans up.
        """
        if self.injection.strategy is not Strategy.PATCH or not self.attempted:
            return ""
        try:
            return give_back(self._mesh, self.injection.namespace, self.injection.name, run=self._run)
        except Exception as error:  # noqa: BLE001 - see above
            told = getattr(error, "message", error)
            said(f"the fields of {self.injection.place} could not be given back to their owners yet: {told}")
            return ""

    def residue(self) -> list[str]:
        """What the object still has of the run, even if somebody removed its marks."""
        found = self.live() if self.attempted else None
        return [describe_part(found, self._run)] if found is not None and carries(found, self._run) else []


def restore_all(
    injectors: Sequence[Injector], *, clock: Clock, said: Callable[[str], None], deadline: float = RESTORE_DEADLINE
) -> str:
    """Takes all faults out of the API, side by side, and makes sure that they are out; one that can't be does not keep the others.

    Restoring twice at the same time does no harm: objects are deleted by their UID and replaced by their version.

    Args:
        injectors: Of the faults that may be in the mesh.
        clock: The run's, on which it waits.
        said: Called with every attempt that failed, or that has no answer yet.
        deadline: Seconds after which it gives up.

    Returns:
        Why it could not restore; empty once every fault is out.
    """
    left = [Insistent(clock, one.restore) for one in injectors]

    def attempt() -> str:
        until, told = clock.now() + SILENT, dict[Insistent[str], str]()
        for one in left:
            one.begin()
        while True:
            for one in tuple(left):
                if whys := [ended.result() for ended in one.ended()]:
                    told[one] = whys[-1]
                    if "" in whys:
                        left.remove(one)
            silent = [one for one in left if one not in told]
            if not silent or clock.now() >= until:
                break
            clock.sleep(POLL)
        unheard = [f"the API server has not answered for {SILENT:g} s"] if silent else []
        return "; ".join([*(told[one] for one in left if one in told), *unheard])

    return persist(attempt, clock=clock, deadline=deadline, pause=_PAUSE, said=said)
