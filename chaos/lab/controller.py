"""What Kubernetes' controllers do for a mesh: Deployments and other workloads into Pods, Services and Pods into Endpoints, their status.

Reacts to whatever is created, scaled, changed and deleted through the API, at start and at run time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from chaos.istio.pods import selects
from chaos.lab import injection
from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import NAMESPACES, ROLLOUTS, SERVICE_ACCOUNTS, SERVICES, WORKLOADS
from chaos.lab.api.store import Event, Store
from chaos.lab.deployments import Deployments
from chaos.lab.pod_sets import DaemonSets, PodSets, ReplicaSets, StatefulSets
from chaos.lab.rollouts import Rollouts
from chaos.lab.services import Services

_LOG: Final = logging.getLogger(__name__)
Object = Mapping[str, Any]


class _Key(NamedTuple):
    kind: str
    namespace: str
    name: str


class Controller:
    """Keeps Pods and Endpoints what workloads and Services ask for.

    Args:
        store: The cluster's objects.
        on_endpoints: Told of all endpoints, as ``name.namespace:port`` → ``ip:port``, whenever they change.
    """

    def __init__(self, store: Store, *, on_endpoints: Callable[[dict[str, list[str]]], None] | None = None) -> None:
        self._store = store
        self._services = Services(store)
        self._kinds: Mapping[str, Deployments | PodSets | Services] = {
            "Deployment": Deployments(store),
            "Rollout": Rollouts(store),
            "StatefulSet": StatefulSets(store),
            "DaemonSet": DaemonSets(store),
            "ReplicaSet": ReplicaSets(store),
            "Service": self._services,
        }
        self._on_endpoints = on_endpoints
        self._told: dict[str, list[str]] = {}
        self._dirty: dict[_Key, None] = {}
        self._wake = asyncio.Event()
        self._unsubscribe = store.subscribe(self._notice)
        for resource in (*WORKLOADS, SERVICES):
            for obj in store.list(resource):
                self._mark(obj)
        for namespace in store.list(NAMESPACES):
            self._give_account(namespace["metadata"]["name"])

    async def run(self) -> None:
        """Reconciles until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self.settle()
                await asyncio.sleep(0.01)  # several events of one burst make one pass
        finally:
            self._unsubscribe()

    def settle(self) -> None:
        """Reconciles what is known to have changed."""
        self._wake.clear()
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            try:
                self._kinds[key.kind].reconcile(key.namespace, key.name)
            except ApiError as error:
                # A validation that our own objects fail is a bug; anything else is someone who was faster.
                _LOG.warning("%s %s/%s: %s", key.kind, key.namespace, key.name, error)
        self._tell()

    # -- noticing -----------------------------------------------------------------------------------------------------

    def _notice(self, event: Event) -> None:
        obj = event.object
        if obj["kind"] in self._kinds:
            self._mark(obj)
        if obj["kind"] in ("Service", "VirtualService"):  # a Rollout sets selectors and weights
            for rollout in self._store.list(ROLLOUTS, obj["metadata"]["namespace"]):
                self._mark(rollout)
        elif obj["kind"] == "Namespace" and event.type == "ADDED":
            self._give_account(obj["metadata"]["name"])
        elif obj["kind"] == "Pod":
            namespace = obj["metadata"]["namespace"]
            for owner in obj["metadata"].get("ownerReferences") or ():
                if owner["kind"] in self._kinds:
                    self._dirty[_Key(owner["kind"], namespace, owner["name"])] = None
                if owner["kind"] == "ReplicaSet":
                    kind, name = injection.above(obj)
                    self._dirty[_Key(kind, namespace, name)] = None
            for service in self._store.list(SERVICES, namespace):
                if selects(service, obj["metadata"].get("labels") or {}):
                    self._mark(service)
            self._wake.set()

    def _give_account(self, namespace: str) -> None:
        """Every namespace has a service account ``default``."""
        if self._store.find(SERVICE_ACCOUNTS, namespace, "default") is None:
            self._store.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": namespace}})

    def _mark(self, obj: Object) -> None:
        self._dirty[_Key(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])] = None
        self._wake.set()

    def _tell(self) -> None:
        known = self._services.endpoints()
        if self._on_endpoints is not None and known != self._told:
            self._told = known
            self._on_endpoints(known)
