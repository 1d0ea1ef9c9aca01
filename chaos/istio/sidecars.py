"""What of the mesh a sidecar knows by its Sidecar resource. Pure functions over plain objects.

Sources: istiod ``pilot/pkg/model/push_context.go`` (initSidecarScopes, getSidecarScope: which Sidecar is whose),
``pilot/pkg/model/sidecar.go`` (GetEgressListenerForRDS; hostClassification: what a listener imports).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.istio.exports import Object
from chaos.istio.hosts import overlap, within
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.ports import protocol_named
from chaos.istio.virtual_services import age_key

_EVERYTHING: Final[Mapping[str, Any]] = {"hosts": ["*/*"]}


def sidecar_of(
    labels: Mapping[str, str], namespace: str, sidecars: Sequence[Object], *, root: str = ROOT_NAMESPACE
) -> Object | None:
    """The Sidecar of a workload: by its labels, else its namespace's, else the mesh's; the oldest of several.

    An empty ``workloadSelector`` selects every workload, comes before none at all, and makes no default of the mesh.
    """
    for home, selecting in ((namespace, True), (namespace, False), (root, False)):
        found = [
            one
            for one in sidecars
            if one["metadata"]["namespace"] == home
            and (_selector(one) is not None) is selecting
            and selected_by(one).items() <= labels.items()
        ]
        if found:
            return min(found, key=age_key)
    return None


def selected_by(sidecar: Object) -> Mapping[str, str]:
    """The labels of the workloads that a Sidecar is for; empty for all of its namespace."""
    return (_selector(sidecar) or {}).get("labels") or {}


def _selector(sidecar: Object) -> Mapping[str, Any] | None:
    return (sidecar.get("spec") or {}).get("workloadSelector")


def listeners_of(sidecar: Object | None) -> Sequence[Mapping[str, Any]]:
    """The egress listeners of a Sidecar; without any, one that imports everything."""
    return ((sidecar or {}).get("spec") or {}).get("egress") or [_EVERYTHING]


def listener_for(sidecar: Object | None, port: int) -> Mapping[str, Any] | None:
    """The egress listener that decides what is known at a port: the first of this port, or without one; that one alone."""
    for listener in listeners_of(sidecar):
        own = (listener.get("port") or {}).get("number")
        if not own or own == port:
            return listener
    return None


@dataclass(frozen=True)
class Imports:
    """What one egress listener imports.

    Attributes:
        by_namespace: The hosts that it lists, by the namespace that they must be of; ``*`` for any.
        port: The only port of services that it takes; ``None`` for all.
    """

    by_namespace: Mapping[str, Sequence[str]]
    port: int | None = None

    def virtual_service(self, namespace: str, hosts: Iterable[str]) -> bool:
        """Whether a VirtualService is imported: wildcards count both ways, as a host ``*.shop`` concerns ``a.shop``."""
        return any(overlap(host, pattern) for host in hosts for pattern in self._of(namespace))

    def service(self, namespace: str, host: str) -> bool:
        """Whether a service is imported."""
        return any(within(host, pattern) for pattern in self._of(namespace))

    def _of(self, namespace: str) -> Sequence[str]:
        return (*self.by_namespace.get(namespace, ()), *self.by_namespace.get("*", ()))


def imports_of(listener: Mapping[str, Any], viewer: str) -> Imports:
    """What an egress listener imports.

    Args:
        listener: The listener.
        viewer: The workload's namespace, which ``.`` stands for, also in the mesh's default.
    """
    found: dict[str, list[str]] = {}
    for entry in listener.get("hosts") or ():
        where, _, pattern = entry.partition("/")
        if where != "~":
            found.setdefault(viewer if where == "." else where, []).append(pattern)
    port = listener.get("port") or {}
    return Imports(found, None if protocol_named(port.get("protocol") or "") == "http_proxy" else port.get("number"))
