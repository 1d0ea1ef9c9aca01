"""Stops all experiments in a namespace, and allows them again: a mark on the namespace, which every run and plan looks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chaos.errors import InputError
from chaos.model.marks import FROZEN

if TYPE_CHECKING:
    from chaos.ports import Mesh


@dataclass(frozen=True)
class Switched:
    """A namespace that was frozen or thawed.

    Args:
        reason: Why it is frozen now; ``None`` where it is thawed.
        before: Why it was frozen before; ``None`` where it was not.
    """

    namespace: str
    reason: str | None
    before: str | None

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        thawed = "not frozen" if self.before is None else f"thawed (was: {self.before})"
        return f"{self.namespace}: {thawed if self.reason is None else f'frozen ({self.reason})'}"


def switch(mesh: Mesh, namespaces: Sequence[str], reason: str | None) -> Iterator[Switched]:
    """Freezes namespaces for a reason, or thaws them without one; each as it is done.

    Raises:
        InputError: there is no such namespace.
        MeshError: the API failed.
    """
    for name in namespaces:
        found = mesh.namespace(name)
        if found is None:
            raise InputError(f"there is no namespace {name!r} in this cluster")
        before = (found["metadata"].get("annotations") or {}).get(FROZEN)
        if reason is not None or before is not None:
            mesh.annotate_namespace(name, FROZEN, reason)
        yield Switched(name, reason, before)
