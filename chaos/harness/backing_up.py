"""Saves Istio's configuration of staging namespaces, compares it with what there is, and restores what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.engine.planning import look_around
from chaos.errors import MeshError, Refused
from chaos.guard.changes import InNamespace, namespace_refusals, why_not_restored
from chaos.guard.owners import controller_of
from chaos.istio.cleaned import cleaned
from chaos.istio.proxy_state import ProxyState
from chaos.istio.resources import KINDS
from chaos.istio.workloads import workloads_of
from chaos.model.backup import Backup, Difference, Key, differences, key_of
from chaos.model.marks import PREFIX
from chaos.model.settings import Settings
from chaos.ports import Mesh
from chaos.safety.active import active, active_changes

_MANAGER: Final = "istio-chaos-backup"
"""Our name in ``metadata.managedFields`` of what was restored."""
_UNANSWERED: Final = (403, 404)
_PAUSE: Final = 1.0
_DEBOUNCE: Final = 5.0
"""Seconds for which istiod may wait for further changes before it sends anything, and some: a rejection comes later."""
_SETTLED: Final = 20.0
"""Seconds for which proxies are waited for that are not connected."""
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Istio's configuration of some namespaces.

    Args:
        objects: As they are, by namespace, kind and name.
        kinds: Those that could be listed.
        unlisted: The others, each with the reason.
        denied: Those of them that the cluster serves, and that may have objects.
    """

    objects: Mapping[Key, Object]
    kinds: tuple[str, ...]
    unlisted: Mapping[str, str] = field(default_factory=dict)
    denied: tuple[str, ...] = ()

    @property
    def cleaned(self) -> Mapping[Key, Object]:
        """The objects as they are kept."""
        return {key: cleaned(obj, ours=PREFIX) for key, obj in self.objects.items()}


@dataclass(frozen=True)
class Staging:
    """Namespaces that may be written to, and their cluster's UID."""

    cluster: str
    places: Mapping[str, InNamespace]


def find(mesh: Mesh, namespaces: Sequence[str]) -> Found:
    """Every object of Istio's configuration in these namespaces.

    Raises:
        MeshError: the API can't be read.
    """
    objects: dict[Key, Object] = {}
    kinds, unlisted, denied = [], {}, []
    for one in KINDS:
        try:
            for namespace in namespaces:
                objects |= {key_of(obj): obj for obj in mesh.istio_objects(one.kind, namespace)}
            kinds.append(one.kind)
        except MeshError as error:
            if error.status not in _UNANSWERED:
                raise
            if error.status == 404:
                unlisted[one.kind] = "the cluster does not serve it"
            else:
                unlisted[one.kind] = f"no right to list {one.full} there"
                denied.append(one.kind)
    return Found(objects, tuple(kinds), unlisted, tuple(denied))


def backup_of(mesh: Mesh, namespaces: Sequence[str]) -> tuple[Backup, Found]:
    """What would be saved now.

    Raises:
        Refused: a fault or a change of the harness is active, which nobody wants to restore.
        MeshError: the API can't be read.
    """
    refuse_if_active(mesh, namespaces, "saved")
    found = find(mesh, namespaces)
    return Backup(mesh.identity().uid, tuple(sorted(namespaces)), found.kinds, found.cleaned), found


def refuse_if_active(mesh: Mesh, namespaces: Sequence[str], done: str) -> None:
    """Raises ``Refused`` while something of the harness is active."""
    there = [*map(str, active(mesh, namespaces)), *map(str, active_changes(mesh, namespaces))]
    if there:
        raise Refused(
            f"nothing was {done}: {'; '.join(there)}",
            hint="wait for its end; what a dead run left, chaosctl sweep removes",
        )


def compare(mesh: Mesh, backup: Backup, namespaces: Sequence[str]) -> tuple[list[Difference], Found]:
    """What is not as in the backup.

    Raises:
        MeshError: the API can't be read.
    """
    found = find(mesh, namespaces)
    blind = sorted({kind for _, kind, _ in backup.objects} - set(found.kinds))
    if blind:
        told = "; ".join(f"{kind}: {found.unlisted[kind]}" for kind in blind)
        raise MeshError(f"the backup has objects that can't be compared: {told}")
    return differences(backup, found.cleaned, namespaces=namespaces), found


