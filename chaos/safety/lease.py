"""A Lease per target, by which everybody can see whether a run still lives.

All times in it are on the API server's clock. A lease is only ever renewed by its run and by its ``resourceVersion``;
its holder changes only when it is removed and created again. So a lease's UID belongs to one run, and removing by UID never
hits another's.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from chaos.errors import MeshError
from chaos.safety.marks import Object, micro_time, unix

if TYPE_CHECKING:
    from chaos.ports import Mesh

LEASE_SECONDS: Final = 30.0
"""Seconds without a renewal after which a run counts as dead."""
_RENEWALS: Final = 3
"""Renewals within one duration: two may fail before the lease is lost."""
_PATIENCE: Final = 1.0
"""Seconds for which the end of a renewal under way is waited for."""


def lease_name(service: str) -> str:
    """The name of a target's lease."""
    return f"chaos-{service}"


def holder_of(lease: Object) -> str:
    """The run that holds a lease; empty for one that is being removed."""
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def runs_out(lease: Object) -> float:
    """When a lease runs out unless it is renewed, in Unix seconds; 0 where it does not say."""
    spec = lease.get("spec") or {}
    renewed = unix(spec.get("renewTime"))
    return renewed + float(spec.get("leaseDurationSeconds") or 0) if renewed is not None else 0.0


def is_live(lease: Object, now: float) -> bool:
    """Whether somebody holds a lease and still renews it."""
    return bool(holder_of(lease)) and runs_out(lease) > now


def is_held(mesh: Mesh, *, namespace: str, service: str) -> bool:
    """Whether a live run holds the target now."""
    found = mesh.lease(namespace, lease_name(service))
    return found is not None and is_live(found, mesh.server_time())


def owner_reference(lease: Object) -> dict[str, str]:
    """The reference by which Kubernetes removes an object of the same namespace together with the lease."""
    meta = lease["metadata"]
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": meta["name"], "uid": meta["uid"]}


class Held:
    """A lease in our hands, renewed by a small thread until it is released, stopped or lost.

    Without a renewal it runs out after ``duration`` seconds.
    """

    def __init__(self, mesh: Mesh, obj: Object, *, duration: float = LEASE_SECONDS) -> None:
        self._mesh = mesh
        self._obj = obj
        self._run = holder_of(obj)
        self._duration = duration
        self._lost = ""
        self._renewed = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{obj['metadata']['name']}", daemon=True)
        self._thread.start()

    @property
    def obj(self) -> Object:
        """The lease as last stored."""
        return self._obj

    @property
    def lost(self) -> str:
        """Why it is no longer ours; empty while it is."""
        return self._lost

    def check(self) -> str:
        """Looks whether it still is ours; why it is not, else nothing.

        Raises:
            MeshError: the cluster can't be read.
        """
        if not self._lost:
            meta = self._obj["metadata"]
            found = self._mesh.lease(meta["namespace"], meta["name"])
            if found is None or found["metadata"].get("uid") != meta["uid"] or holder_of(found) != self._run:
                self._lost = "it was removed" if found is None else f"run {holder_of(found)} holds it"
        return self._lost

    def stop(self) -> None:
        """Renews no more; safe to call twice. The lease stays and runs out."""
        self._end.set()
        self._thread.join(_PATIENCE)  # one that hangs in a call does no harm: it renews only what it finds unchanged

    def release(self) -> None:
        """Gives the lease back: stops renewing and removes it. Safe to call twice.

        Raises:
            MeshError: it may still be there.
        """
        self.stop()
        meta = self._obj["metadata"]
        try:
            self._mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"])
        except MeshError as error:
            if error.refused:
                raise
            found = self._mesh.lease(meta["namespace"], meta["name"])
            if found is not None and found["metadata"].get("uid") == meta["uid"]:
                raise

    def _keep(self) -> None:
        pause = self._duration / _RENEWALS
        while not self._end.wait(pause):
            try:
                self._renew()
                pause = self._duration / _RENEWALS
            except MeshError as error:
                pause = min(1.0, self._duration / _RENEWALS)
                if time.monotonic() - self._renewed > self._duration:
                    self._lost = f"it could not be renewed for {self._duration:g} s: {error.message}"
            except Exception as error:  # noqa: BLE001 - the thread's edge: whatever it is, the run has to know
                self._lost = f"renewing it failed: {type(error).__name__}: {error}"
            if self._lost:
                return

    def _renew(self) -> None:
        began = time.monotonic()
        renewal = {**self._obj, "spec": {**self._obj["spec"], "renewTime": micro_time(self._mesh.server_time())}}
        try:
            self._obj = self._mesh.replace_lease(renewal)
        except MeshError as error:
            if error.status not in (404, 409):
                raise
            self._take_stock()
        else:
            self._renewed = began

    def _take_stock(self) -> None:
        """Somebody wrote the lease or removed it: ourselves, by a renewal whose answer was lost, or another."""
        meta = self._obj["metadata"]
        found = self._mesh.lease(meta["namespace"], meta["name"])
        if found is None or found["metadata"].get("uid") != meta["uid"]:
            self._lost = "it was removed" if found is None else f"run {holder_of(found)} took it"
        elif holder_of(found) != self._run:
            self._lost = "it is being swept"
        else:
            self._obj = found
            self._renew()
