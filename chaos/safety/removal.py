"""Takes one object's fault away, whoever does it: the run, the watchdog, a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chaos.errors import MeshError
from chaos.faults.patching import carries, taken_out
from chaos.safety.marks import Object, describe, is_made, run_of, target_of

if TYPE_CHECKING:
    from chaos.ports import Mesh

CONFLICTS: Final = 8
"""Writes by others, one after the other, that a single removal outlasts; its caller may begin anew."""


def take_away(mesh: Mesh, obj: Object, *, run: str = "") -> bool:
    """Deletes what a run created, and takes out what it put into somebody else's object.

    Args:
        mesh: The cluster.
        obj: A VirtualService as it was read.
        run: Whose; by its marks where absent.

    Returns:
        Whether there was anything to take away.

    Raises:
        MeshError: it may still be there.
    """
    whose = run or run_of(obj)
    meta = obj["metadata"]
    if is_made(obj, whose):
        return mesh.delete_virtual_service(meta["namespace"], meta["name"], uid=meta["uid"])
    live: Object | None = obj
    for _ in range(CONFLICTS):
        if live is None or not carries(live, whose):
            return live is not obj
        try:
            mesh.replace_virtual_service(taken_out(live, whose))
        except MeshError as error:
            if error.status not in (404, 409):
                raise
            live = mesh.virtual_service(meta["namespace"], meta["name"])
        else:
            return True
    raise MeshError(
        f"{describe(obj)} was written by others {CONFLICTS} times while the fault was taken out", status=409,
        hint="it is tried again",
    )  # fmt: skip


def announce(mesh: Mesh, obj: Object, *, reason: str, message: str, warning: bool = False) -> None:
    """Posts an Event on the Service that an object's fault hits. Nobody depends on it: a failure is passed over."""
    target = target_of(obj)
    if target is None:
        return
    try:
        mesh.record_event(target, reason=reason, message=message, warning=warning)
    except MeshError:
        return
