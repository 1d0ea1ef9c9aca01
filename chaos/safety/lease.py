"""A Lease per target: two runs on one target are impossible, and everybody can see whether a run still lives.

All times in it are on the API server's clock. A lease is only ever renewed by its run and by its ``resourceVersion``;
it changes hands by being removed and created anew. So a lease's UID belongs to one run, and removing by UID never
hits another's.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from chaos.errors import MeshError, Refused
from chaos.model.marks import labels_for
from chaos.safety.marks import Object, is_ours, micro_time, rfc3339, run_of, unix

if TYPE_CHECKING:
    from chaos.ports import Mesh

LEASE_SECONDS: Final = 30.0
"""Seconds without a renewal after which a run counts as dead."""
_RENEWALS: Final = 3
"""Renewals within one duration: two may fail before the lease is lost."""
_PATIENCE: Final = 1.0
"""Seconds for which the end of a renewal under way is waited for."""
_CONTESTS: Final = 5
"""Attempts while others take and leave the same lease, or creating it fails."""
_PAUSE: Final = 0.3
"""Seconds after a creation that failed."""


class Locked(Refused):
    """Another run holds the target.

    Args:
        message: Which target, held by whom, for how long.
        holder: The other run's id.
        age: Seconds since it took the lease.
        until: Unix seconds on the server's clock at which the lease runs out unless it is renewed.
        hint: What would make it right.
    """

    def __init__(self, message: str, *, holder: str, age: float, until: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.holder = holder
        self.age = age
        self.until = until


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


def acquire(
    mesh: Mesh,
    *,
    namespace: str,
    service: str,
    run: str,
    experiment: str,
    owner: str | None,
    duration: float = LEASE_SECONDS,
) -> Held:
    """Takes the lease of a target and keeps renewing it. What a dead run left on the target is swept first.

    Args:
        mesh: The cluster.
        namespace: Namespace of the target, and of the lease.
        service: The target.
        run: Who takes it.
        experiment: What for.
        owner: Who answers for it.
        duration: Seconds without a renewal after which it runs out; whole seconds, as Kubernetes stores them.

    Raises:
        Locked: another run holds it.
        MeshError: the API failed, or what a dead run left can't be removed.
    """
    name = lease_name(service)
    last: MeshError | None = None
    for _ in range(_CONTESTS):
        found = mesh.lease(namespace, name)
        if found is None:
            try:
                created = mesh.create_lease(_new(mesh, namespace, name, run, experiment, owner, duration))
            except MeshError as error:
                if error.refused and error.status != 409:
                    raise
                last = error
                time.sleep(_PAUSE)  # then reading tells whose it is: another's, ours, or nobody's
                continue
            return Held(mesh, created, duration=duration)
        if holder_of(found) == run:
            return Held(mesh, found, duration=duration)
        _refuse_if_held(found, mesh.server_time())
        _clear(mesh, found)
    raise MeshError(
        f"the lease {namespace}/{name} could not be taken by run {run} in {_CONTESTS} attempts"
        + (f"; at last: {last.message}" if last else ""),
        status=409,
        hint="other runs compete for this target, or the API is ill: try again",
    )


def _new(
    mesh: Mesh, namespace: str, name: str, run: str, experiment: str, owner: str | None, duration: float
) -> dict[str, Any]:
    now = micro_time(mesh.server_time())
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels_for(run=run, experiment=experiment, owner=owner),
        },
        "spec": {
            "holderIdentity": run,
            "leaseDurationSeconds": max(1, round(duration)),
            "acquireTime": now,
            "renewTime": now,
        },
    }


def _refuse_if_held(lease: Object, now: float) -> None:
    meta, holder, until = lease["metadata"], holder_of(lease), runs_out(lease)
    taken = unix((lease.get("spec") or {}).get("acquireTime")) or unix(meta.get("creationTimestamp")) or now
    where, age = f"{meta['namespace']}/{meta['name']}", max(0.0, now - taken)
    if not is_ours(lease):
        raise Locked(
            f"the lease {where} exists, and the harness did not write it",
            holder=holder, age=age, until=until, hint="rename or remove that Lease",
        )  # fmt: skip
    if is_live(lease, now):
        raise Locked(
            f"the target is held by run {holder}: lease {where}, for {age:.0f} s, renewed until {rfc3339(until)}",
            holder=holder,
            age=age,
            until=until,
            hint=f"wait for its end; if nobody renews it, it is free in {until - now:.0f} s",
        )


def _clear(mesh: Mesh, lease: Object) -> None:
    """Removes what the dead run of a lease left, and the lease."""
    from chaos.safety.sweep import sweep

    swept = sweep(mesh, namespaces=(lease["metadata"]["namespace"],), run=run_of(lease), dead_only=True)
    failed = next((one for one in swept if one.trouble), None)
    if failed is not None:
        raise MeshError(
            f"what the dead run {run_of(lease)} left can't be removed: {failed}",
            hint=f"chaosctl sweep --run {run_of(lease)}",
        )


class Held:
    """A lease in our hands, renewed by a small thread until it is released, stopped or lost.

    Args:
        mesh: The cluster.
        obj: The lease as stored.
        duration: Seconds without a renewal after which it runs out.
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
            MeshError: nobody can tell.
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
                self._lost = f"renewing broke: {type(error).__name__}: {error}"
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
