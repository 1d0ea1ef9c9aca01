"""What the checks look at: each part is read once, when a check first asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final

from chaos.engine.configuration import Found, find, proxies
from chaos.errors import MeshError
from chaos.istio.hosts import service_fqdn
from chaos.istio.proxy_state import ProxyState
from chaos.istio.workloads import Workload, staying, workloads_of
from chaos.model.settings import Settings
from chaos.ports import Identity, Mesh, Metrics, Object

_AGAIN: Final = 1.0
"""Seconds; istiod ends every connection now and then, and proxies connect again at once."""


class Examined:
    """A mesh, its metrics, and the namespaces that are looked at.

    Reading raises ``MeshError`` or ``MetricsError``: the check that asked then tells that it could not look.
    """

    def __init__(
        self,
        mesh: Mesh,
        metrics: Metrics,
        settings: Settings,
        namespaces: Sequence[str],
        *,
        lab: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.mesh, self.metrics, self.settings = mesh, metrics, settings
        self.names = tuple(namespaces)
        self._sleep = sleep
        self.lab = lab
        """Whether it is the embedded lab, which has no Istio of its own, and one user who may do everything."""

    @cached_property
    def identity(self) -> Identity:
        """Which cluster it is, and the versions."""
        return self.mesh.identity()

    @cached_property
    def namespaces(self) -> Mapping[str, Object]:
        """Those that are looked at and exist, by name."""
        found = {name: self.mesh.namespace(name) for name in self.names}
        return {name: one for name, one in found.items() if one is not None}

    @cached_property
    def pods(self) -> Mapping[str, Sequence[Object]]:
        """Pods that are meant to stay, by namespace."""
        return {name: staying(self.mesh.pods(name)) for name in self.namespaces}

    @cached_property
    def workloads(self) -> Sequence[Workload]:
        """The workloads of all namespaces."""
        return [one for pods in self.pods.values() for one in workloads_of(pods)]

    @cached_property
    def services(self) -> Mapping[str, Object]:
        """The Services by their registry host."""
        return {
            service_fqdn(one["metadata"]["name"], name): one
            for name in self.namespaces
            for one in self.mesh.services(name)
        }

    @cached_property
    def configuration(self) -> Found:
        """Istio's configuration of the namespaces."""
        return find(self.mesh, tuple(self.namespaces))

    def objects(self, kind: str) -> Sequence[Object]:
        """Those of one kind; none where that can't be listed."""
        return [obj for (_, of_kind, _), obj in self.configuration.objects.items() if of_kind == kind]

    @cached_property
    def proxies(self) -> Sequence[ProxyState]:
        """What the proxies say of themselves; who is between two connections is asked once more."""
        found = proxies(self.mesh, tuple(self.namespaces))
        if all(one.connected is not False for one in found):
            return found
        self._sleep(_AGAIN)
        return proxies(self.mesh, tuple(self.namespaces))

    @cached_property
    def of_root(self) -> Sequence[Object] | None:
        """The pods of the mesh's root namespace that are meant to stay; ``None`` where they may not be read."""
        try:
            return staying(self.mesh.pods(self.settings.root_namespace))
        except MeshError as error:
            if error.status not in (403, 404):
                raise
            return None
