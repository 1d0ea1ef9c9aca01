"""The cluster's objects as Istio's registry has them: services with their endpoints, and what shapes the traffic to them.

istiod ``pilot/pkg/serviceregistry`` and ``pilot/pkg/model/push_context.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from chaos.istio.delegates import merged
from chaos.istio.destination_rules import DestinationRules
from chaos.istio.exports import PUBLIC, Object, export_of
from chaos.istio.injection import DEFAULT_REVISION
from chaos.istio.mesh_config import ROOT_NAMESPACE, default_export, mesh_config, mesh_config_of
from chaos.istio.peer_authentication import mode_of
from chaos.istio.ports import declared_protocol
from chaos.istio.registry import of_kubernetes
from chaos.istio.virtual_services import age_key
from chaos.istio.workloads import canonical_revision, canonical_service, workload_name
from chaos.lab.api.resources import (
    AUTHORIZATION_POLICIES,
    CONFIG_MAPS,
    DESTINATION_RULES,
    ENDPOINTS,
    GATEWAYS,
    PEER_AUTHENTICATIONS,
    PODS,
    SECRETS,
    SERVICE_ENTRIES,
    SERVICES,
    SIDECARS,
    VIRTUAL_SERVICES,
    Resource,
)
from chaos.lab.istio.metrics import identity
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.service_entries import services_of
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot

WATCHED: Final[tuple[Resource, ...]] = (
    CONFIG_MAPS, SERVICES, ENDPOINTS, VIRTUAL_SERVICES, DESTINATION_RULES, GATEWAYS, SERVICE_ENTRIES, SIDECARS, PEER_AUTHENTICATIONS,
    AUTHORIZATION_POLICIES, SECRETS,
)  # fmt: skip
"""What a change of calls for a push."""


class Objects(Protocol):
    """Where the cluster's objects are read; they are not to be changed."""

    def list(self, res: Resource, namespace: str | None = None) -> Sequence[Any]:
        """Those of one namespace, or of all."""

    def find(self, res: Resource, namespace: str | None, name: str) -> Any:
        """One of them; ``None`` where there is none."""


class Registry:
    """Reads the objects at one moment.

    Args:
        store: Where they are.
        proxies: The mesh's Envoys by the namespaces and names of their pods.
    """

    def __init__(self, store: Objects, proxies: Mapping[tuple[str, str], Proxy]) -> None:
        self._store = store
        self._proxies = proxies

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        store = self._store
        policies = tuple(store.list(PEER_AUTHENTICATIONS))
        services = [self._service(service, policies) for service in store.list(SERVICES)]
        for entry in sorted(store.list(SERVICE_ENTRIES), key=age_key):
            services += services_of(entry, self._selected(entry, policies))
        return Snapshot(
            services=tuple(services),
            virtual_services=tuple(merged(self._virtual_services())),
            destination_rules=DestinationRules(store.list(DESTINATION_RULES)),
            gateways=tuple(store.list(GATEWAYS)),
            sidecars=tuple(store.list(SIDECARS)),
            peer_authentications=policies,
            authorization_policies=tuple(store.list(AUTHORIZATION_POLICIES)),
            secrets=tuple(store.list(SECRETS)),
        )

    def _virtual_services(self) -> list[Object]:
        """Those of the mesh, with its default where they have no ``exportTo`` (istiod initVirtualServices)."""
        found = self._store.find(CONFIG_MAPS, ROOT_NAMESPACE, mesh_config_of(DEFAULT_REVISION)) or {}
        try:
            default = default_export(mesh_config(found))
        except ValueError:  # istiod keeps the last one that it could read; the lab's control plane has the defaults
            default = PUBLIC
        listed = self._store.list(VIRTUAL_SERVICES)
        return [{**vs, "spec": {**(vs.get("spec") or {}), "exportTo": export_of(vs, default=default)}} for vs in listed]

    def _service(self, obj: Mapping[str, Any], policies: Sequence[Object]) -> Service:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        ports = tuple(Port(p["port"], p.get("name", ""), declared_protocol(p)) for p in spec.get("ports") or ())
        endpoints = self._endpoints(meta["namespace"], meta["name"], ports, policies)
        return Service(of_kubernetes(obj), ports, endpoints)

    def _selected(self, entry: Object, policies: Sequence[Object]) -> list[Endpoint]:
        """The ready pods that a ServiceEntry's ``workloadSelector`` selects."""
        wanted = (entry["spec"].get("workloadSelector") or {}).get("labels")
        if not wanted:
            return []
        namespace = entry["metadata"]["namespace"]
        port = (entry["spec"].get("ports") or [{"number": 0}])[0]
        target = port.get("targetPort") or port["number"]
        return [
            self._endpoint(
                {"ip": pod["status"]["podIP"], "targetRef": {"name": pod["metadata"]["name"]}},
                target,
                namespace,
                policies,
            )
            for pod in self._store.list(PODS, namespace)
            if wanted.items() <= (pod["metadata"].get("labels") or {}).items()
            and (pod.get("status") or {}).get("podIP")
        ]

    def _endpoints(
        self, namespace: str, name: str, ports: tuple[Port, ...], policies: Sequence[Object]
    ) -> dict[int, tuple[Endpoint, ...]]:
        found: dict[int, list[Endpoint]] = {port.number: [] for port in ports}
        obj = self._store.find(ENDPOINTS, namespace, name)
        for subset in (obj or {}).get("subsets") or ():
            for number, port in ((p.number, p) for p in ports):
                target = next((t for t in subset.get("ports") or () if t.get("name", "") == port.name), None)
                if target is not None:
                    found[number] += [
                        self._endpoint(one, target["port"], namespace, policies)
                        for one in subset.get("addresses") or ()
                    ]
        return {number: tuple(listed) for number, listed in found.items()}

    def _endpoint(self, one: Mapping[str, Any], port: int, namespace: str, policies: Sequence[Object]) -> Endpoint:
        pod_name = (one.get("targetRef") or {}).get("name", "")
        pod = self._store.find(PODS, namespace, pod_name)
        labels, hostname = (pod or {}).get("metadata", {}).get("labels") or {}, one.get("hostname", "")
        proxy = self._proxies.get((namespace, pod_name))
        if proxy is None:
            return Endpoint(one["ip"], port, labels, _bare(pod) if pod else {}, hostname=hostname)
        takes = mode_of(policies, namespace=namespace, labels=labels, port=port) != "DISABLE" and port in proxy.inbound
        return Endpoint(one["ip"], port, labels, identity(proxy), uri=proxy.uri, mutual=takes, hostname=hostname)


def _bare(pod: Object) -> dict[str, str]:
    """What a workload without a proxy is called in metrics."""
    labels, workload = pod["metadata"].get("labels") or {}, workload_name(pod)
    return {
        "workload": workload,
        "workload_namespace": pod["metadata"]["namespace"],
        "app": labels.get("app") or "unknown",
        "version": labels.get("version") or "unknown",
        "canonical_service": canonical_service(labels, workload),
        "canonical_revision": canonical_revision(labels),
    }
