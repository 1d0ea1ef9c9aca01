"""Looks for anything that a run left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from chaos.errors import MeshError
from chaos.safety.marks import Object, describe_part

if TYPE_CHECKING:
    from chaos.ports import Mesh

_ALL_AT_ONCE: Final = 4
"""Namespaces from which on one look at the whole cluster is cheaper than one at each of them."""


def find(mesh: Mesh, namespaces: Sequence[str], run: str, *, faults_only: bool = False) -> list[str]:
    """Everything in these namespaces that carries a run's marks, as ``VirtualService staging/chaos-…``.

    Raises:
        MeshError: the cluster can't be read.
    """
    return [
        describe_part(obj, run)
        for namespace in namespaces
        for obj in mesh.injected(namespace, run=run)
        if not (faults_only and obj.get("kind") == "Lease")
    ]


def everything_of_ours(mesh: Mesh, namespaces: Sequence[str] | None, run: str | None = None) -> list[Object]:
    """Everything that the harness wrote or wrote into, the faults before the leases; in these namespaces, or everywhere.

    Raises:
        MeshError: the cluster can't be read.
    """
    if namespaces is None or len(namespaces) >= _ALL_AT_ONCE:
        try:
            seen = mesh.injected(None, run=run)
        except MeshError as error:
            if error.status != 403 or namespaces is None:
                raise
        else:
            return [obj for obj in seen if namespaces is None or obj["metadata"]["namespace"] in namespaces]
    return [obj for namespace in namespaces for obj in mesh.injected(namespace, run=run)]
