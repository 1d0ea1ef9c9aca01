"""One run per target: a Lease that the run renews, and by which everybody can tell that it is dead.

The server's clock is not asked: a lease counts as expired when its ``renewTime`` has not changed for its length, as seen by
whoever looks, or when it is older than its length by a margin that allows for clocks that disagree.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any, Final

from chaos.errors import MeshError, Refused
from chaos.model.marks import labels_for
from chaos.ports import Mesh, Object

SECONDS: Final = 30
"""Length of a lease; a run that is alive renews it three times in that."""
_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class Locked(Refused):
    """Another run holds the target."""


def lease_name(service: str) -> str:
    """The Lease of a target."""
    return f"chaos-{service}"[:63].rstrip("-")


def age(lease: Object, now: datetime) -> float:
    """Seconds since its holder renewed it; endless where it never did."""
    spec = lease.get("spec") or {}
    text = spec.get("renewTime") or spec.get("acquireTime")
    if not text:
        return float("inf")
    return (now - datetime.fromisoformat(text.replace("Z", "+00:00"))).total_seconds()


def is_expired(lease: Object, now: datetime) -> bool:
    """Whether nobody renews it any more."""
    return age(lease, now) > float((lease.get("spec") or {}).get("leaseDurationSeconds", SECONDS))


class Held:
    """A lease that this process holds and renews in the background until it is released or stopped."""

    def __init__(self, mesh: Mesh, obj: Object, *, seconds: float = SECONDS) -> None:
        self._mesh = mesh
        self.obj = obj
        self.lost = ""
        """Why it is no longer ours; empty while it is."""
        self._seconds = seconds
        self._renewed = datetime.now(UTC)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="chaos lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops renewing; safe to call twice."""
        self._end.set()
        self._thread.join(timeout=15)

    def release(self) -> None:
        """Gives it back. Raises ``MeshError`` where the API does not take it."""
        self.stop()
        if not self.lost:
            meta = self.obj["metadata"]
            self._mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"])

    def _renew(self) -> None:
        while not self._end.wait(self._seconds / 3):
            now = datetime.now(UTC)
            wanted = {**self.obj, "spec": {**self.obj["spec"], "renewTime": now.strftime(_FORMAT)}}
            try:
                self.obj = self._mesh.replace_lease(wanted)
                self._renewed = now
            except MeshError as error:
                self._look_again(error, now)
            if self.lost:
                return

    def _look_again(self, error: MeshError, now: datetime) -> None:
        """A renewal of unknown fate, or somebody else's write: what is there now decides."""
        if error.status in (None, 429) or (error.status or 0) >= 500:
            if (now - self._renewed).total_seconds() > self._seconds:
                self.lost = f"it could not be renewed in time: {error.message}"
            return
        meta = self.obj["metadata"]
        try:
            found = self._mesh.lease(meta["namespace"], meta["name"])
        except MeshError:
            return  # the next round tries again
        if found is None or found["spec"].get("holderIdentity") != self.obj["spec"]["holderIdentity"]:
            self.lost = "another run took it" if found else "somebody deleted it"
        else:
            self.obj = found


def acquire(
    mesh: Mesh,
    *,
    namespace: str,
    service: str,
    run: str,
    experiment: str,
    owner: str | None = None,
    seconds: int = SECONDS,
) -> Held:
    """Takes the lease of a target; one that nobody renews any more is taken over, with what its run left.

    Raises:
        Locked: another run holds it and is alive.
        MeshError: the API can't be asked.
    """
    now = datetime.now(UTC)
    name = lease_name(service)
    obj: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels_for(run=run, experiment=experiment, owner=owner),
        },
        "spec": {
            "holderIdentity": run,
            "leaseDurationSeconds": seconds,
            "acquireTime": now.strftime(_FORMAT),
            "renewTime": now.strftime(_FORMAT),
        },
    }
    found = mesh.lease(namespace, name)
    if found is not None and not _is_of(found, run):
        if not is_expired(found, now):
            raise _locked(found, namespace, service, now)
        _remove_dead(mesh, found)
    return Held(mesh, _create(mesh, obj, run), seconds=seconds)


def _is_of(lease: Object, run: str) -> bool:
    return bool((lease.get("spec") or {}).get("holderIdentity") == run)


def _create(mesh: Mesh, obj: dict[str, Any], run: str) -> Object:
    """Creates it; a create of unknown fate is resolved by reading."""
    meta = obj["metadata"]
    try:
        return mesh.create_lease(obj)
    except MeshError as error:
        found = mesh.lease(meta["namespace"], meta["name"])
        if found is not None and _is_of(found, run):
            return found
        if found is not None:
            raise _locked(found, meta["namespace"], meta["name"].removeprefix("chaos-"), datetime.now(UTC)) from error
        raise


def _locked(lease: Object, namespace: str, service: str, now: datetime) -> Locked:
    holder = (lease.get("spec") or {}).get("holderIdentity", "?")
    return Locked(
        f"run {holder} holds {namespace}/{service}; it renewed its lease {age(lease, now):.0f} s ago",
        hint="wait for its end; if it is dead, its lease runs out by itself within half a minute",
    )


def _remove_dead(mesh: Mesh, lease: Object) -> None:
    """Deletes what a dead run left on the target, then its lease; exactly this lease, by its uid."""
    meta = lease["metadata"]
    run = (lease.get("spec") or {}).get("holderIdentity", "")
    for left in mesh.injected(meta["namespace"], run=run):
        if left["kind"] == "VirtualService":
            where = left["metadata"]
            mesh.delete_virtual_service(where["namespace"], where["name"], uid=where["uid"])
    mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"])
