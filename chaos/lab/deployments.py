"""Deployments into ReplicaSets and Pods."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from chaos.lab import injection
from chaos.lab.api.resources import DEPLOYMENTS, NAMESPACES, PODS, REPLICA_SETS, Resource
from chaos.lab.api.store import Store
from chaos.lab.status import condition, is_owned_by, is_ready, write_status

Object = Mapping[str, Any]


class Deployments:
    """Keeps the Pods of Deployments what these ask for; a kind of its own is whatever makes its Pods in the same way."""

    resource: ClassVar[Resource] = DEPLOYMENTS

    def __init__(self, store: Store) -> None:
        self._store = store

    def reconcile(self, namespace: str, name: str) -> None:
        """One Deployment, as it is now."""
        deployment = self._store.find(self.resource, namespace, name)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return  # its pods go with it, by their owner references
        wanted = int(deployment["spec"].get("replicas", 1))
        hashed = injection.template_hash(deployment)
        replica_set = self._replica_set(deployment)
        owned = self._pods_of(deployment)
        current = [pod for pod in owned if injection.hash_of(pod) == hashed]
        old = [pod for pod in owned if injection.hash_of(pod) not in (hashed, *self.kept(deployment))]
        home = self._store.get(NAMESPACES, None, namespace)
        for _ in range(wanted - len(current)):
            self._store.create(PODS, injection.inject(injection.pod_of(replica_set), home))
        surplus = sorted(current, key=is_ready)[: max(0, len(current) - wanted)]
        if sum(map(is_ready, current)) >= wanted:
            surplus += old
        for pod in surplus:
            self._store.delete(PODS, namespace, pod["metadata"]["name"])
        self._tell_status(deployment, hashed)

    def kept(self, deployment: Object) -> Collection[str]:
        """Hashes of templates whose pods stay although a new template has its own."""
        del deployment
        return ()

    def more_status(self, deployment: Object, hashed: str) -> Object:
        """What the status has beside that of a Deployment."""
        del deployment, hashed
        return {}

    def _replica_sets(self, deployment: Object) -> list[Object]:
        namespace = deployment["metadata"]["namespace"]
        return [one for one in self._store.list(REPLICA_SETS, namespace) if is_owned_by(one, deployment)]

    def _replica_set(self, deployment: Object) -> Object:
        """The one of the present template; those before it are kept, as Kubernetes keeps them for ``rollout undo``."""
        wanted = injection.replica_set_of(deployment)
        namespace, name = deployment["metadata"]["namespace"], wanted["metadata"]["name"]
        for other in self._replica_sets(deployment):
            stays = other["metadata"]["name"] == name or injection.hash_of(other) in self.kept(deployment)
            replicas = wanted["spec"]["replicas"] if stays else 0
            if other["spec"]["replicas"] != replicas:
                scaled = {**other, "spec": {**other["spec"], "replicas": replicas}}
                self._store.replace(REPLICA_SETS, namespace, other["metadata"]["name"], scaled)
        found = self._store.find(REPLICA_SETS, namespace, name)
        return found if found is not None else self._store.create(REPLICA_SETS, wanted)

    def _pods_of(self, deployment: Object) -> list[Object]:
        owners = self._replica_sets(deployment)
        pods = self._store.list(PODS, deployment["metadata"]["namespace"])
        return [pod for pod in pods if any(is_owned_by(pod, owner) for owner in owners)]

    def _tell_status(self, deployment: Object, hashed: str) -> None:
        meta = deployment["metadata"]
        wanted = int(deployment["spec"].get("replicas", 1))
        pods = self._pods_of(deployment)
        updated = [pod for pod in pods if injection.hash_of(pod) == hashed]
        ready = sum(map(is_ready, pods))
        complete = ready >= wanted and len(pods) == len(updated) == wanted
        before = deployment.get("status") or {}
        status: dict[str, Any] = {
            "observedGeneration": meta.get("generation", 1),
            "replicas": len(pods),
            "updatedReplicas": len(updated),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [
                condition("Available", true=ready >= wanted, reason="MinimumReplicasAvailable", before=before),
                condition(
                    "Progressing",
                    true=True,
                    reason="NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
                    before=before,
                ),
            ],
            **self.more_status(deployment, hashed),
        }
        if not status["unavailableReplicas"]:
            del status["unavailableReplicas"]
        write_status(self._store, self.resource, deployment, status)
        for replica_set in self._replica_sets(deployment):
            own = [pod for pod in pods if is_owned_by(pod, replica_set)]
            ready = sum(map(is_ready, own))
            counts = {"replicas": len(own), "readyReplicas": ready, "availableReplicas": ready}
            observed = {"observedGeneration": replica_set["metadata"].get("generation", 1)}
            write_status(self._store, REPLICA_SETS, replica_set, {**counts, **observed})
