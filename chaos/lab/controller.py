"""What Kubernetes' controllers do for a mesh: Deployments into Pods, Services and Pods into Endpoints, their status.

Reacts to whatever is created, scaled, changed and deleted through the API, at start and at run time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any, Final, Literal, NamedTuple

from chaos.lab import injection
from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from chaos.lab.api.store import Event, Store

_LOG: Final = logging.getLogger(__name__)
_CLUSTER_IPS: Final = IPv4Network("10.96.0.0/16")
Object = Mapping[str, Any]


class _Key(NamedTuple):
    kind: Literal["Deployment", "Service"]
    namespace: str
    name: str


class Controller:
    """Keeps Pods and Endpoints what Deployments and Services ask for.

    Args:
        store: The cluster's objects.
        on_endpoints: Told of all endpoints, as ``name.namespace:port`` → ``ip:port``, whenever they change.
    """

    def __init__(self, store: Store, *, on_endpoints: Callable[[dict[str, list[str]]], None] | None = None) -> None:
        self._store = store
        self._on_endpoints = on_endpoints
        self._told: dict[str, list[str]] = {}
        self._dirty: dict[_Key, None] = {}
        self._wake = asyncio.Event()
        self._unsubscribe = store.subscribe(self._notice)
        for resource in (DEPLOYMENTS, SERVICES):
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
                (self._deployment if key.kind == "Deployment" else self._service)(key.namespace, key.name)
            except ApiError as error:
                # A validation that our own objects fail is a bug; anything else is someone who was faster.
                _LOG.warning("%s %s/%s: %s", key.kind, key.namespace, key.name, error)
        self._tell()

    # -- noticing -----------------------------------------------------------------------------------------------------

    def _notice(self, event: Event) -> None:
        obj = event.object
        if obj["kind"] in ("Deployment", "Service"):
            self._mark(obj)
        elif obj["kind"] == "Namespace" and event.type == "ADDED":
            self._give_account(obj["metadata"]["name"])
        elif obj["kind"] == "Pod":
            namespace = obj["metadata"]["namespace"]
            for owner in obj["metadata"].get("ownerReferences") or ():
                if owner["kind"] == "ReplicaSet":
                    self._dirty[_Key("Deployment", namespace, injection.deployment_of(obj))] = None
            for service in self._store.list(SERVICES, namespace):
                if _selects(service["spec"].get("selector"), obj):
                    self._mark(service)
            self._wake.set()

    def _give_account(self, namespace: str) -> None:
        """Every namespace has a service account ``default``."""
        if self._store.find(SERVICE_ACCOUNTS, namespace, "default") is None:
            self._store.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": namespace}})

    def _mark(self, obj: Object) -> None:
        self._dirty[_Key(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])] = None
        self._wake.set()

    # -- Deployments --------------------------------------------------------------------------------------------------

    def _deployment(self, namespace: str, name: str) -> None:
        deployment = self._store.find(DEPLOYMENTS, namespace, name)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return  # its pods go with it, by their owner references
        wanted = int(deployment["spec"].get("replicas", 1))
        hashed = injection.template_hash(deployment)
        replica_set = self._replica_set(deployment)
        owned = self._pods_of(deployment)
        current = [pod for pod in owned if pod["metadata"]["labels"].get(injection.HASH_LABEL) == hashed]
        old = [pod for pod in owned if pod not in current]
        home = self._store.get(NAMESPACES, None, namespace)
        for _ in range(wanted - len(current)):
            self._store.create(PODS, injection.inject(injection.pod_of(deployment, replica_set), home))
        surplus = sorted(current, key=is_ready)[: max(0, len(current) - wanted)]
        if sum(map(is_ready, current)) >= wanted:
            surplus += old
        for pod in surplus:
            self._store.delete(PODS, namespace, pod["metadata"]["name"])
        self._deployment_status(deployment, hashed)

    def _replica_sets(self, deployment: Object) -> list[Object]:
        namespace = deployment["metadata"]["namespace"]
        return [one for one in self._store.list(REPLICA_SETS, namespace) if _owned_by(one, deployment)]

    def _replica_set(self, deployment: Object) -> Object:
        """The one of the present template; those before it are kept, as Kubernetes keeps them for ``rollout undo``."""
        wanted = injection.replica_set_of(deployment)
        namespace, name = deployment["metadata"]["namespace"], wanted["metadata"]["name"]
        for other in self._replica_sets(deployment):
            replicas = wanted["spec"]["replicas"] if other["metadata"]["name"] == name else 0
            if other["spec"]["replicas"] != replicas:
                scaled = {**other, "spec": {**other["spec"], "replicas": replicas}}
                self._store.replace(REPLICA_SETS, namespace, other["metadata"]["name"], scaled)
        found = self._store.find(REPLICA_SETS, namespace, name)
        return found if found is not None else self._store.create(REPLICA_SETS, wanted)

    def _pods_of(self, deployment: Object) -> list[Object]:
        owners = self._replica_sets(deployment)
        pods = self._store.list(PODS, deployment["metadata"]["namespace"])
        return [pod for pod in pods if any(_owned_by(pod, owner) for owner in owners)]

    def _deployment_status(self, deployment: Object, hashed: str) -> None:
        meta = deployment["metadata"]
        wanted = int(deployment["spec"].get("replicas", 1))
        pods = self._pods_of(deployment)
        updated = [pod for pod in pods if pod["metadata"]["labels"].get(injection.HASH_LABEL) == hashed]
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
        }
        if not status["unavailableReplicas"]:
            del status["unavailableReplicas"]
        self._write_status(DEPLOYMENTS, deployment, status)
        for replica_set in self._replica_sets(deployment):
            own = [pod for pod in pods if _owned_by(pod, replica_set)]
            ready = sum(map(is_ready, own))
            counts = {"replicas": len(own), "readyReplicas": ready, "availableReplicas": ready}
            observed = {"observedGeneration": replica_set["metadata"].get("generation", 1)}
            self._write_status(REPLICA_SETS, replica_set, {**counts, **observed})

    # -- Services -----------------------------------------------------------------------------------------------------

    def _service(self, namespace: str, name: str) -> None:
        found = self._store.find(SERVICES, namespace, name)
        existing = self._store.find(ENDPOINTS, namespace, name)
        if found is None:
            if existing is not None:
                self._store.delete(ENDPOINTS, namespace, name)
            return  # its EndpointSlice goes with it, by its owner reference
        service = self._with_address(self._with_defaults(found))
        selector = service["spec"].get("selector")
        if not selector:
            return  # whoever made a Service without a selector keeps its Endpoints
        pods = [pod for pod in self._store.list(PODS, namespace) if _selects(selector, pod)]
        subsets = endpoint_subsets(service, pods)
        labels = dict(service["metadata"].get("labels") or {})
        self._slice(service, subsets)
        if existing is None:
            meta = {"name": name, "namespace": namespace, "labels": labels}
            self._store.create(
                ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets}
            )
        elif (existing.get("subsets") or []) != subsets or (existing["metadata"].get("labels") or {}) != labels:
            changed = {**existing, "metadata": {**existing["metadata"], "labels": labels}, "subsets": subsets}
            self._store.replace(ENDPOINTS, namespace, name, changed)
        if service["spec"].get("type") == "LoadBalancer":
            ready = sorted(pod["status"]["podIP"] for pod in pods if is_ready(pod))
            ingress = [{"ip": ip} for ip in ready[:1]]
            self._write_status(SERVICES, service, {"loadBalancer": {"ingress": ingress} if ingress else {}})

    def _slice(self, service: Object, subsets: Sequence[Mapping[str, Any]]) -> None:
        """The same as one EndpointSlice for each set of ports, which newer clients look at instead of Endpoints."""
        meta = service["metadata"]
        owner = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"], "controller": True}
        wanted = {
            f"{meta['name']}-{number}": {
                "metadata": {
                    "name": f"{meta['name']}-{number}",
                    "namespace": meta["namespace"],
                    "labels": {**(meta.get("labels") or {}), "kubernetes.io/service-name": meta["name"]},
                    "ownerReferences": [owner],
                },
                "addressType": "IPv4",
                "ports": list(subset.get("ports") or ()),
                "endpoints": [
                    {"addresses": [one["ip"]], "conditions": {"ready": ready}, "targetRef": one["targetRef"]}
                    for key, ready in (("addresses", True), ("notReadyAddresses", False))
                    for one in subset.get(key) or ()
                ],
            }
            for number, subset in enumerate(subsets)
        }
        there = {
            one["metadata"]["name"]: one
            for one in self._store.list(ENDPOINT_SLICES, meta["namespace"])
            if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == meta["name"]
        }
        for name, obj in wanted.items():
            old = there.pop(name, None)
            if old is None:
                self._store.create(ENDPOINT_SLICES, obj)
            elif any(old.get(key) != obj[key] for key in ("ports", "endpoints")):
                self._store.replace(
                    ENDPOINT_SLICES, meta["namespace"], name, {**old, **obj, "metadata": old["metadata"]}
                )
        for name in there:
            self._store.delete(ENDPOINT_SLICES, meta["namespace"], name)

    def _with_defaults(self, service: Object) -> Object:
        """What the API server fills in: type, protocol and target of each port."""
        spec, meta = service["spec"], service["metadata"]
        ports = [{"protocol": "TCP", "targetPort": port["port"], **port} for port in spec.get("ports") or ()]
        filled = {"type": "ClusterIP", **spec, **({"ports": ports} if ports else {})}
        if filled == spec:
            return service
        return self._store.replace(SERVICES, meta["namespace"], meta["name"], {**service, "spec": filled})

    def _with_address(self, service: Object) -> Object:
        """The Service with a cluster IP, as the API server allocates one; nothing in the lab listens on it."""
        spec, meta = service["spec"], service["metadata"]
        if spec.get("clusterIP") or spec.get("type") == "ExternalName":
            return service
        taken = {other["spec"].get("clusterIP") for other in self._store.list(SERVICES)}
        address = next(str(one) for one in _CLUSTER_IPS.hosts() if str(one) not in taken)
        changed = {**service, "spec": {**spec, "clusterIP": address, "clusterIPs": [address]}}
        return self._store.replace(SERVICES, meta["namespace"], meta["name"], changed)

    def _tell(self) -> None:
        if self._on_endpoints is None:
            return
        known: dict[str, list[str]] = {}
        for service in self._store.list(SERVICES):
            meta = service["metadata"]
            endpoints = self._store.find(ENDPOINTS, meta["namespace"], meta["name"])
            for port in service["spec"].get("ports") or ():
                known[f"{meta['name']}.{meta['namespace']}:{port['port']}"] = [
                    f"{address['ip']}:{own['port']}"
                    for subset in (endpoints or {}).get("subsets") or ()
                    for own in subset.get("ports") or ()
                    if own.get("name") == port.get("name")
                    for address in subset.get("addresses") or ()
                ]
        if known != self._told:
            self._told = known
            self._on_endpoints(known)

    # -- the store ----------------------------------------------------------------------------------------------------

    def _write_status(self, resource: Resource, obj: Object, status: Object) -> None:
        if (obj.get("status") or {}) != status:
            meta = obj["metadata"]
            self._store.replace(resource, meta["namespace"], meta["name"], {"status": status}, status=True)


def is_ready(pod: Object) -> bool:
    """Whether a pod may get traffic."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and any(
        one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ()
    )


