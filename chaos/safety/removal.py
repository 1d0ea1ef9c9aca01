"""Restores one object, and gives its fields back to their owners, for the run, the watchdog and a sweep alike.

These are two steps, so that no fault waits for an owner: whoever cleans up restores all objects before the first is given
back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chaos.errors import MeshError
from chaos.injection.ownership import others, owners_of, route_owners, still_owns
from chaos.injection.patching import carries_fault, given_back_to_owners, owes_owners, owners_are_known, undone
from chaos.model.marks import FIELD_MANAGER
from chaos.safety.marks import Object, describe, is_made, run_of, target_of

if TYPE_CHECKING:
    from chaos.ports import Mesh

CONFLICTS: Final = 8
"""Writes by others, one after the other, that a single removal outlasts; its caller may begin again."""


def restore(mesh: Mesh, obj: Object, *, run: str = "") -> bool:
    """Deletes what a run created, and takes out what it put into somebody else's object; `give_back` has to follow there.

    Returns:
        Whether there was anything to restore.

    Raises:
        MeshError: it may still be there.
    """
    whose = run or run_of(obj)
    meta = obj["metadata"]
    if is_made(obj, whose):
        return mesh.delete_virtual_service(meta["namespace"], meta["name"], uid=meta["uid"])
    live: Object | None = obj
    for _ in range(CONFLICTS):
        if live is None or not carries_fault(live, whose):
            return live is not obj
        try:
            mesh.replace_virtual_service(undone(live, whose))
        except MeshError as error:
            if error.status not in (404, 409):
                raise
            live = mesh.virtual_service(meta["namespace"], meta["name"])
        else:
            return True
    raise MeshError(
        f"{describe(obj)} was written by others {CONFLICTS} times during the restore", status=409,
        hint="the harness retries",
    )  # fmt: skip


def give_back(mesh: Mesh, namespace: str, name: str, *, run: str) -> str:
    """Gives the fields of somebody else's object back to their owners, once the fault is out of it.

    A server takes a list of owners that it can't read with 200 and passes over it, so its answer is compared.

    Returns:
        What is not as it was before, and what to do about it; empty where all is.

    Raises:
        MeshError: it may still be to be done.
    """
    live = mesh.virtual_service(namespace, name)
    for _ in range(CONFLICTS):
        if live is None or not owes_owners(live, run):
            return ""
        wanted = given_back_to_owners(live, run)
        try:
            stored, _ = mesh.replace_virtual_service(wanted)
            if still_owns(stored):
                stored, _ = mesh.replace_virtual_service(_without_us(stored))
        except MeshError as error:
            if error.status not in (404, 409):
                raise
            live = mesh.virtual_service(namespace, name)
        else:
            return _what_is_left(live, wanted, stored)
    raise MeshError(
        f"{namespace}/{name} was written by others {CONFLICTS} times while its fields were given back", status=409,
        hint="the harness retries",
    )  # fmt: skip


def _without_us(vs: Object) -> Object:
    """The object with all owners but us: what is left to do where the server did not take the owners of before."""
    return {**vs, "metadata": {**vs["metadata"], "managedFields": others(owners_of(vs))}}


def _what_is_left(before: Object, wanted: Object, stored: Object) -> str:
    if still_owns(stored):
        return f"{FIELD_MANAGER} still owns fields: their owner has to apply the object once with --force-conflicts"
    if not owners_are_known(before) and not route_owners(stored):
        return (
            "the owners of spec.http before the run are unknown, so nobody owns it now; the owner's next server-side apply takes it "
            "without a conflict"
        )
    if route_owners(stored) != route_owners(wanted):
        return (
            "the server did not accept the list of earlier owners, so nobody owns spec.http now; the owner's next server-side "
            "apply takes it without a conflict"
        )
    return ""


def announce(mesh: Mesh, obj: Object, *, reason: str, message: str, warning: bool = False) -> None:
    """Posts an Event on the Service that an object's fault hits. Nobody depends on it: a failure is passed over."""
    target = target_of(obj)
    if target is None:
        return
    try:
        mesh.record_event(target, reason=reason, message=message, warning=warning)
    except MeshError:
        return
