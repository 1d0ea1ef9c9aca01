"""A Kubernetes API in memory, as far as the harness uses one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from chaos.errors import MeshError
from chaos.ports import Clock, Identity, Informer, Object
from chaos.safety.marks import belongs_to, rfc3339

_VS: Final = "VirtualService"


class MemoryMesh:
    """The ``Mesh`` port over plain objects: versions, UIDs and owners count as on a cluster.

    Schemas, admission and who owns which field do not: the lab's API has these.

    Args:
        clock: Time.
        objects: What is there, as manifests.
        distribution: Seconds until a VirtualService that was written has effect in the proxies.
    """

    def __init__(self, clock: Clock, objects: Iterable[Object] = (), *, distribution: float = 0.3) -> None:
        self._clock = clock
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self.distribution = distribution
        self._past: list[tuple[float, Sequence[Object]]] = []
        self.answers_exec = True
        """Whether proxies may be asked for their routes."""
        self.proxy_stats: dict[str, str] = {}
        """By a pod's name, what its proxy counts instead of what all others do."""
        for obj in ({"kind": "Namespace", "metadata": {"name": "kube-system"}}, *objects):
            self.put(obj)
        self._past = [(float("-inf"), self._past[-1][1])]

    # --- what somebody else does -----------------------------------------------------------------------------------

    def put(self, obj: Object) -> Object:
        """Creates an object, or replaces it whatever its version, as others may at any time."""
        found = self._objects.get(_key(obj))
        return self._store(obj, found)

    def remove(self, kind: str, namespace: str, name: str) -> bool:
        """Deletes an object and what it owns; whether there was one."""
        gone = self._objects.pop((kind, namespace, name), None)
        if gone is None:
            return False
        uid = gone["metadata"]["uid"]
        for key, obj in tuple(self._objects.items()):
            if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences") or ()):
                self.remove(*key)
        self._remember()
        return True

    def in_effect(self, at: float | None = None) -> Sequence[Object]:
        """The VirtualServices that the proxies obey, now or at another moment."""
        moment = self._clock.now() if at is None else at
        return next((there for since, there in reversed(self._past) if since <= moment), ())

    # --- the port: reading -----------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Which cluster this is."""
        uid = self._objects["Namespace", "", "kube-system"]["metadata"]["uid"]
        return Identity(context="memory", server="memory:", uid=uid, kubernetes="v1.34.0")

    def namespace(self, name: str) -> Object | None:
        """A namespace, or ``None`` where there is none of this name."""
        return self._find("Namespace", "", name)

    def namespaces(self) -> Sequence[Object]:
        """All namespaces."""
        return self.objects("Namespace")

    def services(self, namespace: str) -> Sequence[Object]:
        """The Services of a namespace."""
        return self.objects("Service", namespace)

    def pods(self, namespace: str) -> Sequence[Object]:
        """The Pods of a namespace."""
        return self.objects("Pod", namespace)

    def server_time(self) -> float:
        """The clock's."""
        return self._clock.now()

    def virtual_service(self, namespace: str, name: str) -> Object | None:
        """One VirtualService, or ``None``."""
        return self._find(_VS, namespace, name)

    def virtual_services(self, namespace: str | None = None) -> Sequence[Object]:
        """The VirtualServices of one namespace, or of all."""
        return self.objects(_VS, namespace)

    def follow_virtual_services(self) -> Informer:
        """The VirtualServices, which are heard of as soon as they change."""
        return _Followed(self)

    @property
    def changes(self) -> int:
        """How often something was written or removed."""
        return len(self._past)

    def http_routes(self) -> Sequence[Object]:
        """The HTTPRoutes of all namespaces."""
        return self.objects("HTTPRoute")

    def grpc_routes(self) -> Sequence[Object]:
        """The GRPCRoutes of all namespaces."""
        return self.objects("GRPCRoute")

    def istio_objects(self, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """All objects of one of Istio's kinds, in one namespace or in all."""
        return self.objects(kind, namespace)

    def istio_object(self, kind: str, namespace: str, name: str) -> Object | None:
        """One of them, or ``None``."""
        return self._find(kind, namespace, name)

    def mesh_config(self, root: str, revision: str) -> Object | None:  # noqa: ARG002 - all is by default
        """None: everything is by default."""
        return None

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> Sequence[Object]:
        """Every VirtualService and Lease that the harness wrote, or wrote into; of one run where named."""
        found = (*self.objects(_VS, namespace), *self.objects("Lease", namespace))
        return [obj for obj in found if belongs_to(obj, run)]

    def lease(self, namespace: str, name: str) -> Object | None:
        """A Lease, or ``None``."""
        return self._find("Lease", namespace, name)

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str | None = None) -> bool:  # noqa: ARG002
        """Whether the identity in use may do something: anything in a namespace that is labelled as staging."""
        found = self.namespace(namespace) if namespace else None
        return found is not None and (found["metadata"].get("labels") or {}).get("env") == "staging"

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        """The names of the routes that proxies run now; ``None`` where there is no such pod, or exec is denied."""
        if not self.answers_exec or ("Pod", namespace, pod) not in self._objects:
            return None
        routes = [route for vs in self.in_effect() for route in vs["spec"].get("http") or ()]
        return json.dumps([route.get("name", "") for route in routes])

    def stats_of_proxy(self, namespace: str, pod: str) -> str | None:
        """Counters of a proxy that is connected and has rejected nothing, but for those in ``proxy_stats``."""
        if not self.answers_exec or ("Pod", namespace, pod) not in self._objects:
            return None
        return self.proxy_stats.get(pod, "cluster.xds-grpc.upstream_rq_active: 1\nserver.memory_allocated: 40000000\n")

    # --- the port: writing -----------------------------------------------------------------------------------------

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Creates it; the object as stored, and no warnings."""
        return self._create(obj, dry_run=dry_run), ()

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Replaces it by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""
        return self._replace(obj, dry_run=dry_run), ()

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        """Deletes it, only that of ``uid`` where given; whether there was one."""
        found = self._find(_VS, namespace, name)
        fits = found is not None and uid in (None, found["metadata"]["uid"])
        return fits and self.remove(_VS, namespace, name)

    def create_istio_object(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:  # noqa: ARG002
        """Creates it; the object as stored."""
        return self._create(obj, dry_run=dry_run)

    def replace_istio_object(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:  # noqa: ARG002
        """Replaces it by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""
        return self._replace(obj, dry_run=dry_run)

    def delete_istio_object(self, obj: Object) -> bool:
        """Deletes it as it was seen; ``MeshError`` of status 409 if somebody wrote it meanwhile."""
        kind, namespace, name = _key(obj)
        found = self._find(kind, namespace, name)
        if found is None or found["metadata"]["uid"] != obj["metadata"]["uid"]:
            return False
        if found["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise _conflict(found)
        return self.remove(kind, namespace, name)

    def create_lease(self, obj: Object) -> Object:
        """Creates a Lease; ``MeshError`` of status 409 where there is one."""
        return self._create(obj)

    def replace_lease(self, obj: Object) -> Object:
        """Replaces a Lease by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""
        return self._replace(obj)

    def delete_lease(self, namespace: str, name: str, *, uid: str | None = None, version: str | None = None) -> bool:
        """Deletes a Lease, only that of ``uid`` where given; whether there was one.

        With ``version``, only in that version: ``MeshError`` of status 409 if somebody wrote it meanwhile.
        """
        found = self._find("Lease", namespace, name)
        if found is None or uid not in (None, found["metadata"]["uid"]):
            return False
        if version not in (None, found["metadata"]["resourceVersion"]):
            raise _conflict(found)
        return self.remove("Lease", namespace, name)

    def annotate_namespace(self, name: str, key: str, value: str | None) -> None:
        """Sets an annotation of a namespace, or removes it."""
        found = self._objects.get(("Namespace", "", name))
        if found is None:
            raise MeshError(f"there is no namespace {name}", status=404)
        annotations = {**(found["metadata"].get("annotations") or {}), key: value}
        kept = {one: text for one, text in annotations.items() if text is not None}
        self.put({**found, "metadata": {**found["metadata"], "annotations": kept}})

    def record_event(self, involved: Object, *, reason: str, message: str, warning: bool = False) -> None:
        """Writes a Kubernetes Event on an object."""
        meta = involved["metadata"]
        name = f"{meta['name']}.{next(self._numbers)}"
        self.put({
            "kind": "Event", "metadata": {"name": name, "namespace": meta["namespace"]}, "reason": reason,
            "message": message, "type": "Warning" if warning else "Normal",
            "involvedObject": {"kind": involved.get("kind"), "name": meta["name"], "uid": meta.get("uid")},
        })  # fmt: skip

    # --- the store -------------------------------------------------------------------------------------------------

    def _find(self, kind: str, namespace: str, name: str) -> Object | None:
        return deepcopy(self._objects.get((kind, namespace, name)))

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All objects of a kind, such as ``Event``, in a namespace or in all."""
        return [
            deepcopy(obj)
            for (of_kind, home, _), obj in sorted(self._objects.items())
            if of_kind == kind and namespace in (None, home)
        ]

    def _create(self, obj: Object, *, dry_run: bool = False) -> Object:
        if _key(obj) in self._objects:
            raise _conflict(obj)
        return self._store(obj, None, dry_run=dry_run)

    def _replace(self, obj: Object, *, dry_run: bool = False) -> Object:
        found = self._objects.get(_key(obj))
        if found is None:
            raise MeshError(f"there is no {obj['kind']} {obj['metadata']['name']}", status=404)
        if obj["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            raise _conflict(obj)
        if {**obj, "apiVersion": ""} == {**found, "apiVersion": ""}:
            return deepcopy(found)  # what changes nothing makes no version
        return self._store(obj, found, dry_run=dry_run)

    def _store(self, obj: Object, before: Mapping[str, Any] | None, *, dry_run: bool = False) -> Object:
        born = {"uid": f"uid-{next(self._numbers)}", "creationTimestamp": rfc3339(self._clock.now())}
        kept = born if before is None else {key: before["metadata"][key] for key in born}
        stored = deepcopy({**obj, "metadata": {**obj["metadata"], **kept, "resourceVersion": str(next(self._numbers))}})
        if not dry_run:
            self._objects[_key(obj)] = stored
            self._remember()
        return deepcopy(stored)

    def _remember(self) -> None:
        there = [obj for (kind, _, _), obj in self._objects.items() if kind == _VS]
        self._past.append((self._clock.now() + self.distribution, there))


class _Followed:
    def __init__(self, mesh: MemoryMesh) -> None:
        self._mesh = mesh

    @property
    def changes(self) -> int:
        return self._mesh.changes

    def objects(self) -> Sequence[Object]:
        return self._mesh.virtual_services()

    def stop(self) -> None:
        """Nothing is under way."""


def _key(obj: Object) -> tuple[str, str, str]:
    meta = obj["metadata"]
    return obj["kind"], meta.get("namespace", ""), meta["name"]


def _conflict(obj: Object) -> MeshError:
    meta = obj["metadata"]
    return MeshError(f"{obj['kind']} {meta['name']}: somebody else wrote it, or it exists", status=409)
