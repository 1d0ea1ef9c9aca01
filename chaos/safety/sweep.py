"""Finds faults that nobody answers for any more, and removes them. Needs nothing but the cluster.

Safe at any time, twice, concurrently and beside live runs: the lease goes first, by its ``resourceVersion``, which fails if
the run has renewed it meanwhile; so the run knows, too. A fault without a lease is one that a sweep did not get to.
Everything is removed by its UID, and taken out of others' objects by their ``resourceVersion``. Their fields are given back
to their owners once all faults are out; that is also done where no record is left of who they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from chaos.errors import MeshError
from chaos.injection.patching import undo_of
from chaos.safety.lease import holder_of, is_live, runs_out
from chaos.safety.marks import (
    Object,
    Part,
    describe,
    experiment_of,
    expires,
    is_made,
    is_ours,
    owner_of,
    part_of,
    rfc3339,
    run_of,
    unix,
)
from chaos.safety.removal import announce, give_back, take_away

if TYPE_CHECKING:
    from chaos.ports import Mesh

_SAID: Final[dict[Part, tuple[str, str, str, str]]] = {
    "object": ("removed", "would remove", "could not remove", "already gone:"),
    "fault": ("took the fault out of", "would take the fault out of", "could not take the fault out of", "no fault any more in"),
    "ownership": (
        "gave back the fields of", "would give back the fields of", "could not give back the fields of", "nothing to give back in",
    ),
}  # fmt: skip
_ALL_AT_ONCE: Final = 4
"""Namespaces from which on one look at the whole cluster is cheaper than one at each of them."""


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
        part: What of it was the run's: ``object``, ``fault`` in somebody else's, or only the ``ownership`` of fields there.
        removed: It was there and is gone by our doing.
        trouble: Why it could not be removed; empty where there was none.
        note: What is not as before all the same, and what to do about it.
    """

    kind: str
    namespace: str
    name: str
    run: str
    why: str
    part: Part = "object"
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


@dataclass(frozen=True, kw_only=True)
class ActiveFault:
    """A fault of the harness that is in the mesh now.

    Args:
        inside: It was put into somebody else's object, so removing it is taking it out.
        hosts: The hosts whose requests it hits.
        age: Seconds since it was written.
        expires: RFC 3339 time from which it is void in any case; empty where it does not say.
        renewed: Whether somebody still renews the run's lease.
        lease_until: RFC 3339 time at which the lease runs out; empty without a lease.
    """

    namespace: str
    name: str
    run: str
    experiment: str
    owner: str
    hosts: tuple[str, ...]
    age: float
    expires: str
    renewed: bool
    lease_until: str
    inside: bool = False

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**asdict(self), "hosts": list(self.hosts)}

    def __str__(self) -> str:
        alive = "renewed" if self.renewed else "NOBODY RENEWS IT: chaosctl sweep removes it"
        return (
            f"{self.namespace}/{self.name}{' (inside it)' if self.inside else ''}  hosts {', '.join(self.hosts)}  run {self.run}  experiment {self.experiment}"
            f"  owner {self.owner or '-'}  age {self.age:.0f} s  expires {self.expires or '-'}  {alive}"
        )


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
        if is_ours(obj) and (run is None or run_of(obj) == run):
            faults, leases = groups.setdefault((obj["metadata"].get("namespace", ""), run_of(obj)), ([], []))
            (leases if obj.get("kind") == "Lease" else faults).append(obj)
    condemned = []
    for (_, whose), (faults, leases) in sorted(groups.items()):
        forced = everything or run is not None
        why = _named(run) if forced else _void(faults, leases, now)
        if why:
            condemned.append(Condemned(whose, why, tuple(faults), tuple(leases), forced))
    return condemned


def _named(run: str | None) -> str:
    return "the run was named" if run is not None else "everything was asked for"


def _void(faults: Sequence[Object], leases: Sequence[Object], now: float) -> str:
    """Why nobody answers for a run's objects any more; empty while somebody does."""
    if any(is_live(lease, now) for lease in leases):
        late = [end for fault in faults if (end := expires(fault)) is not None and end <= now]
        return f"expired {now - min(late):.0f} s ago" if late else ""
    if not leases:
        known = any(run_of(fault) for fault in faults)
        return "its run holds no lease" if known else "a run left itself as the owner of its fields, and no record"
    last = max(runs_out(lease) for lease in leases)
    return f"its lease ran out {now - last:.0f} s ago" if last and holder_of(leases[0]) else "its lease is void"


def sweep(
    mesh: Mesh,
    *,
    namespaces: Sequence[str] | None,
    run: str | None = None,
    everything: bool = False,
    dead_only: bool = False,
    now: float | None = None,
    dry_run: bool = False,
) -> list[Swept]:
    """Removes what nobody answers for any more. An object that can't be removed does not keep the others.

    Args:
        mesh: The cluster.
        namespaces: Where to look; ``None``: everywhere.
        run: Only what this run left, even if its lease is still renewed.
        everything: All of the harness's, live runs included.
        dead_only: With ``run``: only if its lease is no longer renewed.
        now: Unix seconds; the API server's clock where absent.
        dry_run: Only say what would be removed.

    Returns:
        What became of each object; look for ``trouble``.

    Raises:
        MeshError: the cluster can't be read.
    """
    found = _look(mesh, namespaces, run)
    moment = mesh.server_time() if now is None else now
    if dead_only:
        condemned = [one for one in decide(found, now=moment) if run in (None, one.run)]
    else:
        condemned = decide(found, now=moment, run=run, everything=everything)
    if dry_run:
        return [swept for one in condemned for swept in _told(one)]
    taken = [swept for one in condemned for swept in _remove(mesh, one)]
    return [_give_back(mesh, swept) for swept in taken]


