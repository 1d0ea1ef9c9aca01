"""Every fault of the harness that is in the mesh now, and whether its run is live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chaos.injection.patching import undo_of
from chaos.model.mesh_change import change_of, is_for_change
from chaos.safety.lease import is_live, runs_out
from chaos.safety.marks import Object, experiment_of, expires, is_made, owner_of, part_of, rfc3339, run_of, unix
from chaos.safety.residue import everything_of_ours

if TYPE_CHECKING:
    from chaos.ports import Mesh


@dataclass(frozen=True, kw_only=True)
class ActiveFault:
    """A fault of the harness that is in the mesh now.

    Args:
        inside: It is inside somebody else's object, from which a sweep takes it out.
        hosts: The hosts whose requests it hits.
        age: Seconds since it was written.
        expires: RFC 3339 time from which it is void in any case; empty where it does not say.
        renewed: Whether the run still renews its lease.
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
        alive = "renewed" if self.renewed else "NOBODY RENEWS IT: run chaosctl sweep"
        return (
            f"{self.namespace}/{self.name}{' (inside it)' if self.inside else ''}  hosts {', '.join(self.hosts)}  run {self.run}  experiment {self.experiment}"
            f"  owner {self.owner or '-'}  age {self.age:.0f} s  expires {self.expires or '-'}  {alive}"
        )


@dataclass(frozen=True, kw_only=True)
class ActiveChange:
    """A change of Istio's configuration that the harness has made for a while.

    Args:
        change: ``changed``, ``made`` or ``removed``.
        age: Seconds since its lease was taken.
        renewed: Whether the run still renews its lease.
        lease_until: RFC 3339 time at which the lease runs out.
    """

    kind: str
    namespace: str
    name: str
    change: str
    run: str
    age: float
    renewed: bool
    lease_until: str

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        alive = "renewed" if self.renewed else "NOBODY RENEWS IT: run chaosctl sweep"
        return f"{self.kind} {self.namespace}/{self.name} ({self.change} for a while)  run {self.run}  age {self.age:.0f} s  {alive}"


def active_of_both(mesh: Mesh, namespaces: Sequence[str] | None) -> list[ActiveFault | ActiveChange]:
    """Every fault and every change that is there now, in these namespaces or everywhere.

    Raises:
        MeshError: the cluster can't be read.
    """
    return [*active(mesh, namespaces), *active_changes(mesh, namespaces)]


def active(mesh: Mesh, namespaces: Sequence[str] | None) -> list[ActiveFault]:
    """Every fault of the harness that is in the mesh now, in these namespaces or everywhere; the oldest first.

    Raises:
        MeshError: the cluster can't be read.
    """
    found, now = everything_of_ours(mesh, namespaces), mesh.server_time()
    held = sorted((o for o in found if o.get("kind") == "Lease"), key=runs_out)
    leases = {
        (o["metadata"]["namespace"], run_of(o)): o for o in held
    }  # of several of a run the one that lasts longest
    faults = [
        _active(obj, leases.get((obj["metadata"]["namespace"], run_of(obj))), now)
        for obj in found
        if obj.get("kind") != "Lease" and part_of(obj, run_of(obj)) != "ownership"
    ]
    return sorted(faults, key=lambda fault: (-fault.age, fault.namespace, fault.name))


def active_changes(mesh: Mesh, namespaces: Sequence[str] | None) -> list[ActiveChange]:
    """Every change of Istio's configuration that is to be put back, in these namespaces or everywhere.

    Raises:
        MeshError: the cluster can't be read.
    """
    now = mesh.server_time()
    found = [(lease, change_of(lease)) for lease in everything_of_ours(mesh, namespaces) if is_for_change(lease)]
    return [
        ActiveChange(
            kind=change.kind,
            namespace=change.namespace,
            name=change.name,
            change=change.done,
            run=run_of(lease),
            age=max(0.0, now - (unix(lease["metadata"].get("creationTimestamp")) or now)),
            renewed=is_live(lease, now),
            lease_until=rfc3339(runs_out(lease)),
        )
        for lease, change in found
        if change is not None
    ]


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
