"""Objects in memory, with Kubernetes' rules: versions, generations, conflicts, owners, watches.

Single-threaded: everything happens in the supervisor's event loop, so a method is a transaction.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from chaos.lab.api import definitions
from chaos.lab.api.errors import ApiError, already_exists, conflict, expired, invalid, not_found
from chaos.lab.api.resources import (
    BY_KIND,
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENTS,
    NAMESPACES,
    RESOURCES,
    Resource,
)
from chaos.lab.api.selectors import Selector
from chaos.lab.api.validation import Cause

Object = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Admit = Callable[[Object | None, Object | None], None]
"""``(new, old)`` of a change that would be made now, neither to be changed; raises ``ApiError`` where it must not be."""

_KEPT: Final = 20_000
"""Events that are kept for watches that start from an older version."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_WITH_STATUS: Final = ("status",)


@dataclass(frozen=True)
class Event:
    """One change. ``object`` is the object after it; before it, for a deletion. Not to be changed."""

    type: EventType
    resource: Resource
    object: Object
    version: int


class Store:
    """All objects of one lab."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {r.key: {} for r in RESOURCES}
        self._version = 0
        self._log: deque[Event] = deque(maxlen=_KEPT)
        self._subscribers: list[Callable[[Event], None]] = []

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

    def list(self, res: Resource, namespace: str | None = None, selector: Selector | None = None) -> list[Object]:
        """The stored objects themselves, not to be changed; of one namespace, or of all."""
        return [
            obj
            for (where, _), obj in sorted(self._objects[res.key].items())
            if (namespace is None or where == namespace) and (selector is None or selector.matches(obj))
        ]

    def since(self, version: int) -> Iterator[Event]:
        """The changes after a version.

        Raises:
            ApiError: 410, some of them are no longer kept.
        """
        oldest = self._log[0].version if self._log else self._version + 1
        if version < oldest - 1 and version < self._version:
            raise expired(f"too old resource version: {version} ({oldest})")
        return iter([event for event in self._log if event.version > version])

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
            ApiError: 409 where there is one, 404 without its namespace, 422 for a name that can't be.
        """
        new = copy.deepcopy(dict(obj))
        meta = new.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        name, namespace = str(meta.get("name") or ""), str(meta.get("namespace") or "")
        if len(name) > 253 or not _NAME.fullmatch(name):
            raise invalid(
                res, name, [Cause(field="metadata.name", message="Required value: a lower-case DNS name is expected")]
            )
        if res.namespaced and self.find(NAMESPACES, None, namespace) is None:
            raise not_found(NAMESPACES, namespace)
        if self.find(res, namespace, name) is not None:
            raise already_exists(res, name)
        for key in ("resourceVersion", "selfLink", "deletionTimestamp"):
            meta.pop(key, None)
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=_now(), generation=1)
        if not res.namespaced:
            meta.pop("namespace", None)
        new["apiVersion"], new["kind"] = res.api_version(), res.kind
        if res is NAMESPACES:
            new["status"] = {"phase": "Active"}
            meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = name
        if res is CUSTOM_RESOURCE_DEFINITIONS:
            new["status"] = definitions.status_of(new)
        if admit is not None:
            admit(new, None)
        if dry_run:
            meta["resourceVersion"] = str(self._version)
            return new
        self._objects[res.key][namespace, name] = new
        self._changed("ADDED", res, new)
        self._collect_if_orphan(res, new)
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
        """Replaces an object, or only its status.

        Raises:
            ApiError: 404, or 409 where ``resourceVersion`` or ``uid`` is not the stored one.
        """
        old = self._found(res, namespace, name)
        new = copy.deepcopy(dict(obj))
        meta, was = new.setdefault("metadata", {}), old["metadata"]
        if meta.get("uid") not in (None, "", was["uid"]):
            raise conflict(
                res, name, f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {was['uid']}"
            )
        if meta.get("resourceVersion") not in (None, "", was["resourceVersion"]):
            raise conflict(
                res, name, "the object has been modified; please apply your changes to the latest version and try again"
            )
        if meta.get("name") not in (None, name) or (
            res.namespaced and meta.get("namespace") not in (None, "", namespace)
        ):
            raise invalid(res, name, [Cause(field="metadata.name", message="Invalid value: field is immutable")])
        if status:
            new = {**copy.deepcopy(old), "status": new.get("status", {})}
            meta = new["metadata"]
        elif "status" in old:
            new["status"] = copy.deepcopy(old["status"])
        for key in ("uid", "creationTimestamp", "generation", "resourceVersion"):
            meta[key] = was[key]
        meta["name"] = name
        if res.namespaced:
            meta["namespace"] = namespace
        new["apiVersion"], new["kind"] = res.api_version(), res.kind
        if _spec(new) != _spec(old):
            meta["generation"] = was.get("generation", 1) + 1
        if admit is not None:
            admit(new, old)
        if new == old:
            return copy.deepcopy(old)
        if dry_run:
            return new
        self._objects[res.key][namespace or "", name] = new
        self._changed("MODIFIED", res, new)
        return copy.deepcopy(new)

    def replace_status(self, res: Resource, namespace: str | None, name: str, obj: Mapping[str, Any]) -> Object:
        """Replaces an object's status and nothing else; see ``replace``."""
        return self.replace(res, namespace, name, obj, status=True)

    def delete(
        self,
        res: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        dry_run: bool = False,
        admit: Admit | None = None,
    ) -> Object:
        """Removes an object, and all that it owns.

        Raises:
            ApiError: 404, or 409 where a precondition does not hold.
        """
        old = self._found(res, namespace, name)
        for what, wanted, key in (("UID", uid, "uid"), ("ResourceVersion", version, "resourceVersion")):
            if wanted is not None and old["metadata"][key] != wanted:
                raise conflict(
                    res,
                    name,
                    f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {old['metadata'][key]}",
                )
        if admit is not None:
            admit(None, old)
        if dry_run:
            return copy.deepcopy(old)
        del self._objects[res.key][namespace or "", name]
        self._changed("DELETED", res, old)
        if res is NAMESPACES:
            for other in RESOURCES:
                for content in self.list(other, name) if other.namespaced else ():
                    self.delete(other, name, content["metadata"]["name"])
        self._collect(old["metadata"]["uid"])
        return copy.deepcopy(old)

    # --- owners ----------------------------------------------------------------------------------------------------

    def _collect(self, uid: str) -> None:
        """Deletes what was owned by the object of this uid and by nobody else that is still there."""
        for res in RESOURCES:
            for obj in self.list(res):
                owners = obj["metadata"].get("ownerReferences") or ()
                if any(owner.get("uid") == uid for owner in owners):
                    self._collect_if_orphan(res, obj)

    def _collect_if_orphan(self, res: Resource, obj: Object) -> None:
        meta = obj["metadata"]
        owners = meta.get("ownerReferences") or ()
        lives = not owners or any(self._owner_lives(owner, meta.get("namespace", "")) for owner in owners)
        if not lives and self.find(res, meta.get("namespace"), meta["name"]) is obj:
            self.delete(res, meta.get("namespace"), meta["name"])

    def _owner_lives(self, owner: Mapping[str, Any], namespace: str) -> bool:
        group, slash, _ = str(owner.get("apiVersion", "")).rpartition("/")
        res = BY_KIND.get((group if slash else "", str(owner.get("kind", ""))))
        if res is None:
            return True  # a kind that isn't served here can't be looked at, so nothing is collected for it
        found = self.find(res, namespace if res.namespaced else None, str(owner.get("name", "")))
        return found is not None and found["metadata"]["uid"] == owner.get("uid")

    # --- inside ----------------------------------------------------------------------------------------------------

    def _found(self, res: Resource, namespace: str | None, name: str) -> Object:
        found = self.find(res, namespace, name)
        if found is None:
            raise not_found(res, name)
        return found

    def _changed(self, kind: EventType, res: Resource, obj: Object) -> None:
        self._version += 1
        if kind == "DELETED":
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        else:
            obj["metadata"]["resourceVersion"] = str(self._version)
        event = Event(kind, res, obj, self._version)
        self._log.append(event)
        for callback in tuple(self._subscribers):
            callback(event)


def _spec(obj: Object) -> Object:
    """All but metadata and status: what the generation counts."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["EVENTS", "ApiError", "Event", "Object", "Store"]
