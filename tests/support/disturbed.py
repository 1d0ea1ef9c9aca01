"""What happens to a mesh in memory when it is written to: somebody acts, or it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.errors import MeshError
from chaos.testing.mesh import MemoryMesh
from chaos.testing.shop import Shop


def afterwards(shop: Shop, call: str, action: Callable[[], object], *, after: float) -> None:
    """Does something some seconds after each write of a kind."""
    write = getattr(shop.mesh, call)

    def writing(*arguments: Any, **options: Any) -> Any:
        if not options.get("dry_run"):
            shop.clock.later(after, action)
        return write(*arguments, **options)

    setattr(shop.mesh, call, writing)


def when_faulted(shop: Shop, action: Callable[[], object], *, after: float = 3.0) -> None:
    """Does something some seconds after the fault was written as an object of its own."""
    afterwards(shop, "create_virtual_service", action, after=after)


def fail(mesh: MemoryMesh, call: str, *, for_name: str, status: int | None) -> None:
    """From now on, calls for one object fail without any effect."""
    real = getattr(mesh, call)

    def failing(*arguments: Any, **options: Any) -> Any:
        named = arguments[0]["metadata"]["name"] if isinstance(arguments[0], dict) else arguments[1]
        if named == for_name and not options.get("dry_run"):
            raise MeshError("no answer", status=status)
        return real(*arguments, **options)

    setattr(mesh, call, failing)
