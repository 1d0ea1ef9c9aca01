"""What a run will do, decided before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from chaos.istio.hosts import service_fqdn
from chaos.model.experiment import Experiment
from chaos.values.frozen import Frozen
from chaos.values.remarks import Refusal, Warn


class Strategy(StrEnum):
    """How the fault gets into the mesh."""

    CREATE = "create"
    """The host has no VirtualService: write one that routes as the mesh did before, plus the fault."""
    OVERLAY = "overlay"
    """A private copy of the governing public VirtualService plus the fault, for callers in the staging namespace."""
    PATCH = "patch"
    """The governing VirtualService itself, with its undo record in the same write."""


class Caller(Frozen):
    """A workload whose requests the fault will hit.

    Args:
        namespace: Its namespace.
        workload: Its workload's name as metrics have it (``source_workload``).
        pods: Names of its pods that have a proxy.
    """

    namespace: str
    workload: str
    pods: tuple[str, ...] = ()


class Injection(Frozen):
    """The object to write, before and after.

    Args:
        strategy: How the fault gets into the mesh.
        namespace: Where the object is written.
        name: Its name.
        before: The object as it governs now; ``None`` where there is none.
        after: The object as it will be written.
        route_names: Names of the injected routes as proxies will show them.
    """

    strategy: Strategy
    namespace: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    route_names: tuple[str, ...]


class Plan(Frozen):
    """An experiment, bound to what the cluster has now."""

    run: str
    experiment: Experiment
    file: str = Field("", description="where the experiment was declared")
    declared: str = Field("", description="its text as declared")
    injection: Injection | None = Field(None, description="None if the plan is refused before an object could be made")
    callers: tuple[Caller, ...] = ()
    warnings: tuple[Warn, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def host(self) -> str:
        """The registry host whose requests are hit."""
        target = self.experiment.target
        return service_fqdn(target.service, target.namespace)

    @property
    def allowed(self) -> bool:
        """Whether no staging rule refuses it."""
        return not self.refusals and self.injection is not None
