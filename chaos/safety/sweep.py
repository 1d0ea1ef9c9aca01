"""Removes what nobody renews any more. All that it must know is on the objects, so it works from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from chaos.model.marks import EXPERIMENT_LABEL, EXPIRES, OWNER_LABEL, RUN_LABEL
from chaos.ports import Mesh, Object
from chaos.safety.lease import is_expired


@dataclass(frozen=True)
class ActiveFault:
    """One injected object, and whether the run behind it is alive."""

    namespace: str
    name: str
    run: str
    experiment: str
    owner: str
    age: float
    expires: str
    renewed: bool

    def __str__(self) -> str:
        alive = "renewed by its run" if self.renewed else "NOT RENEWED: chaosctl sweep removes it"
        owner = f", owner {self.owner}" if self.owner else ""
        return f"{self.namespace}/{self.name}: {self.experiment} (run {self.run}{owner}), {self.age:.0f} s old, {alive}"

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True)
class Swept:
    """One object that was removed, or would be."""

    kind: str
    namespace: str
    name: str
    run: str
    why: str
    removed: bool

    def __str__(self) -> str:
        did = "removed" if self.removed else "would remove"
        return f"{did} {self.kind} {self.namespace}/{self.name} of run {self.run}: {self.why}"


def active(mesh: Mesh, *, namespaces: Sequence[str], now: datetime | None = None) -> list[ActiveFault]:
    """Every injected VirtualService, with whether somebody still renews the lease of its run."""
    moment = now or datetime.now(UTC)
    found = []
    for obj, lease in _faults(mesh, namespaces):
        meta = obj["metadata"]
        labels = meta.get("labels") or {}
        created = datetime.fromisoformat(str(meta["creationTimestamp"]).replace("Z", "+00:00"))
        found.append(
            ActiveFault(
                namespace=meta["namespace"],
                name=meta["name"],
                run=labels.get(RUN_LABEL, ""),
                experiment=labels.get(EXPERIMENT_LABEL, ""),
                owner=labels.get(OWNER_LABEL, ""),
                age=(moment - created).total_seconds(),
                expires=(meta.get("annotations") or {}).get(EXPIRES, ""),
                renewed=lease is not None and not is_expired(lease, moment),
            )
        )
    return found


def sweep(
    mesh: Mesh, *, namespaces: Sequence[str], run: str | None = None, dry_run: bool = False, now: datetime | None = None
) -> list[Swept]:
    """Deletes faults whose lease is gone or has run out, then such leases; of one run whatever its lease says.

    Safe twice, concurrently and beside live runs: what is deleted is exactly what was looked at, by its uid.
    """
    moment = now or datetime.now(UTC)
    done = []
    for obj, lease in _faults(mesh, namespaces):
        why = _why(obj, lease, run, moment)
        if why:
            meta = obj["metadata"]
            removed = not dry_run and mesh.delete_virtual_service(meta["namespace"], meta["name"], uid=meta["uid"])
            done.append(_swept(obj, why, removed=removed))
    for lease in _leases(mesh, namespaces):
        mine = run is not None and lease["spec"].get("holderIdentity") == run
        if mine or (run is None and is_expired(lease, moment)):
            meta = lease["metadata"]
            removed = not dry_run and mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"])
            done.append(_swept(lease, "asked for" if mine else "nobody renews it", removed=removed))
    return done


def _why(obj: Object, lease: Object | None, run: str | None, now: datetime) -> str:
    own = (obj["metadata"].get("labels") or {}).get(RUN_LABEL)
    if run is not None:
        return "asked for" if own == run else ""
    if lease is None:
        return "its run holds no lease"
    return "its run no longer renews its lease" if is_expired(lease, now) else ""


def _faults(mesh: Mesh, namespaces: Sequence[str]) -> list[tuple[Object, Object | None]]:
    """Injected VirtualServices, each with the lease of its run."""
    found: list[tuple[Object, Object | None]] = []
    for namespace in namespaces:
        objects = mesh.injected(namespace)
        leases = {o["spec"].get("holderIdentity"): o for o in objects if o["kind"] == "Lease"}
        found += [
            (o, leases.get((o["metadata"].get("labels") or {}).get(RUN_LABEL)))
            for o in objects
            if o["kind"] == "VirtualService"
        ]
    return found


def _leases(mesh: Mesh, namespaces: Sequence[str]) -> list[Mapping[str, Any]]:
    return [o for namespace in namespaces for o in mesh.injected(namespace) if o["kind"] == "Lease"]


def _swept(obj: Object, why: str, *, removed: bool) -> Swept:
    meta = obj["metadata"]
    run = (meta.get("labels") or {}).get(RUN_LABEL, "")
    return Swept(obj["kind"], meta["namespace"], meta["name"], run, why, removed)