def _look(mesh: Mesh, namespaces: Sequence[str] | None, run: str | None = None) -> list[Object]:
    """Everything of ours in these namespaces, the faults before the leases."""
    if namespaces is None or len(namespaces) >= _ALL_AT_ONCE:
        try:
            seen = mesh.injected(None, run=run)
        except MeshError as error:
            if error.status != 403 or namespaces is None:
                raise
        else:
            return [obj for obj in seen if namespaces is None or obj["metadata"]["namespace"] in namespaces]
    return [obj for namespace in namespaces for obj in mesh.injected(namespace, run=run)]


def _told(one: Condemned) -> list[Swept]:
    return [_swept(obj, one, dry_run=True) for obj in (*one.leases, *one.faults)]


def _remove(mesh: Mesh, one: Condemned) -> list[Swept]:
    """The lease first, unless the run still lives; then the faults."""
    swept = []
    for lease in one.leases:
        meta = lease["metadata"]
        version = None if one.forced else meta["resourceVersion"]
        try:
            removed = mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"], version=version)
        except MeshError as error:
            if error.status == 409 and not one.forced:
                return []  # renewed at the last moment: the run lives
            return [_swept(obj, one, trouble=error.message) for obj in (*one.leases, *one.faults)]
        swept.append(_swept(lease, one, removed=removed))
    return swept + [_take_away(mesh, fault, one) for fault in one.faults]


def _take_away(mesh: Mesh, fault: Object, one: Condemned) -> Swept:
    if part_of(fault, one.run) == "ownership":
        return _swept(fault, one)
    try:
        removed = take_away(mesh, fault, run=one.run)
    except MeshError as error:
        return _swept(fault, one, trouble=error.message)
    # Kubernetes may have collected it together with its lease.
    announce(mesh, fault, reason="ChaosFaultCleaned", message=f"a sweep removed the fault of run {one.run}: {one.why}")
    return _swept(fault, one, removed=removed or bool(one.leases))


def _give_back(mesh: Mesh, told: Swept) -> Swept:
    """What became of the object once its fields are their owners' again, too."""
    if told.part == "object" or told.trouble:
        return told
    try:
        note = give_back(mesh, told.namespace, told.name, run=told.run)
    except MeshError as error:
        return replace(told, part="ownership", removed=False, trouble=error.message)
    return replace(told, removed=told.removed or told.part == "ownership", note=note)


def _swept(obj: Object, one: Condemned, *, removed: bool = False, dry_run: bool = False, trouble: str = "") -> Swept:
    kind, _, _ = describe(obj).partition(" ")
    meta = obj["metadata"]
    return Swept(
        kind=kind, namespace=meta.get("namespace", ""), name=meta["name"], run=one.run, why=one.why, part=part_of(obj, one.run),
        removed=removed, dry_run=dry_run, trouble=trouble,
    )  # fmt: skip


def active(mesh: Mesh, namespaces: Sequence[str] | None, *, now: float | None = None) -> list[ActiveFault]:
    """Every fault of the harness that is in the mesh now, the oldest first.

    Args:
        mesh: The cluster.
        namespaces: Where to look; ``None``: everywhere.
        now: Unix seconds; the API server's clock where absent.

    Raises:
        MeshError: the cluster can't be read.
    """
    found = _look(mesh, namespaces)
    moment = mesh.server_time() if now is None else now
    leases = {(o["metadata"]["namespace"], run_of(o)): o for o in found if o.get("kind") == "Lease"}
    faults = [
        _active(obj, leases.get((obj["metadata"]["namespace"], run_of(obj))), moment)
        for obj in found
        if obj.get("kind") != "Lease" and part_of(obj, run_of(obj)) != "ownership"
    ]
    return sorted(faults, key=lambda fault: (-fault.age, fault.namespace, fault.name))


def _written(obj: Object) -> float | None:
    """When a fault was written: the object's creation, or the last change of it by us."""
    if is_made(obj, run_of(obj)):
        return unix(obj["metadata"].get("creationTimestamp"))
    since = (undo_of(obj).get("since"), obj["metadata"].get("creationTimestamp"))
    return next((moment for text in since if (moment := unix(text)) is not None), None)


def _active(obj: Object, lease: Object | None, now: float) -> ActiveFault:
    meta, end = obj["metadata"], expires(obj)
    written = _written(obj)
    return ActiveFault(
        namespace=meta["namespace"],
        name=meta["name"],
        run=run_of(obj),
        experiment=experiment_of(obj),
        owner=owner_of(obj),
        hosts=tuple((obj.get("spec") or {}).get("hosts") or ()),
        age=max(0.0, now - written) if written is not None else 0.0,
        expires=rfc3339(end) if end is not None else "",
        renewed=lease is not None and is_live(lease, now),
        lease_until=rfc3339(runs_out(lease)) if lease is not None else "",
        inside=not is_made(obj, run_of(obj)),
    )