def condition(kind: str, *, true: bool, reason: str, before: Object, message: str = "") -> dict[str, Any]:
    """A status condition that keeps its transition time while its status stays the same."""
    status = "True" if true else "False"
    for old in before.get("conditions") or ():
        if old["type"] == kind and old["status"] == status and old.get("reason") == reason:
            return dict(old)
    made = {"type": kind, "status": status, "reason": reason, "lastTransitionTime": timestamp()}
    return {**made, "message": message} if message else made


def timestamp() -> str:
    """Now, in Kubernetes' form."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def endpoint_subsets(service: Object, pods: Iterable[Object]) -> list[dict[str, Any]]:
    """The subsets of a Service's Endpoints: one for each set of ports that its pods have."""
    groups: dict[tuple[tuple[str, int], ...], dict[str, Any]] = {}
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        ip = (pod.get("status") or {}).get("podIP")
        if not ip:
            continue
        ports = _target_ports(service, pod)
        subset = groups.setdefault(tuple((port.get("name", ""), port["port"]) for port in ports), {"ports": ports})
        address = {
            "ip": ip,
            "nodeName": injection.NODE,
            "targetRef": {
                "kind": "Pod",
                "name": pod["metadata"]["name"],
                "namespace": pod["metadata"]["namespace"],
                "uid": pod["metadata"]["uid"],
            },
        }
        subset.setdefault("addresses" if is_ready(pod) else "notReadyAddresses", []).append(address)
    return [
        {key: subset[key] for key in ("addresses", "notReadyAddresses", "ports") if key in subset}
        for _, subset in sorted(groups.items())
    ]


def _target_ports(service: Object, pod: Object) -> list[dict[str, Any]]:
    named = injection.named_ports(pod)
    ports = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) and not target.isdigit() else int(target)
        if number is not None:
            own = {"port": number, "protocol": port.get("protocol", "TCP")}
            ports.append({"name": port["name"], **own} if port.get("name") else own)
    return ports


def _selects(selector: Mapping[str, str] | None, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _owned_by(pod: Object, deployment: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == deployment["metadata"]["uid"] for owner in owners)
