"""Looks for anything that a run left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chaos.safety.marks import describe_part

if TYPE_CHECKING:
    from chaos.ports import Mesh


def find(mesh: Mesh, namespaces: Sequence[str], run: str, *, faults_only: bool = False) -> list[str]:
    """Everything in these namespaces that carries a run's marks, as ``VirtualService staging/chaos-…``.

    Args:
        mesh: The cluster.
        namespaces: Where to look.
        run: Whose.
        faults_only: Without its lease.

    Raises:
        MeshError: nobody can tell.
    """
    return [
        describe_part(obj, run)
        for namespace in namespaces
        for obj in mesh.injected(namespace, run=run)
        if not (faults_only and obj.get("kind") == "Lease")
    ]
