"""What is changed for a while, and how somebody dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.testing.mesh import MemoryMesh

ROUTES = {
    "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
    "metadata": {"name": "inventory", "namespace": "staging", "labels": {"team": "stock"}},
    "spec": {
        "hosts": ["inventory-svc"], "exportTo": ["."],
        "http": [{"timeout": "2s", "route": [{"destination": {"host": "inventory-svc"}}]}],
    },
}  # fmt: skip
POLICY: dict[str, Any] = {
    "kind": "AuthorizationPolicy", "metadata": {"name": "deny-all", "namespace": "staging"}, "spec": {}
}  # fmt: skip


def with_spec(**changes: Any) -> dict[str, Any]:
    return {**ROUTES, "spec": {**ROUTES["spec"], **changes}}  # type: ignore[dict-item]


SLOWER = with_spec(http=[{"timeout": "9s", "route": [{"destination": {"host": "inventory-svc"}}]}])
WRITES = (
    "create_istio_object", "replace_istio_object", "delete_istio_object", "create_lease", "replace_lease", "delete_lease",
)  # fmt: skip


class Dead(BaseException):
    """The process is no more."""


class Mortal:
    """A mesh whose client dies at its n-th write: before it, after it, or while it is under way and arrives late."""

    def __init__(self, mesh: MemoryMesh, number: int, how: str) -> None:
        self._mesh, self._left, self._how = mesh, number, how
        self.dead = False
        self.writes = 0
        self.late: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return self._write(getattr(self._mesh, name)) if name in WRITES else getattr(self._mesh, name)

    def _write(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **options: Any) -> Any:
            if self.dead:
                raise Dead
            if options.get("dry_run"):
                return call(*args, **options)
            self.writes += 1
            if self.writes != self._left:
                return call(*args, **options)
            self.dead = True
            if self._how == "after":
                call(*args, **options)
            if self._how == "late":
                self.late = lambda: call(*args, **options)
            raise Dead

        return write
