"""Saves Istio's configuration of staging namespaces in a folder, compares it with what there is, and restores what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chaos.adapters.backup_folder import read_backup, write_backup
from chaos.engine.configuration import Found, find, proxies
from chaos.engine.place import chosen
from chaos.engine.planning import look_around
from chaos.errors import InputError, MeshError, Refused
from chaos.guard.changes import InNamespace, namespace_refusals, refuse, why_not_restored
from chaos.guard.owners import controller_of
from chaos.injection.putting_back import Step
from chaos.istio.cleaned import cleaned
from chaos.istio.proxy_state import ProxyState
from chaos.model.backup import Backup, Difference, Object, differences
from chaos.model.marks import PREFIX
from chaos.model.settings import Settings
from chaos.ports import Mesh
from chaos.safety.active import active_of_both
from chaos.safety.changes import do, try_out

_MANAGER: Final = "istio-chaos-backup"
"""Our name in ``metadata.managedFields`` of what was restored."""
_PAUSE: Final = 1.0
_DEBOUNCE: Final = 5.0
"""Seconds for which istiod may wait for further changes before it sends anything, and some: a rejection comes later."""
_SETTLED: Final = 20.0
"""Seconds for which proxies are waited for that are not connected."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What was saved.

    Args:
        objects: How many there are.
        namespaces: Whose they are.
        written: The files that were written or removed.
        unlisted: Kinds that could not be listed, each with the reason.
        denied: Those of them that the cluster serves, so that the backup may lack objects.
        differing: What is not as in the mesh, which somebody changed meanwhile.
    """

    objects: int
    namespaces: tuple[str, ...]
    written: tuple[Path, ...]
    unlisted: Mapping[str, str] = field(default_factory=dict)
    denied: tuple[str, ...] = ()
    differing: tuple[Difference, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the folder has all that there is."""
        return not self.denied and not self.differing


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How the mesh differs from a backup, before it is restored.

    Args:
        differing: All of it.
        wanted: What a restore writes or removes.
        same_cluster: Whether the backup is of this cluster.
    """

    differing: tuple[Difference, ...]
    wanted: tuple[Difference, ...]
    same_cluster: bool


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What became of a restore, each in a sentence.

    Args:
        done: What was restored or removed.
        left: What still is not as in the backup, and why.
        proxies: Which proxies do not have the new configuration, or can't be asked.
        asked: How many proxies there were.
    """

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    asked: int = 0

    @property
    def complete(self) -> bool:
        """Whether all is as in the backup, and all proxies have it."""
        return not self.left and not self.proxies


