"""What one needs to use a mesh, as plain data, whether it is a cluster or the lab."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshAccess:
    """How a mesh is reached, and where in it experiments may act.

    Attributes:
        kubeconfig: Path of the kubeconfig.
        context: Name of the context in it.
        prometheus: URL of the Prometheus that scrapes the mesh.
        entry: URL of the mesh's ingress, to which load is sent; empty where there is none.
        staging: The namespaces that experiments may touch.
    """

    kubeconfig: str
    context: str
    prometheus: str
    entry: str
    staging: tuple[str, ...]
