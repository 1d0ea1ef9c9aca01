"""What makes its Pods itself, without a ReplicaSet between: StatefulSets, DaemonSets, and ReplicaSets that nobody owns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from chaos.lab import injection
from chaos.lab.api.resources import DAEMON_SETS, NAMESPACES, PODS, REPLICA_SETS, STATEFUL_SETS, Resource
from chaos.lab.api.store import Store
from chaos.lab.status import is_owned_by, is_ready, write_status

Object = Mapping[str, Any]
_REVISION: Final = injection.REVISION_LABEL
_ROLLING: Final = "RollingUpdate"


class PodSets(ABC):
    """Keeps the Pods of one of these kinds what its objects ask for."""

    resource: ClassVar[Resource]
    defaults: ClassVar[Object]
    """What the API server fills in of the spec, as far as it is read, here or by ``kubectl rollout status``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reconcile(self, namespace: str, name: str) -> None:
        """One object, as it is now."""
        found = self._store.find(self.resource, namespace, name)
        if found is None or found["metadata"].get("deletionTimestamp") or found["metadata"].get("ownerReferences"):
            return  # its pods go with it, by their owner references; or somebody else makes them
        filled = {**self.defaults, **found["spec"]}
        if filled != found["spec"]:
            found = self._store.replace(self.resource, namespace, name, {**found, "spec": filled})
        for action in self._step(found, self._pods_of(found)):
            if isinstance(action, str):
                self._store.delete(PODS, namespace, action)
            else:
                home = self._store.get(NAMESPACES, None, namespace)
                self._store.create(PODS, injection.inject(action, home))
        status = {
            "observedGeneration": found["metadata"].get("generation", 1),
            **self._status(found, self._pods_of(found)),
        }
        write_status(self._store, self.resource, found, status)

    @abstractmethod
    def _step(self, one: Object, pods: Sequence[Object]) -> Iterator[Object | str]:
        """What can be done now: Pods to make, and the names of Pods to delete."""

    @abstractmethod
    def _status(self, one: Object, pods: Sequence[Object]) -> dict[str, Any]:
        """What the object's status tells of its pods."""

    def _pods_of(self, one: Object) -> list[Object]:
        return [pod for pod in self._store.list(PODS, one["metadata"]["namespace"]) if is_owned_by(pod, one)]


class ReplicaSets(PodSets):
    """A new template is for new pods alone."""

    resource = REPLICA_SETS
    defaults: ClassVar[Object] = {"replicas": 1}

    def _step(self, one: Object, pods: Sequence[Object]) -> Iterator[Object | str]:
        wanted = _replicas(one)
        for _ in range(wanted - len(pods)):
            yield injection.pod_of(one)
        for pod in sorted(pods, key=is_ready)[: max(0, len(pods) - wanted)]:
            yield str(pod["metadata"]["name"])

    def _status(self, one: Object, pods: Sequence[Object]) -> dict[str, Any]:
        del one
        return _counts(pods)


class DaemonSets(PodSets):
    """One pod, since the lab has one node. As ``maxUnavailable: 1`` has it, the old one goes before the new one comes."""

    resource = DAEMON_SETS
    defaults: ClassVar[Object] = {"updateStrategy": {"type": _ROLLING}}

    def _step(self, one: Object, pods: Sequence[Object]) -> Iterator[Object | str]:
        revision = injection.template_hash(one)
        staying = [pod for pod in pods if _is_manual(one) or _revision_of(pod) == revision]
        yield from (str(pod["metadata"]["name"]) for pod in pods if pod not in staying)
        if not staying:
            yield injection.pod_of(one, labels={_REVISION: revision})

    def _status(self, one: Object, pods: Sequence[Object]) -> dict[str, Any]:
        updated = [pod for pod in pods if _revision_of(pod) == injection.template_hash(one)]
        ready = sum(map(is_ready, pods))
        return {
            "currentNumberScheduled": len(pods),
            "desiredNumberScheduled": 1,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": len(updated),
            **({"numberAvailable": ready} if ready else {"numberUnavailable": 1}),
        }


class StatefulSets(PodSets):
    """Pods with names that stay, made in their order and replaced in the reverse one, each when those before it are ready.

    With ``podManagementPolicy: Parallel`` all are made at once. Of ``updateStrategy`` it knows ``OnDelete``, and ``partition`` for
    the pods that there are.
    """

    resource = STATEFUL_SETS
    defaults: ClassVar[Object] = {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": _ROLLING},
    }

    def _step(self, one: Object, pods: Sequence[Object]) -> Iterator[Object | str]:
        names, there = self._names(one), {str(pod["metadata"]["name"]): pod for pod in pods}
        at_once = one["spec"]["podManagementPolicy"] == "Parallel"
        for name in names:
            if name not in there:
                yield self._pod(one, name)
            if not at_once and not (name in there and is_ready(there[name])):
                return
        yield from (name for name in there if name not in names)
        if all(name in there for name in names):
            yield from self._replaced(one, [there[name] for name in names])

    def _replaced(self, one: Object, pods: Sequence[Object]) -> Iterator[str]:
        """The last pod of another template, where all after it are ready."""
        rolling = one["spec"]["updateStrategy"].get("rollingUpdate") or {}
        first = _first_ordinal(one)
        for pod in reversed(pods):
            name = str(pod["metadata"]["name"])
            if _is_manual(one) or int(name.rpartition("-")[2]) < max(first, int(rolling.get("partition") or 0)):
                return
            if _revision_of(pod) != self._revision(one):
                yield name
                return
            if not is_ready(pod):
                return

    def _pod(self, one: Object, name: str) -> Object:
        labels = {
            _REVISION: self._revision(one),
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": name.rpartition("-")[2],
        }
        made = injection.pod_of(one, name=name, labels=labels)
        made["spec"] |= {"hostname": name, "subdomain": one["spec"].get("serviceName", "")}
        return made

    def _status(self, one: Object, pods: Sequence[Object]) -> dict[str, Any]:
        revision, before = self._revision(one), one.get("status") or {}
        updated = sum(_revision_of(pod) == revision for pod in pods)
        complete = updated == len(pods) == _replicas(one)
        current = revision if complete else before.get("currentRevision", revision)
        return {
            **_counts(pods),
            "currentReplicas": sum(_revision_of(pod) == current for pod in pods),
            "updatedReplicas": updated,
            "currentRevision": current,
            "updateRevision": revision,
        }

    @staticmethod
    def _names(one: Object) -> list[str]:
        first = _first_ordinal(one)
        return [f"{one['metadata']['name']}-{number}" for number in range(first, first + _replicas(one))]

    @staticmethod
    def _revision(one: Object) -> str:
        return f"{one['metadata']['name']}-{injection.template_hash(one)}"


def _first_ordinal(one: Object) -> int:
    return int((one["spec"].get("ordinals") or {}).get("start") or 0)


def _replicas(one: Object) -> int:
    return int(one["spec"]["replicas"])


def _is_manual(one: Object) -> bool:
    """Whether a new template waits until somebody deletes the pods of the old one."""
    return bool(one["spec"]["updateStrategy"].get("type") == "OnDelete")


def _revision_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(_REVISION, ""))


def _counts(pods: Sequence[Object]) -> dict[str, Any]:
    ready = sum(map(is_ready, pods))
    return {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
