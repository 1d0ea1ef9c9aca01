"""Restores faults of dead runs, and removes their objects. Needs nothing but the cluster.

Safe at any time, twice, concurrently and beside live runs: the lease goes first, by its ``resourceVersion``, which fails if
the run has renewed it meanwhile; so the run knows, too. A fault without a lease is one that a sweep did not get to.
Objects are removed by their UID, and others' objects restored by their ``resourceVersion``. Fields are given back to their
owners once all faults are out, also if no undo record says who the owners were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from chaos.errors import MeshError
from chaos.model.mesh_change import change_of, is_for_change
from chaos.safety.changes import claim, put_back_of
from chaos.safety.lease import holder_of, is_live, runs_out
from chaos.safety.marks import (
    Object,
    Part,
    belongs_to,
    describe,
    expires,
    part_of,
    run_of,
)
from chaos.safety.removal import announce, give_back, restore
from chaos.safety.residue import everything_of_ours

if TYPE_CHECKING:
    from chaos.ports import Mesh

_SAID: Final[dict[Part | Literal["change"], tuple[str, str, str, str]]] = {
    "object": ("removed", "would remove", "could not remove", "already gone:"),
    "fault": ("restored", "would restore", "could not restore", "already restored:"),
    "ownership": (
        "gave back the fields of", "would give back the fields of", "could not give back the fields of", "no fields to give back in",
    ),
    "change": ("put back", "would put back", "could not put back", "already put back:"),
}  # fmt: skip


@dataclass(frozen=True)
class Condemned:
    """What one run left in one namespace, and why it has to go.

    Args:
        why: The sentence for people.
        forced: It was named, so it goes even if its lease is renewed.
    """

    run: str
    why: str
    faults: tuple[Object, ...]
    leases: tuple[Object, ...]
    forced: bool = False


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What became of one object.

    Args:
        part: What of it was the run's: ``object``, ``fault`` in somebody else's, only the ``ownership`` of fields there, or a
            ``change`` for a while.
        removed: It was there and is gone by our doing.
        trouble: Why it could not be removed; empty where there was none.
        note: What is not as before all the same, and what to do about it.
    """

    kind: str
    namespace: str
    name: str
    run: str
    why: str
    part: Part | Literal["change"] = "object"
    removed: bool = False
    dry_run: bool = False
    trouble: str = ""
    note: str = ""

    def __str__(self) -> str:
        run = f"run {self.run}: " if self.run else ""
        what = f"{self.kind} {self.namespace}/{self.name} ({run}{self.why})"
        done, would, could_not, nothing = _SAID[self.part]
        if self.trouble:
            return f"{could_not} {what}: {self.trouble}"
        if self.dry_run:
            return f"{would} {what}"
        return f"{done if self.removed else nothing} {what}{f': {self.note}' if self.note else ''}"

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def decide(
    objects: Iterable[Object], *, now: float, run: str | None = None, everything: bool = False
) -> list[Condemned]:
    """What has to go. Pure.

    Args:
        objects: VirtualServices and Leases; the former must have been read before the latter, since a run takes its
            lease before it writes.
        now: Unix seconds on the API server's clock.
        run: Only what this run left, and that even if its lease is renewed.
        everything: All of the harness's, live runs included.
    """
    groups: dict[tuple[str, str], tuple[list[Object], list[Object]]] = {}
    for obj in objects:
        if belongs_to(obj, run):
            whose = run_of(obj) if run is None else run
            faults, leases = groups.setdefault((obj["metadata"].get("namespace", ""), whose), ([], []))
            (leases if obj.get("kind") == "Lease" else faults).append(obj)
    condemned = []
    for (_, whose), (faults, leases) in sorted(groups.items()):
        forced = everything or run is not None
        why = _named(run) if forced else _void(faults, leases, now)
        if why:
            condemned.append(Condemned(whose, why, tuple(faults), tuple(leases), forced))
    return condemned


def _named(run: str | None) -> str:
    return "the run was named" if run is not None else "all runs were named"


def _void(faults: Sequence[Object], leases: Sequence[Object], now: float) -> str:
    """Why a run counts as dead; empty while it is live."""
    if any(is_live(lease, now) for lease in leases):
        late = [end for fault in faults if (end := expires(fault)) is not None and end <= now]
        return f"expired {now - min(late):.0f} s ago" if late else ""
    if not leases:
        known = any(run_of(fault) for fault in faults)
        return "its run holds no lease" if known else "the harness still owns its fields, and no undo record is there"
    last = max(runs_out(lease) for lease in leases)
    return f"its lease expired {now - last:.0f} s ago" if last and holder_of(leases[0]) else "its lease is void"


