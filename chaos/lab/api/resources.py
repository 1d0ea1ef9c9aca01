"""The kinds that the lab's Kubernetes API serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chaos.lab.api import pod_cells


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of ``kubectl get``.

    Args:
        name: Its title.
        path: Of its value; ``[]`` after a key is every item of a list.
        of: With it, the column counts: how many (true) values there are at ``path``, of how many at ``of``.
        cell: Makes the cell of the object, where no path leads to it.
    """

    name: str
    path: str = ""
    of: str = ""
    cell: Callable[[Any], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind.

    Args:
        group: API group, empty for the core group.
        versions: Served versions, the preferred one first; all have the same schema.
        scalable: It has the subresource ``scale``.
        fields: What field selectors may ask for, beside name and namespace.
        custom: Kubernetes knows the kind by a CustomResourceDefinition only.
        status: It has the subresource ``status``.
        generation: Its changes are counted in ``metadata.generation``.
        unconditional: It may be replaced without saying of which version.
        created_by_put: A PUT makes it where there is none.
        collection_deleted: All of a namespace may be deleted at once.
        deletion_shows: A deletion answers with the object itself, even where it is gone at once.
    """

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    scalable: bool = False
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    fields: tuple[str, ...] = ()
    custom: bool = False
    status: bool = False
    generation: bool = False
    unconditional: bool = True
    created_by_put: bool = False
    collection_deleted: bool = True
    deletion_shows: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Group and plural: what a request's path names."""
        return self.group, self.plural

    def api_version(self, version: str | None = None) -> str:
        """``apiVersion`` of its objects."""
        chosen = version or self.versions[0]
        return f"{self.group}/{chosen}" if self.group else chosen


def _core(kind: str, plural: str, *short: str, **more: Any) -> Resource:
    return Resource(
        group="", versions=("v1",), kind=kind, plural=plural, singular=kind.lower(), short_names=short, **more
    )


def _custom(kind: str, plural: str, *short: str, **more: Any) -> Resource:
    return Resource(
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        short_names=short,
        custom=True,
        generation=True,
        unconditional=False,
        **more,
    )


def _istio(
    kind: str, plural: str, *short: str, columns: tuple[Column, ...] = (), group: str = "networking"
) -> Resource:
    return _custom(
        kind,
        plural,
        *short,
        group=f"{group}.istio.io",
        versions=("v1", "v1beta1", "v1alpha3") if group == "networking" else ("v1", "v1beta1"),
        categories=("istio-io", f"{group}-istio-io"),
        columns=columns,
        status=True,
    )


NAMESPACES: Final = _core(
    "Namespace",
    "namespaces",
    "ns",
    namespaced=False,
    columns=(Column(name="Status", path="status.phase"),),
    fields=("status.phase",),
    status=True,
    collection_deleted=False,
)
SERVICES: Final = _core(
    "Service",
    "services",
    "svc",
    columns=(
        Column(name="Type", path="spec.type"),
        Column(name="Cluster-IP", path="spec.clusterIP"),
        Column(name="Port(s)", path="spec.ports[].port"),
    ),
    status=True,
    created_by_put=True,
    deletion_shows=True,
)
ENDPOINTS: Final = _core("Endpoints", "endpoints", "ep", created_by_put=True)
PODS: Final = _core(
    "Pod",
    "pods",
    "po",
    columns=(
        Column(name="Ready", path="status.containerStatuses[].ready", of="spec.containers[].name"),
        Column(name="Status", cell=pod_cells.state),
        Column(name="Restarts", cell=pod_cells.restarts),
        Column(name="IP", path="status.podIP"),
        Column(name="Node", path="spec.nodeName"),
    ),
    fields=("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    status=True,
    generation=True,
    deletion_shows=True,
)
NODES: Final = _core(
    "Node",
    "nodes",
    "no",
    namespaced=False,
    columns=(
        Column(name="Status", path="status.conditions[].type"),
        Column(name="Version", path="status.nodeInfo.kubeletVersion"),
    ),
    fields=("spec.unschedulable",),
    status=True,
)
CONFIG_MAPS: Final = _core("ConfigMap", "configmaps", "cm")
EVENTS: Final = _core(
    "Event",
    "events",
    "ev",
    columns=(
        Column(name="Type", path="type"),
        Column(name="Reason", path="reason"),
        Column(name="Object", path="involvedObject.name"),
        Column(name="Message", path="message"),
    ),
    fields=(
        *(
            f"involvedObject.{key}"
            for key in ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid")
        ),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    created_by_put=True,
)
SECRETS: Final = _core("Secret", "secrets", columns=(Column(name="Type", path="type"),), fields=("type",))
SERVICE_ACCOUNTS: Final = _core("ServiceAccount", "serviceaccounts", "sa", deletion_shows=True)
DEPLOYMENTS: Final = Resource(
    group="apps",
    versions=("v1",),
    kind="Deployment",
    plural="deployments",
    singular="deployment",
    short_names=("deploy",),
    scalable=True,
    columns=(
        Column(name="Ready", path="status.readyReplicas", of="spec.replicas"),
        Column(name="Up-to-date", path="status.updatedReplicas"),
        Column(name="Available", path="status.availableReplicas"),
    ),
    status=True,
    generation=True,
)
REPLICA_SETS: Final = Resource(
    group="apps",
    versions=("v1",),
    kind="ReplicaSet",
    plural="replicasets",
    singular="replicaset",
    short_names=("rs",),
    scalable=True,
    columns=(
        Column(name="Desired", path="spec.replicas"),
        Column(name="Current", path="status.replicas"),
        Column(name="Ready", path="status.readyReplicas"),
    ),
    status=True,
    generation=True,
)
STATEFUL_SETS: Final = Resource(
    group="apps",
    versions=("v1",),
    kind="StatefulSet",
    plural="statefulsets",
    singular="statefulset",
    short_names=("sts",),
    scalable=True,
    columns=(Column(name="Ready", path="status.readyReplicas", of="spec.replicas"),),
    status=True,
    generation=True,
)
DAEMON_SETS: Final = Resource(
    group="apps",
    versions=("v1",),
    kind="DaemonSet",
    plural="daemonsets",
    singular="daemonset",
    short_names=("ds",),
    columns=(
        Column(name="Desired", path="status.desiredNumberScheduled"),
        Column(name="Current", path="status.currentNumberScheduled"),
        Column(name="Ready", path="status.numberReady"),
    ),
    status=True,
    generation=True,
)
ENDPOINT_SLICES: Final = Resource(
    group="discovery.k8s.io",
    versions=("v1",),
    kind="EndpointSlice",
    plural="endpointslices",
    singular="endpointslice",
    columns=(
        Column(name="AddressType", path="addressType"),
        Column(name="Ports", path="ports[].port"),
        Column(name="Endpoints", path="endpoints[].addresses[]"),
    ),
    generation=True,
)


def _rbac(kind: str, *, namespaced: bool) -> Resource:
    return Resource(
        group="rbac.authorization.k8s.io",
        versions=("v1",),
        kind=kind,
        plural=f"{kind.lower()}s",
        singular=kind.lower(),
        namespaced=namespaced,
        columns=(Column(name="Role", path="roleRef.name"),) if kind.endswith("Binding") else (),
        created_by_put=True,
    )


ROLES: Final = _rbac("Role", namespaced=True)
ROLE_BINDINGS: Final = _rbac("RoleBinding", namespaced=True)
CLUSTER_ROLES: Final = _rbac("ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS: Final = _rbac("ClusterRoleBinding", namespaced=False)
LEASES: Final = Resource(
    group="coordination.k8s.io",
    versions=("v1",),
    kind="Lease",
    plural="leases",
    singular="lease",
    columns=(Column(name="Holder", path="spec.holderIdentity"),),
    unconditional=False,
    created_by_put=True,
)
VIRTUAL_SERVICES: Final = _istio(
    "VirtualService",
    "virtualservices",
    "vs",
    columns=(Column(name="Gateways", path="spec.gateways"), Column(name="Hosts", path="spec.hosts")),
)
DESTINATION_RULES: Final = _istio(
    "DestinationRule", "destinationrules", "dr", columns=(Column(name="Host", path="spec.host"),)
)
GATEWAYS: Final = _istio("Gateway", "gateways", "gw")
SERVICE_ENTRIES: Final = _istio(
    "ServiceEntry",
    "serviceentries",
    "se",
    columns=(
        Column(name="Hosts", path="spec.hosts"),
        Column(name="Location", path="spec.location"),
        Column(name="Resolution", path="spec.resolution"),
    ),
)
SIDECARS: Final = _istio("Sidecar", "sidecars")
PEER_AUTHENTICATIONS: Final = _istio(
    "PeerAuthentication",
    "peerauthentications",
    "pa",
    group="security",
    columns=(Column(name="Mode", path="spec.mtls.mode"),),
)
AUTHORIZATION_POLICIES: Final = _istio(
    "AuthorizationPolicy",
    "authorizationpolicies",
    "ap",
    group="security",
    columns=(Column(name="Action", path="spec.action"),),
)
CUSTOM_RESOURCE_DEFINITIONS: Final = Resource(
    group="apiextensions.k8s.io",
    versions=("v1",),
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    namespaced=False,
    columns=(Column(name="Scope", path="spec.scope"),),
    status=True,
    generation=True,
    unconditional=False,
)
ADMISSION_POLICIES: Final = Resource(
    group="admissionregistration.k8s.io",
    versions=("v1",),
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    singular="validatingadmissionpolicy",
    namespaced=False,
    status=True,
    generation=True,
    unconditional=False,
)
ADMISSION_BINDINGS: Final = Resource(
    group="admissionregistration.k8s.io",
    versions=("v1",),
    kind="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    singular="validatingadmissionpolicybinding",
    namespaced=False,
    generation=True,
    unconditional=False,
    columns=(Column(name="PolicyName", path="spec.policyName"),),
)
PROMETHEUS_RULES: Final = _custom(
    "PrometheusRule",
    "prometheusrules",
    "promrule",
    group="monitoring.coreos.com",
    versions=("v1",),
    categories=("prometheus-operator",),
    status=True,
)

ROLLOUTS: Final = _custom(
    "Rollout",
    "rollouts",
    "ro",
    group="argoproj.io",
    versions=("v1alpha1",),
    scalable=True,
    status=True,
    columns=(
        Column(name="Desired", path="spec.replicas"),
        Column(name="Up-to-date", path="status.updatedReplicas"),
        Column(name="Available", path="status.availableReplicas"),
    ),
)

RESOURCES: Final[tuple[Resource, ...]] = (
    NAMESPACES,
    NODES,
    SERVICES,
    ENDPOINTS,
    PODS,
    CONFIG_MAPS,
    EVENTS,
    SECRETS,
    SERVICE_ACCOUNTS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    ENDPOINT_SLICES,
    LEASES,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    VIRTUAL_SERVICES,
    DESTINATION_RULES,
    GATEWAYS,
    SERVICE_ENTRIES,
    SIDECARS,
    PEER_AUTHENTICATIONS,
    AUTHORIZATION_POLICIES,
    PROMETHEUS_RULES,
    ROLLOUTS,
    CUSTOM_RESOURCE_DEFINITIONS,
    ADMISSION_POLICIES,
    ADMISSION_BINDINGS,
)
WORKLOADS: Final = (DEPLOYMENTS, ROLLOUTS, STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS)
"""What makes pods of a template."""
BY_KEY: Final = {resource.key: resource for resource in RESOURCES}
BY_KIND: Final = {(resource.group, resource.kind): resource for resource in RESOURCES}


def resource_of(obj: dict[str, object]) -> Resource | None:
    """The resource of an object, by its ``apiVersion`` and ``kind``; ``None`` where it isn't served."""
    group, slash, _ = str(obj.get("apiVersion", "")).rpartition("/")
    return BY_KIND.get((group if slash else "", str(obj.get("kind", ""))))
