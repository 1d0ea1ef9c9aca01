"""Objects in memory, with Kubernetes' rules: versions, generations, conflicts, owners, watches.

Single-threaded: everything happens in the supervisor's event loop, so a method is a transaction.
"""

from __future__ import annotations

import copy
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from chaos.lab.api import definitions
from chaos.lab.api.errors import ApiError, already_exists, expired, modified, not_found, other_uid, terminating, unmet
from chaos.lab.api.garbage import GARBAGE_FINALIZERS, Garbage
from chaos.lab.api.metadata import generated
from chaos.lab.api.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS, NAMESPACES, PODS, RESOURCES, Resource
from chaos.lab.api.selectors import Selector

Object = dict[str, Any]
Objects = list[Object]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Admit = Callable[[Object | None, Object | None], None]
"""``(new, old)`` of a change that would be made now, neither to be changed; raises ``ApiError`` where it must not be."""

_KEPT: Final = 20_000
"""Events that are kept for watches that start from an older version."""
_FIRST: Final = 1000
"""The version before the first change: as on a cluster, small numbers are versions that nobody knows any more."""
_NAME_LABEL: Final = "kubernetes.io/metadata.name"
OF_THE_SERVER: Final = (
    "uid", "resourceVersion", "selfLink", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
"""What the server says in the metadata of a new object, whatever was sent."""
_OPTIONAL: Final = ("labels", "annotations", "ownerReferences", "finalizers", "managedFields", "generateName")
_FINALIZER_OF: Final = {"Orphan": ("orphan",), "Foreground": ("foregroundDeletion",)}


@dataclass(frozen=True)
class Event:
    """One change. ``object`` is the object after it; before it, for a deletion. Not to be changed.

    Args:
        old: The object before a change; ``None`` for a new one.
    """

    type: EventType
    resource: Resource
    object: Object
    version: int
    old: Object | None = None


class Store:
    """All objects of one lab."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {r.key: {} for r in RESOURCES}
        self._version = _FIRST
        self._log: deque[Event] = deque(maxlen=_KEPT)
        self._subscribers: list[Callable[[Event], None]] = []
        self._garbage = Garbage(self)

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    # --- reading ---------------------------------------------------------------------------------------------------

    def get(self, res: Resource, namespace: str | None, name: str) -> Object:
        """A copy of an object.

        Raises:
            ApiError: 404.
        """
        return copy.deepcopy(self._found(res, namespace, name))

    def find(self, res: Resource, namespace: str | None, name: str) -> Object | None:
        """The stored object itself, not to be changed; ``None`` where there is none."""
        return self._objects[res.key].get((namespace or "", name))

    def list(self, res: Resource, namespace: str | None = None, selector: Selector | None = None) -> Objects:
        """The stored objects themselves, not to be changed; of one namespace, or of all."""
        return _chosen(self._objects[res.key], namespace, selector)

    def since(self, version: int) -> Iterator[Event]:
        """The changes after a version.

        Raises:
            ApiError: 410, some of them are no longer kept.
        """
        oldest = self._log[0].version if self._log else self._version + 1
        if version < oldest - 1:
            raise expired(f"too old resource version: {version} ({oldest - 1})")
        return iter([event for event in self._log if event.version > version])

    def at(self, version: int, res: Resource, namespace: str | None, selector: Selector | None = None) -> Objects:
        """What ``list`` would have given at a version.

        Raises:
            ApiError: 410, the changes since are no longer kept.
        """
        if version == self._version:
            return self.list(res, namespace, selector)
        then = dict(self._objects[res.key])
        for event in sorted(self.since(version), key=lambda one: -one.version):
            if event.resource is res:
                meta = event.object["metadata"]
                place = meta.get("namespace") or "", meta["name"]
                if event.old is None:
                    then.pop(place, None)
                else:
                    then[place] = event.old
        return _chosen(then, namespace, selector)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Calls back for every change from now on, in their order; returns how to end that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    # --- writing ---------------------------------------------------------------------------------------------------

    def create(
        self, res: Resource, obj: Mapping[str, Any], *, dry_run: bool = False, admit: Admit | None = None
    ) -> Object:
        """Stores a new object.

        Raises:
            ApiError: 409 where there is one, 404 without its namespace, 403 where that is being terminated.
        """
        new = copy.deepcopy(dict(obj))
        meta = new.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = generated(meta["generateName"], uuid.uuid4().hex)
        name, namespace = str(meta.get("name") or ""), str(meta.get("namespace") or "")
        if res.namespaced:
            self._check_namespace(res, namespace, name)
        else:
            meta.pop("namespace", None)
        for key in OF_THE_SERVER:
            meta.pop(key, None)
        _drop_empty(meta)
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=_now(), **({"generation": 1} if res.generation else {}))
        new["apiVersion"], new["kind"] = res.api_version(), res.kind
        if res is NAMESPACES:
            new["spec"], new["status"] = {"finalizers": ["kubernetes"]}, {"phase": "Active"}
            meta.setdefault("labels", {})[_NAME_LABEL] = name
        if admit is not None:
            admit(new, None)
        if res is CUSTOM_RESOURCE_DEFINITIONS:
            new["status"] = definitions.status_of(new)
        existing = self.find(res, namespace, name)
        if existing is not None:
            raise already_exists(res, name, going="deletionTimestamp" in existing["metadata"])
        if dry_run:
            return new
        self._objects[res.key][namespace, name] = new
        self._changed("ADDED", res, new)
        self._garbage.collect(res, new)
        return copy.deepcopy(new)

    def replace(
        self,
        res: Resource,
        namespace: str | None,
        name: str,
        obj: Mapping[str, Any],
        *,
        dry_run: bool = False,
        status: bool = False,
        admit: Admit | None = None,
    ) -> Object:
        """Replaces an object, or only its status. One that is being deleted goes with its last finalizer.

        Raises:
            ApiError: 404, or 409 where ``resourceVersion`` or ``uid`` is not the stored one.
        """
        old = self._found(res, namespace, name)
        new = copy.deepcopy(dict(obj))
        meta, was = new.setdefault("metadata", {}), old["metadata"]
        if meta.get("resourceVersion") not in (None, "", was["resourceVersion"]):
            raise modified(res, name)
        if status:
            new = {**copy.deepcopy(old), "status": new.get("status", {})}
            meta = new["metadata"]
        elif "status" in old:
            new["status"] = copy.deepcopy(old["status"])
        meta["uid"] = meta.get("uid") or was["uid"]
        for key in (
            "creationTimestamp",
            "generation",
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ):
            meta.pop(key, None)
            if key in was:
                meta[key] = was[key]
        _drop_empty(meta)
        meta["name"] = name
        if res.namespaced:
            meta["namespace"] = namespace
        if res is NAMESPACES:
            meta.setdefault("labels", {})[_NAME_LABEL] = name
        new["apiVersion"], new["kind"] = res.api_version(), res.kind
        if res.generation and _spec(new) != _spec(old):
            meta["generation"] = was.get("generation", 1) + 1
        if admit is not None:
            admit(new, old)
        if meta["uid"] != was["uid"]:
            raise other_uid(res, namespace, name, meta["uid"], was["uid"])
        if new == old:
            return copy.deepcopy(old)
        if dry_run:
            return new
        if "deletionTimestamp" in meta and not _held(new):
            self._objects[res.key][namespace or "", name] = new
            self.remove(res, new, old)
            return copy.deepcopy(new)
        self._objects[res.key][namespace or "", name] = new
        self._changed("MODIFIED", res, new, old)
        self._garbage.collect(res, new)
        return copy.deepcopy(new)

    def delete(
        self,
        res: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        propagation: str = "",
        dry_run: bool = False,
        admit: Admit | None = None,
    ) -> Object:
        """Deletes an object; what it owns goes after it, before it (``Foreground``), or stays (``Orphan``).

        Returns:
            It as it was; a Pod and one that something holds, with its ``deletionTimestamp``.

        Raises:
            ApiError: 404, or 409 where a precondition does not hold.
        """
        old = self._found(res, namespace, name)
        was = old["metadata"]
        if uid is not None and was["uid"] != uid:
            why = (
                f"the UID in the precondition ({uid}) does not match the UID in record ({was['uid']}). "
                "The object might have been deleted and then recreated"
            )
            raise unmet(res, name, why)
        if version is not None and was["resourceVersion"] != version:
            why = (
                f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
                f"({was['resourceVersion']}). The object might have been modified"
            )
            raise unmet(res, name, why)
        if admit is not None:
            admit(None, old)
        going = self._going(res, old, propagation)
        if dry_run:
            return copy.deepcopy(going)
        if not _held(going):
            self.remove(res, old, old)
            return copy.deepcopy(going)
        if going != old:
            self._objects[res.key][namespace or "", name] = going
            self._changed("MODIFIED", res, going, old)
        shown = copy.deepcopy(going)
        self._garbage.going(res, going)
        return shown

    def remove(self, res: Resource, obj: Object, old: Object) -> None:
        """Takes an object out that nothing holds any more, and then what was only there because of it."""
        meta = obj["metadata"]
        del self._objects[res.key][meta.get("namespace") or "", meta["name"]]
        self._changed("DELETED", res, obj, old)
        self._garbage.gone(res, obj)

    @staticmethod
    def _going(res: Resource, old: Object, propagation: str) -> Object:
        """The object as it is while it is being deleted."""
        was = old["metadata"]
        held = [one for one in was.get("finalizers") or () if not propagation or one not in GARBAGE_FINALIZERS]
        held += _FINALIZER_OF.get(propagation, ())
        meta = {key: value for key, value in was.items() if key != "finalizers"}
        if held:
            meta["finalizers"] = held
        going = {**old, "metadata": meta}
        if res is NAMESPACES:
            going["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
        if (_held(going) or res is PODS) and "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = _now()
            if res is not NAMESPACES:
                meta["deletionGracePeriodSeconds"] = 0
            if res.generation:
                meta["generation"] = was.get("generation", 1) + 1
        return going

    # --- inside ----------------------------------------------------------------------------------------------------

    def _found(self, res: Resource, namespace: str | None, name: str) -> Object:
        found = self.find(res, namespace, name)
        if found is None:
            raise not_found(res, name)
        return found

    def _check_namespace(self, res: Resource, namespace: str, name: str) -> None:
        found = self.find(NAMESPACES, None, namespace)
        if found is None:
            raise not_found(NAMESPACES, namespace)
        if found["metadata"].get("deletionTimestamp"):
            raise terminating(res, name, namespace)

    def _changed(self, kind: EventType, res: Resource, obj: Object, old: Object | None = None) -> None:
        self._version += 1
        if kind == "DELETED":
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        else:
            obj["metadata"]["resourceVersion"] = str(self._version)
        event = Event(kind, res, obj, self._version, old)
        self._log.append(event)
        for callback in tuple(self._subscribers):
            callback(event)


def _drop_empty(meta: Object) -> None:
    """Takes out what is empty in metadata, as Kubernetes does: a path into annotations that are gone leads nowhere."""
    for key in _OPTIONAL:
        if key in meta and not meta[key]:
            del meta[key]


def _chosen(
    objects: Mapping[tuple[str, str], Object], namespace: str | None, selector: Selector | None
) -> list[Object]:
    return [
        obj
        for (where, _), obj in sorted(objects.items())
        if (namespace is None or where == namespace) and (selector is None or selector.matches(obj))
    ]


def _held(obj: Object) -> bool:
    """Whether something has to be done before an object may go; a namespace's content always has."""
    return bool(obj["metadata"].get("finalizers") or (obj["kind"] == NAMESPACES.kind and obj["spec"].get("finalizers")))


def _spec(obj: Object) -> Object:
    """All but metadata and status: what the generation counts."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["EVENTS", "ApiError", "Event", "Object", "Store"]
