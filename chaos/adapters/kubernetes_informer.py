"""A local copy of a collection: listed once, then kept up to date by a watch, as Kubernetes' informers do it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from chaos.errors import MeshError

if TYPE_CHECKING:
    from chaos.adapters.kubernetes_api import KubernetesApi, Watch

WATCHED: Final = 8.0
"""Seconds that one watch lasts. The next one goes on where it ended, so a connection that is silently gone costs no more."""
POLLED: Final = 2.0
"""Seconds between two lists where the identity may not watch."""
_PAUSE: Final = 1.0
"""Seconds after a failure."""
_GAP: Final = 0.1
"""Seconds between two watches; the next one tells what happened meanwhile."""
_FIRST: Final = 10.0
"""Seconds for which the first list is waited for."""
_NOT_WATCHED: Final = (403, 405)
Object = Mapping[str, Any]


class Informer:
    """The ``Informer`` port over the Kubernetes API."""

    def __init__(self, api: KubernetesApi, path: str) -> None:
        self._api = api
        self._path = path
        self._known: dict[tuple[str, str], Object] = {}
        self._changes = 0
        self._trouble: MeshError | None = None
        self._watch: Watch | None = None
        self._listed = threading.Event()
        self._end = threading.Event()
        # A daemon: a connection that hangs must not keep the process from ending.
        threading.Thread(target=self._follow, name="informer", daemon=True).start()

    @property
    def changes(self) -> int:
        """A number that grows whenever something changed."""
        return self._changes

    def objects(self) -> Sequence[Object]:
        """All objects, as last heard. Waits for the first list.

        Raises:
            MeshError: the API does not answer, so nobody can tell.
        """
        if not self._listed.wait(_FIRST):
            raise MeshError(f"{self._path}: no list within {_FIRST:g} s")
        if self._trouble is not None:
            raise self._trouble
        return tuple(self._known.values())

    def stop(self) -> None:
        """Follows it no longer."""
        self._end.set()
        if (watch := self._watch) is not None:
            watch.stop()

    def _follow(self) -> None:
        version = ""
        while not self._end.is_set():
            try:
                version = self._hear(version or self._list())
                self._end.wait(_GAP)
            except MeshError as error:
                if error.status == 410:  # the server no longer knows what has changed since
                    version = ""
                    self._end.wait(_PAUSE)
                else:
                    self._fail(error)
            except Exception as error:  # noqa: BLE001 - the thread's edge: whatever it is, nobody is told of changes
                self._fail(MeshError(f"{self._path}: {type(error).__name__}: {error}"))

    def _list(self) -> str:
        found, version = self._api.collect(self._path)
        self._known = {_key(obj): obj for obj in found}
        self._changes += 1
        self._trouble = None
        self._listed.set()
        return version

    def _hear(self, version: str) -> str:
        """Follows one watch to its end; the version from which the next one goes on, empty for a new list."""
        try:
            self._watch = watch = self._api.watch(self._path, version, seconds=WATCHED)
        except MeshError as error:
            if error.status not in _NOT_WATCHED:
                raise
            self._end.wait(POLLED)
            return ""
        self._trouble = None
        if self._end.is_set():  # it was asked to stop while the watch was opened
            watch.stop()
        for event in watch:
            obj = event["object"]
            version = str(obj["metadata"]["resourceVersion"])
            if event["type"] == "BOOKMARK":
                continue
            known = {key: one for key, one in self._known.items() if key != _key(obj)}
            self._known = known if event["type"] == "DELETED" else {**known, _key(obj): obj}
            self._changes += 1
        return version

    def _fail(self, error: MeshError) -> None:
        self._trouble = error
        self._listed.set()
        self._end.wait(_PAUSE)


def _key(obj: Object) -> tuple[str, str]:
    return str(obj["metadata"].get("namespace", "")), str(obj["metadata"]["name"])