class BackupFolder:
    """A folder that keeps Istio's configuration of staging namespaces, one file for each object.

    Args:
        folder: The folder.
        mesh: The mesh whose configuration it is.
        settings: What may be touched there.
        sleep: Waits for proxies.
    """

    def __init__(
        self, folder: Path, mesh: Mesh, settings: Settings, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.folder = folder
        self._mesh, self._settings, self._sleep = mesh, settings, sleep

    def save(self, namespaces: Sequence[str] | None = None) -> Saved:
        """Writes every object of Istio's configuration to the folder, and reads it back.

        Args:
            namespaces: By default those that may be touched.

        Raises:
            InputError: no namespace is named or allowed, or the folder has something else.
            Refused: a fault or a change of the harness is active, which nobody wants to restore.
            MeshError: the API can't be read.
        """
        names = chosen(self._mesh, self._settings, namespaces)
        self._refuse_if_active(names, "saved")
        found = find(self._mesh, names)
        backup = Backup(self._mesh.identity().uid, tuple(sorted(names)), found.kinds, found.cleaned)
        written = write_backup(self.folder, backup)
        return Saved(
            objects=len(backup.objects), namespaces=backup.namespaces, written=tuple(written), unlisted=found.unlisted,
            denied=found.denied, differing=self._compared(read_backup(self.folder), names)[0],
        )  # fmt: skip

    def diff(self, namespaces: Sequence[str] | None = None) -> Sequence[Difference]:
        """How the mesh differs from the folder.

        Args:
            namespaces: By default those of the backup.

        Raises:
            InputError: the folder holds no backup, or none of such a namespace.
            MeshError: the API can't be read.
        """
        backup = read_backup(self.folder)
        return self._compared(backup, _of(backup, namespaces))[0]

    def restore(
        self,
        namespaces: Sequence[str] | None = None,
        *,
        prune: bool = False,
        told: Callable[[Compared], None] = lambda compared: None,  # noqa: ARG005 - a default that does nothing
    ) -> Restored:
        """Writes what differs, and nothing else; then it compares again, and asks the proxies whether they have it.

        Args:
            namespaces: By default those of the backup.
            prune: Whether objects are removed that the backup does not have.
            told: Told what differs before anything is written; what it raises ends the restore.

        Raises:
            InputError: the folder holds no backup, or none of such a namespace.
            Refused: a staging rule forbids it, a fault or a change is active, or the API server rejects an object; nothing was written.
            MeshError: the API failed.
        """
        backup = read_backup(self.folder)
        names = _of(backup, namespaces)
        staging = self._staging(names)
        differing, found = self._compared(backup, names)
        wanted = _wanted(differing, prune=prune)
        told(Compared(differing=differing, wanted=wanted, same_cluster=self._mesh.identity().uid == backup.cluster))
        if not wanted:
            return Restored()
        before = proxies(self._mesh, names)
        done, left = _restore(self._mesh, staging, backup, found, wanted)
        again, _ = self._compared(backup, names)
        left += [f"{one.title} still differs" for one in _wanted(again, prune=prune)]
        wrong = await_proxies(self._mesh, names, before, sleep=self._sleep)
        return Restored(done=tuple(done), left=tuple(left), proxies=tuple(wrong), asked=len(before))

    def _refuse_if_active(self, namespaces: Sequence[str], done: str) -> None:
        if there := "; ".join(map(str, active_of_both(self._mesh, namespaces))):
            raise Refused(
                f"nothing was {done}: {there}", hint="wait for its end; what a dead run left, chaosctl sweep removes"
            )

    def _compared(self, backup: Backup, namespaces: Sequence[str]) -> tuple[tuple[Difference, ...], Found]:
        found = find(self._mesh, namespaces)
        blind = sorted({kind for _, kind, _ in backup.objects} - set(found.kinds))
        if blind:
            told = "; ".join(f"{kind}: {found.unlisted[kind]}" for kind in blind)
            raise MeshError(f"the backup has objects that can't be compared: {told}")
        return tuple(differences(backup, found.cleaned, namespaces=namespaces)), found

    def _staging(self, namespaces: Sequence[str]) -> Mapping[str, InNamespace]:
        """The namespaces, if they may be written to, and nobody is at it."""
        cluster, settings = self._mesh.identity().uid, self._settings
        places = {}
        for one in namespaces:
            around = look_around(self._mesh, one, cluster=cluster, root=settings.root_namespace, writable_outside=())
            refuse(namespace_refusals(one, around, settings))
            places[one] = InNamespace(home=one, situation=around, settings=settings)
        self._refuse_if_active(namespaces, "restored")
        return places


def _of(backup: Backup, named: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(named, str):
        raise InputError(f"expected a list of namespaces, got {named!r}")
    unknown = [one for one in named or () if one not in backup.namespaces]
    if unknown:
        raise InputError(f"the backup has no namespace {', '.join(unknown)}; it has {', '.join(backup.namespaces)}")
    return tuple(named) if named else backup.namespaces


def _wanted(differing: Sequence[Difference], *, prune: bool) -> tuple[Difference, ...]:
    return tuple(one for one in differing if one.state != "extra" or prune)


def _restore(
    mesh: Mesh, staging: Mapping[str, InNamespace], backup: Backup, found: Found, wanted: Sequence[Difference]
) -> tuple[list[str], list[str]]:
    """Writes what differs, in an order in which nothing is referred to before it is there: what was done, and what was not.

    All is tried first; where the API server rejects one, nothing is written. What others write meanwhile is not overwritten.
    """
    reasons = {one.key: _why_left(one, staging, backup, found) for one in wanted}
    left = [f"{one.title}: {reasons[one.key]}, so it is left as it is" for one in wanted if reasons[one.key]]
    steps = [(one, _step(one, backup, found)) for one in wanted if not reasons[one.key]]
    for one, step in steps:
        try_out(mesh, step, f"{one.title}, so nothing was written", manager=_MANAGER)
    done = []
    for one, step in steps:
        try:
            do(mesh, step, manager=_MANAGER)
            done.append(f"{'removed' if one.state == 'extra' else 'restored'} {one.title}")
        except MeshError as error:
            if error.status not in (404, 409):
                told = f" (before that: {', '.join(done)})" if done else ""
                raise MeshError(
                    f"{one.title} could not be restored: {error.message}{told}",
                    status=error.status,
                    hint="restore again when the API answers: it writes what still differs",
                ) from error
            left.append(f"{one.title}: somebody wrote it meanwhile")
    return done, left


def _why_left(one: Difference, staging: Mapping[str, InNamespace], backup: Backup, found: Found) -> str:
    """Why an object is not touched; empty where it is."""
    live = found.objects.get(one.key)
    owner = controller_of(live) if live is not None else None
    if owner is not None:
        return f"{owner} owns it"
    return why_not_restored(backup.objects[one.key], staging[one.namespace]) if one.state != "extra" else ""


def _restored(then: Object, now: Object | None) -> dict[str, Any]:
    """The object as in the backup; what the API server and clients keep on it stays."""
    if now is None:
        return dict(then)
    meta = {key: value for key, value in now["metadata"].items() if key not in ("labels", "annotations")}
    kept = cleaned(now, ours=PREFIX)["metadata"]
    for part in ("labels", "annotations"):
        others = {k: v for k, v in (now["metadata"].get(part) or {}).items() if k not in kept.get(part, {})}
        if both := {**others, **then["metadata"].get(part, {})}:
            meta[part] = both
    return {**now, "metadata": meta, "spec": then["spec"]}


def _step(one: Difference, backup: Backup, found: Found) -> Step:
    now = found.objects.get(one.key)
    if one.state == "extra":
        return Step("delete", found.objects[one.key])
    return Step("create" if now is None else "replace", _restored(backup.objects[one.key], now))


def await_proxies(
    mesh: Mesh, namespaces: Sequence[str], before: Sequence[ProxyState], *, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """What is wrong with the distribution of what was just written: proxies that are not connected, or reject it.

    Raises:
        MeshError: the API can't be read.
    """
    known = {(one.namespace, one.pod): one for one in before}
    waited = 0.0
    while True:
        sleep(_PAUSE)
        waited += _PAUSE
        now = proxies(mesh, namespaces)
        wrong = [
            *(f"{one.title} is not connected to istiod" for one in now if one.connected is False),
            *(
                f"{one.title} has rejected what istiod sent to it"
                for one in now
                if (earlier := known.get((one.namespace, one.pod))) and one.rejected > earlier.rejected
            ),
            *(
                f"{one.title} can't be asked (no right to exec, or no usable answer)"
                for one in now
                if one.connected is None
            ),
        ]
        settled = all(one.connected is not False for one in now) and waited >= _DEBOUNCE
        if settled or waited >= _SETTLED:
            return wrong
