"""What planning found in the cluster, as plain objects; the input of the rules and of the strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from chaos.istio.destination_rules import DestinationRules
from chaos.istio.destinations import destinations
from chaos.istio.exports import PUBLIC, Object
from chaos.istio.governing import Mesh
from chaos.istio.hosts import service_of
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.registry import registered
from chaos.istio.virtual_services import same
from chaos.istio.workloads import Workload
from chaos.values.questions import Question

_YOUNGEST: Final = "9999-12-31T23:59:59Z"


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The part of the cluster that matters on one target, at one moment: each look makes another, while a ``Place`` stays.

    Args:
        cluster: UID of ``kube-system``.
        namespaces: By name, all that could be read.
        services: Of the target's namespace, and of every namespace of which a Service is counted.
        hidden: Further namespaces of which a Service is counted, and whose Services may not be read.
        uncounted: Requests of the last hour to hosts that are counted, where no proxy of any caller counted one.
        virtual_services: All that could be read.
        destination_rules: All that could be read.
        workloads: Of the target's namespace.
        calling: ``(namespace, workload)`` that called the target in the last hour, by the metrics.
        writable_outside: Namespaces outside the allowed ones in which the harness's own identity may write
            VirtualServices; ``*`` for all.
        default_exports: What ``exportTo`` is where a VirtualService has none (``defaultVirtualServiceExportTo``), by the
            revision of the control planes that configure the target's namespace.
        sidecars: All Sidecars.
        service_entries: All ServiceEntries, which may stand for a host that a Service has.
        http_routes: All of the Gateway API's HTTPRoutes and GRPCRoutes; none where these are not served.
        root_namespace: The mesh's, whose Sidecar is the default of all namespaces.
        unreadable: What the identity in use may not read, as rights: ``list sidecars.networking.istio.io``.
        unanswered: Questions of expectations to which the metrics' back end has no data, although it should at any time.
    """

    cluster: str
    namespaces: Mapping[str, Object]
    services: Sequence[Object]
    virtual_services: Sequence[Object]
    destination_rules: Sequence[Object] = ()
    workloads: Sequence[Workload] = ()
    calling: Sequence[tuple[str, str]] = field(default=())
    writable_outside: tuple[str, ...] = ()
    default_exports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sidecars: Sequence[Object] = ()
    service_entries: Sequence[Object] = ()
    http_routes: Sequence[Object] = ()
    root_namespace: str = ROOT_NAMESPACE
    unreadable: tuple[str, ...] = ()
    unanswered: tuple[Question, ...] = ()
    hidden: Sequence[str] = ()
    uncounted: Mapping[str, int] = field(default_factory=dict)

    @property
    def default_export(self) -> tuple[str, ...]:
        """What ``exportTo`` is where a VirtualService has none; a rule of the guard sees that all revisions agree."""
        return next(iter(self.default_exports.values()), PUBLIC)

    def service(self, namespace: str, name: str) -> Object | None:
        """A Service by its name."""
        wanted = (namespace, name)
        return next((s for s in self.services if (s["metadata"]["namespace"], s["metadata"]["name"]) == wanted), None)

    def names_in(self, namespace: str) -> Sequence[str]:
        """The names of a namespace's Services, as far as they were read."""
        return [s["metadata"]["name"] for s in self.services if s["metadata"]["namespace"] == namespace]

    @cached_property
    def mesh(self) -> Mesh:
        """What of it decides who governs which names."""
        return Mesh(
            services=registered(self.services, self.service_entries),
            virtual_services=self.virtual_services,
            sidecars=self.sidecars,
            default_export=self.default_export,
            root_namespace=self.root_namespace,
        )

    def governor(self, host: str, namespace: str, labels: Mapping[str, str], port: int) -> Object | None:
        """The VirtualService that a workload's sidecar follows for a name at a port; ``None`` where it follows none."""
        found = self.mesh.virtual_host(host, namespace, labels, port)
        if found is None or found.governor is None:
            return None
        governor = found.governor
        # As it was read: a root with its delegates.
        return next(vs for vs in self.virtual_services if same(vs, governor))

    def destinations(self, host: str) -> tuple[str, ...]:
        """The hosts to which requests to a host may be sent, itself first; callers of any namespace count."""
        return destinations(host, self.mesh, namespaces=self.namespaces, workloads=self.workloads)

    def ports_of(self, host: str) -> tuple[int, ...]:
        """The ports at which faults may hit requests to a Service: those at which it has HTTP, by its registry host.

        A ServiceEntry of its namespace for the same host may add some.
        """
        home = service_of(host)
        if home is None:
            return ()
        found = [one for one in self.mesh.services if one.host == host and one.namespace == home[0]]
        return tuple(sorted({port for one in found for port, http in one.http.items() if http}))

    def with_(self, obj: Object) -> Situation:
        """The situation as it would be with a VirtualService: in the place of the one of its name, else the youngest."""
        kept = [vs for vs in self.virtual_services if not same(vs, obj)]
        if len(kept) == len(self.virtual_services):
            obj = {**obj, "metadata": {**obj["metadata"], "creationTimestamp": _YOUNGEST}}
        return replace(self, virtual_services=[*kept, obj])

    def rule_for(self, service: str, namespace: str) -> Object | None:
        """The DestinationRule that clients of a namespace follow for a Service, by its registry host."""
        home = service_of(service)
        return DestinationRules(self.destination_rules).for_client(namespace, service, home=home[0]) if home else None


def services_right(namespace: str) -> str:
    """What ``Situation.unreadable`` has where a namespace's Services could not be read."""
    return f"list services in {namespace}"


def pods_right(namespace: str) -> str:
    """What ``Situation.unreadable`` has where a namespace's Pods could not be read."""
    return f"list pods in {namespace}"
