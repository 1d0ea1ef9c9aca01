"""Changes of Istio's configuration that have to be put back: each has a lease of its own, and its record is on the lease.

The record is there before the first write, and the lease stays until all is put back. So whoever cleans up has to read
leases only, whatever kinds of objects there are. (A fault is different: its record is on the object that carries it.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chaos.errors import MeshError, Refused
from chaos.injection.patching import carries_any_fault
from chaos.injection.putting_back import Step, put_back, without_us
from chaos.istio.resources import BY_NAME
from chaos.model.marks import CHANGE_MANAGER
from chaos.model.mesh_change import MeshChange, change_of, is_for_change
from chaos.safety.lease import is_live
from chaos.safety.marks import Object, run_of
from chaos.safety.removal import CONFLICTS

if TYPE_CHECKING:
    from chaos.ports import Mesh

_LOOKS: Final = 3 * CONFLICTS
"""Writes of putting one object back, those that met somebody else's among them."""


def held_by(kind: str, name: str) -> str:
    """What stands for an object in the name of its lease; no Service has a dot in its name."""
    return f"{BY_NAME[kind].plural}.{name}"


def do(mesh: Mesh, step: Step, *, manager: str = CHANGE_MANAGER, dry_run: bool = False) -> Object | None:
    """Makes a write, or only tries it, in which nothing is deleted; the object as stored.

    Raises:
        MeshError: it was refused, or there was no answer.
    """
    if step.do == "create":
        return mesh.create_istio_object(step.obj, manager=manager, dry_run=dry_run)
    if step.do == "replace":
        return mesh.replace_istio_object(step.obj, manager=manager, dry_run=dry_run)
    if step.do == "delete" and not dry_run:
        mesh.delete_istio_object(step.obj)
    return None


def try_out(mesh: Mesh, step: Step, title: str, *, manager: str = CHANGE_MANAGER) -> Object | None:
    """The object as the API server would store it.

    Raises:
        Refused: the API server rejects it.
        MeshError: somebody has written it meanwhile, or there was no answer.
    """
    try:
        return do(mesh, step, manager=manager, dry_run=True)
    except MeshError as error:
        if not error.refused or error.status == 409:
            raise
        raise Refused(f"the API server rejects {title}: {error.message}", hint=error.hint) from error


def put_all_back(mesh: Mesh, change: MeshChange, *, run: str) -> str:
    """Puts a change back, and gives the fields to their owners. Safe to call twice, and after any crash.

    Returns:
        What is not as before, since others changed it meanwhile; empty where all is.

    Raises:
        MeshError: it may still be to be done.
    """
    note = ""
    for _ in range(_LOOKS):
        live = mesh.istio_object(change.kind, change.namespace, change.name)
        if live is not None and change.kind == "VirtualService" and carries_any_fault(live):
            raise MeshError(f"{change}: it carries a fault, which has to be restored first", hint="the harness retries")
        step = put_back(change, live, run=run)
        try:
            do(mesh, step)
            note = note or step.note
            if step.last:
                _give_back(mesh, change)
                return note
        except MeshError as error:
            if error.status not in (404, 409):
                raise
    raise MeshError(f"{change} was written by others while it was put back", status=409, hint="the harness retries")


def _give_back(mesh: Mesh, change: MeshChange) -> None:
    wanted = without_us(change, mesh.istio_object(change.kind, change.namespace, change.name))
    if wanted is not None:
        mesh.replace_istio_object(wanted, manager=CHANGE_MANAGER)


def claim(mesh: Mesh, lease: Object, *, forced: bool) -> Object | None:
    """Takes the lease of a change from a dead run, as it was seen, so that the run knows if it lives; ``None``: it does.

    Raises:
        MeshError: the API failed.
    """
    for _ in range(CONFLICTS):
        spec = {key: value for key, value in lease["spec"].items() if key != "holderIdentity"}
        try:
            return mesh.replace_lease({**lease, "spec": spec})
        except MeshError as error:
            if error.status not in (404, 409):
                raise
        found = mesh.lease(lease["metadata"]["namespace"], lease["metadata"]["name"])
        if found is None or run_of(found) != run_of(lease) or (not forced and is_live(found, mesh.server_time())):
            return None
        lease = found
    raise MeshError("the lease of a change was renewed again and again", status=409, hint="end the run that holds it")


def put_back_of(mesh: Mesh, lease: Object) -> str:
    """Puts the change back that a lease is for, before the lease may go; what is not as before, if anything.

    Raises:
        MeshError: the change may still be there.
    """
    if not is_for_change(lease):
        return ""
    change = change_of(lease)
    if change is None:
        where = f"{lease['metadata']['namespace']}/{lease['metadata']['name']}"
        raise MeshError(
            f"the record of a change on the lease {where} can't be read, so nobody knows what was there before",
            hint=f"apply the object from your repository, then: kubectl -n {lease['metadata']['namespace']} delete lease {lease['metadata']['name']}",
        )
    return put_all_back(mesh, change, run=run_of(lease))
