"""A VirtualService in the lab's own store, where every write has a field manager, and the same as the ``Mesh`` port."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from chaos.errors import MeshError
from chaos.lab.api import ownership
from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import LEASES, NAMESPACES, VIRTUAL_SERVICES
from chaos.lab.api.store import Store
from chaos.model.marks import FIELD_MANAGER
from chaos.safety.marks import belongs_to

Object = dict[str, Any]
NAME = "inventory"
KIND = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}


class Owned:
    """The lab's own store, where every write has a field manager, as its API server has it."""

    def __init__(self) -> None:
        self.store = Store()
        self.store.create(NAMESPACES, {"metadata": {"name": "staging"}})

    def find(self) -> Object | None:
        found = self.store.find(VIRTUAL_SERVICES, "staging", NAME)
        return copy.deepcopy(found) if found is not None else None

    def create(self, obj: Object, manager: str) -> Object:
        return self.store.create(VIRTUAL_SERVICES, self._tracked(None, obj, manager))

    def replace(self, obj: Object, manager: str) -> Object:
        name = obj["metadata"]["name"]
        live = self.store.find(VIRTUAL_SERVICES, "staging", name)
        return self.store.replace(VIRTUAL_SERVICES, "staging", name, self._tracked(live, obj, manager))

    def apply(self, obj: Object, manager: str, *, force: bool = False) -> None:
        live = self.find()
        wanted = ownership.apply(live, {**KIND, **obj}, writer(manager), force=force)
        if live is None:
            self.store.create(VIRTUAL_SERVICES, wanted)
        else:
            self.store.replace(VIRTUAL_SERVICES, "staging", NAME, wanted)

    def delete(self) -> None:
        self.store.delete(VIRTUAL_SERVICES, "staging", NAME)

    @staticmethod
    def _tracked(live: Object | None, obj: Object, manager: str) -> Object:
        owners = ownership.track(live, obj, writer(manager))
        return {**KIND, **obj, "metadata": {**obj["metadata"], "managedFields": owners}}


def writer(manager: str) -> ownership.Writer:
    return ownership.Writer(manager=manager, api_version=KIND["apiVersion"], custom=True)


class StoreMesh:
    """It as the ``Mesh`` port; somebody else may get in right before each of our next writes."""

    def __init__(self, owned: Owned) -> None:
        self.owned, self.store = owned, owned.store
        self.sneak: list[Callable[[], None]] = []

    def _do(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ApiError as error:
            raise MeshError(str(error), status=error.code) from error

    def _write(self, call: Callable[[], Any]) -> Any:
        if self.sneak:
            self.sneak.pop(0)()
        return self._do(call)

    def server_time(self) -> float:
        return datetime.now(UTC).timestamp()

    def virtual_service(self, namespace: str, name: str) -> Object | None:
        found = self.store.find(VIRTUAL_SERVICES, namespace, name)
        return copy.deepcopy(found) if found is not None else None

    def virtual_services(self, namespace: str | None = None) -> Sequence[Object]:
        return copy.deepcopy(self.store.list(VIRTUAL_SERVICES, namespace))

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, tuple[str, ...]]:
        return self._write(lambda: self.owned.create(obj, FIELD_MANAGER)), ()

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, tuple[str, ...]]:
        return self._write(lambda: self.owned.replace(obj, FIELD_MANAGER)), ()

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        try:
            self._write(lambda: self.store.delete(VIRTUAL_SERVICES, namespace, name, uid=uid))
        except MeshError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> Sequence[Object]:
        everything = [*self.store.list(VIRTUAL_SERVICES, namespace), *self.store.list(LEASES, namespace)]
        return copy.deepcopy([obj for obj in everything if belongs_to(obj, run)])

    def record_event(self, involved: Object, **told: Any) -> None:
        pass
