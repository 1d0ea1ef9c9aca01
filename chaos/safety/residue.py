"""What is left of a run."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.ports import Mesh


def find(mesh: Mesh, namespaces: Sequence[str], run: str, *, faults_only: bool = False) -> list[str]:
    """Everything with the run's label, as ``Kind namespace/name``; only VirtualServices where asked so.

    Raises:
        MeshError: the API can't be asked, so nobody can tell.
    """
    found = [obj for namespace in namespaces for obj in mesh.injected(namespace, run=run)]
    return [
        f"{obj['kind']} {obj['metadata']['namespace']}/{obj['metadata']['name']}"
        for obj in found
        if obj["kind"] == "VirtualService" or not faults_only
    ]
