"""What a run will do, decided before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from chaos.faults.fault import Fault
from chaos.faults.target import Target
from chaos.istio.hosts import service_fqdn
from chaos.model.experiment import Experiment
from chaos.values.frozen import Frozen
from chaos.values.led import Led
from chaos.values.questions import Requests, Side, requests_to
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


class Change(Frozen):
    """What a later stage of a fault makes of the object.

    Args:
        spec: The object's whole spec.
        route_name: Name of the injected routes in this stage.
    """

    spec: Mapping[str, Any]
    route_name: str


class Injection(Frozen):
    """One fault as a run injects it: whom it hits, and the object to write, before and after.

    Args:
        target: Whose requests it hits.
        fault: What it does to them.
        callers: The workloads whose requests it hits, as far as they are known.
        strategy: How the fault gets into the mesh.
        namespace: Where the object is written.
        name: Its name.
        before: The object as it governs now; ``None`` where there is none.
        after: The object as it will be written.
        route_name: Name of the injected routes as proxies will show it.
        changes: The further stages of the fault, each as one more write of the object.
    """

    target: Target
    fault: Fault
    callers: tuple[Caller, ...] = ()
    strategy: Strategy
    namespace: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    route_name: str
    changes: tuple[Change, ...] = ()

    @property
    def route_names(self) -> tuple[str, ...]:
        """The routes' names in every stage."""
        return (self.route_name, *(one.route_name for one in self.changes))

    @property
    def stages(self) -> tuple[Injection, ...]:
        """The injection as it is in every stage, each without any other."""
        first = self.model_copy(update={"changes": ()})
        later = (
            first.model_copy(update={"after": {**self.after, "spec": one.spec}, "route_name": one.route_name})
            for one in self.changes
        )
        return (first, *later)

    @property
    def different(self) -> tuple[Injection, ...]:
        """The injection in every stage but for repetitions, which differ in the routes' names alone."""
        return self.stages[: max(1, len(self.fault.stages))]

    @property
    def host(self) -> str:
        """The registry host whose requests are hit."""
        return service_fqdn(self.target.service, self.target.namespace)

    @property
    def place(self) -> str:
        """The object that is written, for people: ``staging/chaos-k3x9q2ab-inventory-svc``."""
        return f"{self.namespace}/{self.name}"

    @property
    def requests(self) -> Requests:
        """The question for the requests towards the target."""
        return requests_to(self.host)

    @property
    def arrivals(self) -> Requests:
        """The question for those that arrive there, also from callers without a proxy."""
        return requests_to(self.host, Side.CALLED)


class Plan(Frozen):
    """An experiment, bound to what the cluster has now."""

    run: str
    experiment: Experiment
    file: str = Field("", description="where the experiment was declared")
    declared: str = Field("", description="its text as declared")
    injections: tuple[Injection, ...] = Field((), description="one for each fault, as far as an object could be made")
    scrape_interval: float | None = Field(None, description="seconds between two samples of a proxy, as it was planned")
    compared: tuple[str, ...] = Field(
        (),
        description="hosts whose own proxies count only what was sent to them: no other Service selects their pods",
    )
    led: tuple[Led, ...] = Field((), description="where routes send requests to the hosts that are counted")
    warnings: tuple[Warn, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where it writes."""
        return self.experiment.namespaces

    @property
    def allowed(self) -> bool:
        """Whether no staging rule refuses it, so that each fault has its object."""
        return not self.refusals and len(self.injections) == len(self.experiment.faults)
