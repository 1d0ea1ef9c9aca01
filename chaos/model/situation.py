"""What planning found in the cluster, as plain objects; the input of the rules and of the strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.istio.hosts import host_matches, resolve_host, service_fqdn
from chaos.istio.sidecars import ROOT_NAMESPACE, imports, sidecar_of
from chaos.istio.virtual_services import MESH, PUBLIC, gateways_of, hosts_of, order_for_namespace, selects_source

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Workload:
    """Pods of one workload, with and without a proxy."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    proxied: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    gateway: bool = False


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The part of the cluster that bears on one target.

    Args:
        cluster: UID of ``kube-system``.
        namespaces: By name, all that could be read.
        services: Of the target's namespace, and of every namespace that a governing object names.
        virtual_services: All that could be read.
        destination_rules: All that could be read.
        workloads: Of the target's namespace.
        calling: ``(namespace, workload)`` that called the target of late, by the metrics.
        writable_outside: Namespaces outside the allowed ones in which the harness's own identity may write
            VirtualServices; ``*`` for all.
        default_export: What ``exportTo`` is where a VirtualService has none (``defaultVirtualServiceExportTo``).
        sidecars: All Sidecars.
        http_routes: All of the Gateway API's HTTPRoutes; none where these are not served.
        root_namespace: The mesh's, whose Sidecar is the default of all namespaces.
        unreadable: What the identity in use may not read, as rights: ``list sidecars.networking.istio.io``.
    """

    cluster: str
    namespaces: Mapping[str, Object]
    services: Sequence[Object]
    virtual_services: Sequence[Object]
    destination_rules: Sequence[Object] = ()
    workloads: Sequence[Workload] = ()
    calling: Sequence[tuple[str, str]] = field(default=())
    writable_outside: tuple[str, ...] = ()
    default_export: tuple[str, ...] = PUBLIC
    sidecars: Sequence[Object] = ()
    http_routes: Sequence[Object] = ()
    root_namespace: str = ROOT_NAMESPACE
    unreadable: tuple[str, ...] = ()

    def service(self, namespace: str, name: str) -> Object | None:
        """A Service by its name."""
        wanted = (namespace, name)
        return next((s for s in self.services if (s["metadata"]["namespace"], s["metadata"]["name"]) == wanted), None)

    def governing(self, host: str, namespace: str) -> Sequence[Object]:
        """The VirtualServices for a host that sidecars of a namespace consider, the winner first.

        An exact host beats a wildcard, a longer wildcard a shorter one, whatever the order (istiod
        ``computeWildcardHostVirtualServiceIndex``).
        """
        candidates = [
            (max(fits), vs)
            for vs in order_for_namespace(self.virtual_services, namespace, default=self.default_export)
            if MESH in gateways_of(vs)
            and (fits := [(p == host, len(p)) for p in hosts_of(vs) if host_matches(p, host)])
        ]
        return [vs for _, vs in sorted(candidates, key=lambda found: (not found[0][0], -found[0][1]))]

    def governor(self, host: str, namespace: str, labels: Mapping[str, str]) -> Object | None:
        """The VirtualService that one workload's sidecar follows for a host; ``None`` where none does.

        One that its Sidecar does not import is not there for it, and one without a route for it is passed over
        (istiod ``buildSidecarVirtualHostsForVirtualService``).
        """
        for vs in self.governing(host, namespace):
            if self.sees(vs, namespace, labels) and has_route_for(vs, namespace, labels):
                return vs
        return None

    def sees(self, virtual_service: Object, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a workload's Sidecar imports a VirtualService."""
        found = sidecar_of(labels, namespace, self.sidecars, root=self.root_namespace)
        return imports(found, namespace, virtual_service["metadata"]["namespace"], hosts_of(virtual_service))

    def rules_for(self, host: str) -> Sequence[Object]:
        """The DestinationRules for a host."""
        return [
            rule
            for rule in self.destination_rules
            if host_matches(resolve_host(rule.get("spec", {}).get("host", ""), rule["metadata"]["namespace"]), host)
        ]

    def hosts(self) -> frozenset[str]:
        """Registry names of all Services that were read."""
        return frozenset(service_fqdn(s["metadata"]["name"], s["metadata"]["namespace"]) for s in self.services)


def has_route_for(virtual_service: Object, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether any route of a VirtualService is for a workload's sidecar; objects without HTTP routes are for all."""
    routes = virtual_service.get("spec", {}).get("http") or ()
    blocks = [block for route in routes for block in route.get("match") or [{}]]
    return not routes or any(selects_source(block, labels=labels, namespace=namespace) for block in blocks)


def workload_of(pod: Object) -> str:
    """The workload's name as Istio's metrics have it: the Deployment above the ReplicaSet, or the owner, or the pod."""
    meta = pod["metadata"]
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    owner = owner or next(iter(meta.get("ownerReferences") or ()), None)
    if owner is None:
        return str(meta["name"])
    digest = (meta.get("labels") or {}).get("pod-template-hash")
    name = str(owner["name"])
    return name.removesuffix(f"-{digest}") if owner.get("kind") == "ReplicaSet" and digest else name


def has_proxy(pod: Object) -> bool:
    """Whether a pod carries Istio's proxy, as a container or as a native sidecar."""
    spec = pod.get("spec", {})
    return any(
        c.get("name") == "istio-proxy" for c in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    )


def is_gateway(pod: Object) -> bool:
    """Whether a pod is a gateway, to which a VirtualService for the mesh does not apply."""
    meta = pod["metadata"]
    return (meta.get("annotations") or {}).get("inject.istio.io/templates") == "gateway" or "istio" in (
        meta.get("labels") or {}
    )


def workloads_of(pods: Sequence[Object]) -> tuple[Workload, ...]:
    """Pods that are meant to stay, grouped by workload."""
    found: dict[tuple[str, str], list[Object]] = {}
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or pod["metadata"].get("deletionTimestamp"):
            continue
        found.setdefault((pod["metadata"]["namespace"], workload_of(pod)), []).append(pod)
    return tuple(
        Workload(
            name=name,
            namespace=namespace,
            labels=dict(group[0]["metadata"].get("labels") or {}),
            proxied=tuple(p["metadata"]["name"] for p in group if has_proxy(p)),
            bare=tuple(p["metadata"]["name"] for p in group if not has_proxy(p)),
            gateway=any(is_gateway(p) for p in group),
        )
        for (namespace, name), group in sorted(found.items())
    )


def services_right(namespace: str) -> str:
    """What ``Situation.unreadable`` has where a namespace's Services could not be read."""
    return f"list services in {namespace}"


def pods_right(namespace: str) -> str:
    """What ``Situation.unreadable`` has where a namespace's Pods could not be read."""
    return f"list pods in {namespace}"