def sweep(
    mesh: Mesh,
    *,
    namespaces: Sequence[str] | None,
    run: str | None = None,
    everything: bool = False,
    dead_only: bool = False,
    dry_run: bool = False,
) -> list[Swept]:
    """Restores faults of dead runs, and removes their objects. One that can't be removed does not keep the others.

    Args:
        mesh: The cluster.
        namespaces: Where to look; ``None``: everywhere.
        run: Only what this run left, even if its lease is still renewed.
        everything: All of the harness's, live runs included.
        dead_only: With ``run``: only if its lease is no longer renewed.
        dry_run: Only report what would be done.

    Returns:
        What became of each object; look for ``trouble``.

    Raises:
        MeshError: the cluster can't be read.
    """
    found, now = everything_of_ours(mesh, namespaces, run), mesh.server_time()
    if dead_only:
        condemned = [one for one in decide(found, now=now) if run in (None, one.run)]
    else:
        condemned = decide(found, now=now, run=run, everything=everything)
    if dry_run:
        return [swept for one in condemned for swept in _told(one)]
    taken = [swept for one in condemned for swept in _remove(mesh, one)]
    restored = [_give_back(mesh, swept) for swept in taken]
    return [*restored, *(swept for one in condemned for lease in one.leases for swept in _put_back(mesh, lease, one))]


def _told(one: Condemned) -> list[Swept]:
    return [_swept(obj, one, dry_run=True) for obj in (*one.leases, *one.faults)]


def _remove(mesh: Mesh, one: Condemned) -> list[Swept]:
    """The lease first, unless the run still lives; then the faults. Leases of changes stay until these are put back."""
    swept = []
    for lease in (lease for lease in one.leases if not is_for_change(lease)):
        meta = lease["metadata"]
        version = None if one.forced else meta["resourceVersion"]
        try:
            removed = mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"], version=version)
        except MeshError as error:
            if error.status == 409 and not one.forced:
                return []  # renewed at the last moment: the run lives
            return [_swept(obj, one, trouble=error.message) for obj in (*one.leases, *one.faults)]
        swept.append(_swept(lease, one, removed=removed))
    return swept + [_restore(mesh, fault, one) for fault in one.faults]


def _restore(mesh: Mesh, fault: Object, one: Condemned) -> Swept:
    if part_of(fault, one.run) == "ownership":
        return _swept(fault, one)
    try:
        removed = restore(mesh, fault, run=one.run)
    except MeshError as error:
        return _swept(fault, one, trouble=error.message)
    # Kubernetes may have collected it together with its lease.
    announce(mesh, fault, reason="ChaosFaultCleaned", message=f"a sweep ended the fault of run {one.run}: {one.why}")
    return _swept(fault, one, removed=removed or bool(one.leases))


def _put_back(mesh: Mesh, lease: Object, one: Condemned) -> list[Swept]:
    """What became of a change; nothing if its run lives after all, or the lease is for a target."""
    if not is_for_change(lease):
        return []
    try:
        claimed = claim(mesh, lease, forced=one.forced)
        if claimed is None:
            return []
        note = put_back_of(mesh, claimed)
        mesh.delete_lease(lease["metadata"]["namespace"], lease["metadata"]["name"], uid=lease["metadata"]["uid"])
    except MeshError as error:
        return [_swept(lease, one, trouble=error.message)]
    return [replace(_swept(lease, one, removed=True), note=note)]


def _give_back(mesh: Mesh, told: Swept) -> Swept:
    """What became of the object once its fields are their owners' again, too."""
    if told.part in ("object", "change") or told.trouble:
        return told
    try:
        note = give_back(mesh, told.namespace, told.name, run=told.run)
    except MeshError as error:
        return replace(told, part="ownership", removed=False, trouble=error.message)
    return replace(told, removed=told.removed or told.part == "ownership", note=note)


def _swept(obj: Object, one: Condemned, *, removed: bool = False, dry_run: bool = False, trouble: str = "") -> Swept:
    kind, _, _ = describe(obj).partition(" ")
    meta = obj["metadata"]
    swept = Swept(
        kind=kind, namespace=meta.get("namespace", ""), name=meta["name"], run=one.run, why=one.why, part=part_of(obj, one.run),
        removed=removed, dry_run=dry_run, trouble=trouble,
    )  # fmt: skip
    change = change_of(obj)
    return swept if change is None else replace(swept, kind=change.kind, name=change.name, part="change")
