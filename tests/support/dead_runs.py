"""What runs leave that were killed."""

from __future__ import annotations

from typing import Any

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.safety.lease import owner_reference
from chaos.safety.marks import micro_time
from tests.support.api_server import fault

NOW = 1_800_000_000.0


def lease(
    run: str, *, renewed: float | None = NOW, holder: str | None = None, namespace: str = "staging"
) -> dict[str, Any]:
    spec: dict[str, Any] = {"holderIdentity": run if holder is None else holder, "leaseDurationSeconds": 30}
    if renewed is not None:
        spec["renewTime"] = micro_time(renewed)
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": f"chaos-{run}", "namespace": namespace, "labels": {"chaos-harness.dev/run": run}, "uid": f"uid-{run}",
        },
        "spec": spec,
    }  # fmt: skip


def leave(mesh: KubernetesMesh, run: str, *, service: str, ago: float = 60.0) -> None:
    """What a run that died some seconds ago leaves."""
    now = mesh.server_time()
    left = lease(run, renewed=now - ago)
    left["metadata"]["name"] = f"chaos-{service}"
    owner = mesh.create_lease(left)
    mesh.create_virtual_service(fault(run, service=service, owner=owner_reference(owner)))
