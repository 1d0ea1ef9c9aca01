"""Writes the injected object, and takes it away again, whatever the API answers meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chaos.errors import MeshError
from chaos.model.plan import Injection
from chaos.ports import Clock, Mesh, Object

RESTORE_DEADLINE: Final = 60.0
"""Seconds for which the run itself keeps trying; the watchdog goes on after that."""
_PAUSE: Final = 0.5


class Injector:
    """One injected object, from the first attempt to write it until it is surely gone.

    Its name is unique for the run. So a write of unknown fate is resolved by reading, and deleting by name is safe.
    """

    def __init__(self, mesh: Mesh, injection: Injection, clock: Clock) -> None:
        self._mesh = mesh
        self._injection = injection
        self._clock = clock
        self.attempted = False
        self.written: Object | None = None

    def write(self, *, owner: Object | None) -> Object:
        """Creates the object.

        Args:
            owner: The run's lease; Kubernetes collects the object with it.

        Raises:
            MeshError: it was not created, or nobody can tell.
        """
        obj = dict(self._injection.after)
        if owner is not None:
            obj["metadata"] = {**obj["metadata"], "ownerReferences": [_reference(owner)]}
        self.attempted = True
        try:
            self.written, _ = self._mesh.create_virtual_service(obj)
        except MeshError as error:
            if error.status is not None and error.status < 500:
                self.attempted = error.status == 409  # a conflict may be our own first try, seen twice
            found = self.live() if self.attempted else None
            if found is None:
                raise
            self.written = found
        return self.written

    def live(self) -> Object | None:
        """The object as it is now, ``None`` where it is gone."""
        namespace, name = self._injection.namespace, self._injection.name
        return next((o for o in self._mesh.virtual_services(namespace) if o["metadata"]["name"] == name), None)

    def remove(self, *, said: Callable[[str], None], deadline: float = RESTORE_DEADLINE) -> str | None:
        """Deletes the object and makes sure that it is gone.

        Args:
            said: Told about every attempt that failed.
            deadline: Seconds after which it gives up.

        Returns:
            Nothing when it is gone; else what kept it from being removed.
        """
        until = self._clock.now() + deadline
        while True:
            try:
                self._mesh.delete_virtual_service(self._injection.namespace, self._injection.name)
                if self.live() is None:
                    return None
                trouble = "the object is still there after it was deleted"
            except MeshError as error:
                trouble = error.message
            said(trouble)
            if self._clock.now() >= until:
                return trouble
            self._clock.sleep(_PAUSE)


def _reference(owner: Object) -> dict[str, str]:
    meta = owner["metadata"]
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": meta["name"], "uid": meta["uid"]}