def check_restore(mesh: Mesh, settings: Settings, namespaces: Sequence[str]) -> Staging:
    """The namespaces, if they may be written to, and nobody is at it.

    Raises:
        Refused: a staging rule forbids it, or a fault or a change is active.
        MeshError: the API can't be read.
    """
    cluster = mesh.identity().uid
    places = {}
    for namespace in namespaces:
        around = look_around(mesh, namespace, cluster=cluster, root=settings.root_namespace, writable_outside=())
        refused = namespace_refusals(namespace, around, settings)
        if refused:
            told = "\n".join(f"{one.rule}: {one.message}" for one in refused)
            raise Refused(told, hint="; ".join(dict.fromkeys(one.hint for one in refused)))
        places[namespace] = InNamespace(home=namespace, situation=around, settings=settings)
    refuse_if_active(mesh, namespaces, "restored")
    return Staging(cluster, places)


def restore(
    mesh: Mesh, staging: Staging, backup: Backup, found: Found, differing: Sequence[Difference], *, prune: bool
) -> tuple[list[str], list[str]]:
    """Writes what differs, in an order in which nothing is referred to before it is there: what was done, and what was not.

    All is tried first; where the API server rejects one, nothing is written. What others write meanwhile is not overwritten.

    Raises:
        Refused: the API server rejects an object; nothing was written.
        MeshError: the API failed.
    """
    wanted = [one for one in differing if one.state != "extra" or prune]
    left = [
        f"{one.title}: {why}, so it is left as it is"
        for one in wanted
        if (why := _why_left(one, staging, backup, found))
    ]
    mine = [one for one in wanted if not _why_left(one, staging, backup, found)]
    for one in mine:
        if one.state != "extra":
            _try(mesh, _restored(backup.objects[one.key], found.objects.get(one.key)))
    done = []
    for one in mine:
        try:
            _write(mesh, one, backup, found)
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


def _why_left(one: Difference, staging: Staging, backup: Backup, found: Found) -> str:
    """Why an object is not touched; empty where it is."""
    live = found.objects.get(one.key)
    owner = controller_of(live) if live is not None else None
    if owner is not None:
        return f"{owner} owns it"
    return why_not_restored(backup.objects[one.key], staging.places[one.namespace]) if one.state != "extra" else ""


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


def _try(mesh: Mesh, obj: Object) -> None:
    try:
        if "resourceVersion" in obj["metadata"]:
            mesh.replace_istio_object(obj, manager=_MANAGER, dry_run=True)
        else:
            mesh.create_istio_object(obj, manager=_MANAGER, dry_run=True)
    except MeshError as error:
        if not error.refused or error.status == 409:
            raise
        where = f"{obj['kind']} {obj['metadata']['namespace']}/{obj['metadata']['name']}"
        raise Refused(
            f"the API server rejects {where}, so nothing was written: {error.message}", hint=error.hint
        ) from error


def _write(mesh: Mesh, one: Difference, backup: Backup, found: Found) -> None:
    now = found.objects.get(one.key)
    if one.state == "extra":
        mesh.delete_istio_object(found.objects[one.key])
    elif now is None:
        mesh.create_istio_object(backup.objects[one.key], manager=_MANAGER)
    else:
        mesh.replace_istio_object(_restored(backup.objects[one.key], now), manager=_MANAGER)


def proxies(mesh: Mesh, namespaces: Sequence[str]) -> list[ProxyState]:
    """What the proxies of some namespaces say of themselves.

    Raises:
        MeshError: the API can't be read.
    """
    return [
        ProxyState.of(namespace, pod, mesh.stats_of_proxy(namespace, pod))
        for namespace in namespaces
        for workload in workloads_of(mesh.pods(namespace))
        for pod in workload.proxied
    ]


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
