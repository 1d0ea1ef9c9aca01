"""What of the mesh a sidecar knows by its Sidecar resource. Pure functions over plain objects.

Sources: istiod ``pilot/pkg/model/push_context.go`` (getSidecarScope: which Sidecar is whose),
``pilot/pkg/model/virtualservice.go`` (SelectVirtualServices: a host entry names the VirtualService's own namespace),
``pilot/pkg/model/sidecar.go`` (hostClassification.VSMatches).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from chaos.istio.hosts import host_matches
from chaos.istio.virtual_services import Object, age_key

ROOT_NAMESPACE: Final = "istio-system"
"""Of the mesh, where nothing else is said; its Sidecar is every namespace's default."""


def sidecar_of(
    labels: Mapping[str, str], namespace: str, sidecars: Sequence[Object], *, root: str = ROOT_NAMESPACE
) -> Object | None:
    """The Sidecar of a workload: by its labels, else its namespace's, else the mesh's; the oldest of several."""
    own = sorted((one for one in sidecars if one["metadata"]["namespace"] == namespace), key=age_key)
    mesh = sorted((one for one in sidecars if one["metadata"]["namespace"] == root), key=age_key)
    by_labels = [one for one in own if selected_by(one) and selected_by(one).items() <= labels.items()]
    for found in (
        by_labels,
        [one for one in own if not selected_by(one)],
        [one for one in mesh if not selected_by(one)],
    ):
        if found:
            return found[0]
    return None


def selected_by(sidecar: Object) -> Mapping[str, str]:
    """The labels of the workloads that a Sidecar is for; empty for all of its namespace."""
    return ((sidecar.get("spec") or {}).get("workloadSelector") or {}).get("labels") or {}


def imports(sidecar: Object | None, viewer: str, namespace: str, hosts: Sequence[str]) -> bool:
    """Whether a workload with this Sidecar knows an object.

    Args:
        sidecar: The workload's own; without one, or without ``egress``, everything is known.
        viewer: The workload's namespace, which ``.`` stands for, also in the mesh's default.
        namespace: The object's.
        hosts: The object's, resolved.
    """
    egress = ((sidecar or {}).get("spec") or {}).get("egress")
    if not egress:
        return True
    for listener in egress:
        for entry in listener.get("hosts") or ():
            where, _, pattern = entry.partition("/")
            if where == "~" or (where != "*" and (viewer if where == "." else where) != namespace):
                continue
            if pattern == "*" or any(_overlap(pattern, host) for host in hosts):
                return True
    return False


def _overlap(pattern: str, host: str) -> bool:
    """Either may be a wildcard: a VirtualService's host ``*.shop`` is of interest to who lists ``a.shop``."""
    return pattern == host or host_matches(pattern, host) or host_matches(host, pattern)
