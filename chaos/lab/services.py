"""Services and Pods into Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chaos.istio.pods import selects
from chaos.lab import injection
from chaos.lab.addresses import CLUSTER_IPS
from chaos.lab.api.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from chaos.lab.api.store import Store
from chaos.lab.status import is_ready, write_status

Object = Mapping[str, Any]


class Services:
    """Keeps the Endpoints of Services what their pods are."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reconcile(self, namespace: str, name: str) -> None:
        """One Service, as it is now."""
        found = self._store.find(SERVICES, namespace, name)
        existing = self._store.find(ENDPOINTS, namespace, name)
        if found is None:
            if existing is not None:
                self._store.delete(ENDPOINTS, namespace, name)
            return  # its EndpointSlice goes with it, by its owner reference
        service = self._with_address(self._with_defaults(found))
        if not service["spec"].get("selector"):
            return  # whoever made a Service without a selector keeps its Endpoints
        pods = [
            pod for pod in self._store.list(PODS, namespace) if selects(service, pod["metadata"].get("labels") or {})
        ]
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
            write_status(self._store, SERVICES, service, {"loadBalancer": {"ingress": ingress} if ingress else {}})

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
                    {
                        "addresses": [one["ip"]],
                        "conditions": {"ready": ready},
                        **{key: one[key] for key in ("hostname", "targetRef") if key in one},
                    }
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
        address = next(str(one) for one in CLUSTER_IPS.hosts() if str(one) not in taken)
        changed = {**service, "spec": {**spec, "clusterIP": address, "clusterIPs": [address]}}
        return self._store.replace(SERVICES, meta["namespace"], meta["name"], changed)

    def endpoints(self) -> dict[str, list[str]]:
        """All of them, as ``name.namespace:port`` → ``ip:port``; those of pods with names as ``pod.name.namespace:port``, too."""
        known: dict[str, list[str]] = {}
        for service in self._store.list(SERVICES):
            meta = service["metadata"]
            endpoints = self._store.find(ENDPOINTS, meta["namespace"], meta["name"])
            for port in service["spec"].get("ports") or ():
                at = f"{meta['name']}.{meta['namespace']}:{port['port']}"
                answering = known.setdefault(at, [])
                for subset in (endpoints or {}).get("subsets") or ():
                    for own in (one for one in subset.get("ports") or () if one.get("name") == port.get("name")):
                        for address in subset.get("addresses") or ():
                            answering.append(one := f"{address['ip']}:{own['port']}")
                            if "hostname" in address:
                                known[f"{address['hostname']}.{at}"] = [one]
        return known


def endpoint_subsets(service: Object, pods: Iterable[Object]) -> list[dict[str, Any]]:
    """The subsets of a Service's Endpoints: one for each set of ports that its pods have."""
    groups: dict[tuple[tuple[str, int], ...], dict[str, Any]] = {}
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        ip = (pod.get("status") or {}).get("podIP")
        if not ip:
            continue
        ports = target_ports(service, pod)
        subset = groups.setdefault(tuple((port.get("name", ""), port["port"]) for port in ports), {"ports": ports})
        spec = pod["spec"]
        named = spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]
        address = {
            "ip": ip,
            **({"hostname": spec["hostname"]} if named else {}),
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


def target_ports(service: Object, pod: Object) -> list[dict[str, Any]]:
    """The ports of a pod to which a Service leads, each with the name of the Service's port."""
    named = injection.named_ports(pod)
    ports = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) and not target.isdigit() else int(target)
        if number is not None:
            own = {"port": number, "protocol": port.get("protocol", "TCP")}
            ports.append({"name": port["name"], **own} if port.get("name") else own)
    return ports
