"""Takes the lease of a target, so that two runs on one target are impossible; what a dead run left there is swept first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from chaos.errors import MeshError, Refused
from chaos.model.marks import EXPERIMENT_LABEL, OWNER_LABEL, labels_for
from chaos.safety.lease import LEASE_SECONDS, Held, holder_of, is_live, lease_name, runs_out
from chaos.safety.marks import Object, is_ours, micro_time, rfc3339, run_of, unix
from chaos.safety.retry import Unsettled, settle
from chaos.safety.sweep import sweep

if TYPE_CHECKING:
    from chaos.ports import Mesh

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


def acquire(
    mesh: Mesh,
    *,
    namespace: str,
    service: str,
    run: str,
    experiment: str,
    owner: str | None,
    duration: float = LEASE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    notes: Mapping[str, str] | None = None,
) -> Held:
    """Takes the lease of a target and keeps renewing it. What a dead run left on the target is swept first.

    ``notes`` are annotations of the lease. The lease runs out after ``duration`` seconds without a renewal: whole ones, as Kubernetes stores them.

    Raises:
        Locked: another run holds it.
        MeshError: the API failed, or what a dead run left can't be removed.
    """
    name = lease_name(service)

    def take() -> Held:
        found = mesh.lease(namespace, name)
        if found is not None and holder_of(found) == run:
            return Held(mesh, found, duration=duration)
        if found is not None:
            _refuse_if_held(found, mesh.server_time())
            _clear(mesh, found)
        new = _new(mesh, namespace, name, run, experiment, owner, duration)
        if notes:
            new["metadata"]["annotations"] = dict(notes)
        try:
            return Held(mesh, mesh.create_lease(new), duration=duration)
        except MeshError as error:
            if error.refused and error.status != 409:
                raise
            raise Unsettled(error.message) from error  # reading tells whose it is: another's, ours, or nobody's

    try:
        return settle(take, tries=_CONTESTS, pause=_PAUSE, sleep=sleep)
    except Unsettled as error:
        raise MeshError(
            f"the lease {namespace}/{name} could not be taken by run {run} in {_CONTESTS} attempts; at last: {error.message}",
            status=409,
            hint="other runs compete for this target, or the API does not work: try again",
        ) from error


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
    where, age = _title(lease), max(0.0, now - taken)
    if not is_ours(lease):
        raise Locked(
            f"the lease {where} exists, but the harness did not write it",
            holder=holder, age=age, until=until, hint="rename or delete that Lease",
        )  # fmt: skip
    if is_live(lease, now):
        raise Locked(
            f"the target is held by run {holder}{_whose(lease)} since {rfc3339(taken)}, until {rfc3339(until)} at least (lease {where})",
            holder=holder,
            age=age,
            until=until,
            hint=f"wait until run {holder} ends (`chaosctl status` shows it), or let this run wait longer (the option wait). If "
            f"nobody renews the lease, since that run has died, the target is free at {rfc3339(until)}",
        )


def _whose(lease: Object) -> str:
    """The experiment of the run that holds a lease, and its owner."""
    labels = lease["metadata"].get("labels") or {}
    told = {"experiment": labels.get(EXPERIMENT_LABEL), "owner": labels.get(OWNER_LABEL)}
    known = ", ".join(f"{key} {value}" for key, value in told.items() if value)
    return f" ({known})" if known else ""


def _title(lease: Object) -> str:
    return f"{lease['metadata']['namespace']}/{lease['metadata']['name']}"


def _clear(mesh: Mesh, lease: Object) -> None:
    """Removes what the dead run of a lease left, and the lease.

    Raises:
        Locked: the run lives after all: it renews the lease of another of its targets, or has just renewed this one.
        MeshError: something can't be removed.
    """
    meta, holder = lease["metadata"], run_of(lease)
    swept = sweep(mesh, namespaces=(meta["namespace"],), run=holder, dead_only=True)
    found = mesh.lease(meta["namespace"], meta["name"]) if not swept else None
    if found is not None and found["metadata"]["uid"] == meta["uid"]:
        raise Locked(
            f"the target is held by run {holder}: its lease {_title(lease)} has run out, but it still renews another one",
            holder=holder, age=0.0, until=runs_out(lease), hint="wait until that run ends",
        )  # fmt: skip
    failed = next((one for one in swept if one.trouble), None)
    if failed is not None:
        raise MeshError(
            f"the residue of the dead run {holder} can't be removed: {failed}",
            hint=f"chaosctl sweep --run {holder}",
        )
