"""What goes with what: owners and what they own, namespaces and what is in them.

What Kubernetes' garbage collector and namespace controller do (``pkg/controller/garbagecollector``), done at once: an
answer still shows an object as it was marked, and the next request meets what became of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from chaos.lab.api.ownership import Writer, track
from chaos.lab.api.resources import BY_KIND, NAMESPACES, RESOURCES, Resource

_FOREGROUND: Final = "foregroundDeletion"
_ORPHAN: Final = "orphan"
GARBAGE_FINALIZERS: Final = (_FOREGROUND, _ORPHAN)
_MANAGER: Final = "kube-controller-manager"
Object = dict[str, Any]
Owner = Mapping[str, Any]


class Collected(Protocol):
    """What the collector needs of the store."""

    def find(self, res: Resource, namespace: str | None, name: str) -> Object | None:
        """A stored object."""
        ...

    def list(self, res: Resource, namespace: str | None = None) -> Sequence[Object]:
        """The stored objects of one namespace, or of all."""
        ...

    def replace(self, res: Resource, namespace: str | None, name: str, new: Object) -> Object:
        """Writes an object over the stored one."""
        ...

    def delete(self, res: Resource, namespace: str | None, name: str, *, propagation: str = "") -> Object:
        """Deletes an object, or marks it for that."""
        ...


class Garbage:
    """The collector of one store."""

    def __init__(self, store: Collected) -> None:
        self._store = store

    def collect(self, res: Resource, obj: Object) -> None:
        """Deletes an object of whose owners none is there, and takes out of the others those that are not.

        An owner that is being deleted in the foreground counts as gone.
        """
        meta = obj["metadata"]
        owners = meta.get("ownerReferences") or ()
        if not owners:
            return
        staying = [owner for owner in owners if self._stays(owner, meta.get("namespace", ""))]
        if not staying:
            waited_for = any(self._waits(owner, meta.get("namespace", "")) for owner in owners)
            self._delete(res, obj, "Foreground" if waited_for and self._has_dependents(meta["uid"]) else "")
        elif len(staying) < len(owners):
            self._write(res, obj, ownerReferences=staying)

    def going(self, res: Resource, obj: Object) -> None:
        """Does what holds an object that was marked for deletion, as far as it can be done."""
        meta = obj["metadata"]
        if res is NAMESPACES:
            self._empty(meta["name"])
        held = meta.get("finalizers") or ()
        if _ORPHAN in held:
            for other, dependent in self._dependents(meta["uid"]):
                left = [one for one in dependent["metadata"]["ownerReferences"] if one.get("uid") != meta["uid"]]
                self._write(other, dependent, ownerReferences=left)
            self._release(res, obj, _ORPHAN)
        elif _FOREGROUND in held:
            for other, dependent in self._dependents(meta["uid"]):
                self.collect(other, dependent)
            self._release_foreground(res, meta.get("namespace"), meta["name"])

    def gone(self, res: Resource, obj: Object) -> None:
        """Collects what an object that is gone has left behind, and lets go what has waited for it."""
        meta = obj["metadata"]
        for other, dependent in self._dependents(meta["uid"]):
            self.collect(other, dependent)
        for owner in meta.get("ownerReferences") or ():
            above = self._resource(owner)
            if above is not None:
                place = meta.get("namespace") if above.namespaced else None
                self._release_foreground(above, place, str(owner.get("name", "")))
        if res.namespaced:
            home = self._store.find(NAMESPACES, None, meta["namespace"])
            if home is not None and home["metadata"].get("deletionTimestamp"):
                self._finish(meta["namespace"])

    # --- owners ------------------------------------------------------------------------------------------------------

    def _dependents(self, uid: str) -> Iterator[tuple[Resource, Object]]:
        for res in RESOURCES:
            for obj in self._store.list(res):
                if any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or ()):
                    yield res, obj

    def _has_dependents(self, uid: str) -> bool:
        return next(self._dependents(uid), None) is not None

    def _stays(self, owner: Owner, namespace: str) -> bool:
        """Whether an owner is there and not only waiting for what it owns; of kinds that aren't served nobody knows."""
        if self._resource(owner) is None:
            return True
        found = self._owner(owner, namespace)
        return found is not None and not _is_foreground(found)

    def _waits(self, owner: Owner, namespace: str) -> bool:
        found = self._owner(owner, namespace)
        return found is not None and _is_foreground(found)

    def _owner(self, owner: Owner, namespace: str) -> Object | None:
        res = self._resource(owner)
        if res is None:
            return None
        found = self._store.find(res, namespace if res.namespaced else None, str(owner.get("name", "")))
        return found if found is not None and found["metadata"]["uid"] == owner.get("uid") else None

    @staticmethod
    def _resource(owner: Owner) -> Resource | None:
        group, slash, _ = str(owner.get("apiVersion", "")).rpartition("/")
        return BY_KIND.get((group if slash else "", str(owner.get("kind", ""))))

    def _release_foreground(self, res: Resource, namespace: str | None, name: str) -> None:
        """Lets an owner go that has waited, once nothing is left that may hold it up."""
        found = self._store.find(res, namespace, name)
        if found is None or not _is_foreground(found):
            return
        uid = found["metadata"]["uid"]
        for _, dependent in self._dependents(uid):
            owners = dependent["metadata"]["ownerReferences"]
            if any(owner.get("uid") == uid and owner.get("blockOwnerDeletion") for owner in owners):
                return
        self._release(res, found, _FOREGROUND)

    def _release(self, res: Resource, obj: Object, finalizer: str) -> None:
        meta = obj["metadata"]
        found = self._store.find(res, meta.get("namespace"), meta["name"])
        if found is not None and found["metadata"]["uid"] == meta["uid"]:
            left = [one for one in found["metadata"].get("finalizers") or () if one != finalizer]
            self._write(res, found, finalizers=left)

    # --- namespaces --------------------------------------------------------------------------------------------------

    def _empty(self, namespace: str) -> None:
        for res in RESOURCES:
            for obj in self._store.list(res, namespace) if res.namespaced else ():
                self._delete(res, obj, "")
        self._finish(namespace)

    def _finish(self, namespace: str) -> None:
        """Lets a namespace go that is empty and nothing else holds."""
        if any(self._store.list(res, namespace) for res in RESOURCES if res.namespaced):
            return
        home = self._store.find(NAMESPACES, None, namespace)
        if home is not None and home["spec"].get("finalizers"):
            self._store.replace(NAMESPACES, None, namespace, {**home, "spec": {**home["spec"], "finalizers": []}})

    # --- writing -----------------------------------------------------------------------------------------------------

    def _delete(self, res: Resource, obj: Object, propagation: str) -> None:
        meta = obj["metadata"]
        if self._store.find(res, meta.get("namespace"), meta["name"]) is obj:
            self._store.delete(res, meta.get("namespace"), meta["name"], propagation=propagation)

    def _write(self, res: Resource, obj: Object, **metadata: list[Any]) -> None:
        """Writes fields of an object's metadata; an empty one is taken out."""
        meta = {key: value for key, value in {**obj["metadata"], **metadata}.items() if value or key not in metadata}
        found = self._store.find(res, meta.get("namespace"), meta["name"])
        if found is not None and found["metadata"]["uid"] == meta["uid"]:
            meta["resourceVersion"] = found["metadata"]["resourceVersion"]
            changed = {**obj, "metadata": meta}
            writer = Writer(manager=_MANAGER, api_version=res.api_version(), custom=res.custom)
            meta["managedFields"] = track(found, changed, writer)
            self._store.replace(res, meta.get("namespace"), meta["name"], changed)


def _is_foreground(obj: Object) -> bool:
    meta = obj["metadata"]
    return "deletionTimestamp" in meta and _FOREGROUND in (meta.get("finalizers") or ())
