"""One Envoy of the mesh, as the control plane knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from chaos.istio.hosts import CLUSTER_DOMAIN
from chaos.istio.workloads import canonical_service
from chaos.lab.istio.authority import spiffe_id

ADMIN_PORT: Final = 15000
OUTBOUND_PORT: Final = 15001
STATS_PORT: Final = 15090


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A sidecar, or a gateway (``router``).

    Args:
        labels: Labels of its pod.
        inbound: Container port to the port on which the application really listens, both at ``ip``.
        directory: Where its configuration files are.
    """

    pod: str
    namespace: str
    kind: Literal["sidecar", "router"]
    labels: Mapping[str, str]
    workload: str
    app: str
    version: str
    service_account: str
    ip: str
    inbound: Mapping[int, int]
    directory: Path

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of its pod: those of StatefulSets have the same name in several namespaces."""
        return self.namespace, self.pod

    @property
    def node(self) -> str:
        """Its id on the control plane, as istiod's agents form it."""
        return f"{self.kind}~{self.ip}~{self.pod}.{self.namespace}~{self.namespace}.svc.{CLUSTER_DOMAIN}"

    @property
    def uri(self) -> str:
        """Its SPIFFE id."""
        return spiffe_id(self.namespace, self.service_account)

    @property
    def identity(self) -> str:
        """What its metrics name as canonical service."""
        return canonical_service(self.labels, self.workload)
