"""What is known of the mesh before a run: it shows whether an expectation can be counted there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from chaos.istio.hosts import host_of, placed
from chaos.values.questions import Question
from chaos.values.remarks import Refusal, Warn

INJECT_SIDECAR: Final = (
    "inject the sidecar: label the namespace istio-injection=enabled (on a mesh with revisions istio.io/rev=…), or the pods' template "
    'sidecar.istio.io/inject: "true"; then restart the pods'
)
"""What to do about pods without one."""


@dataclass(frozen=True)
class Pods:
    """How many pods a service has, with a proxy and without."""

    proxied: int = 0
    bare: int = 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The mesh as a plan finds it, as far as expectations ask: they know nothing of Kubernetes objects, which a ``Situation`` has.

    Args:
        namespace: The target's.
        target: The target's host.
        sealed: Every request to the target is answered by the fault, so its callers' proxies send none on.
        pods: Of the services whose pods are known, by their hosts.
        fault: The longest that the fault may last.
        unanswered: Questions to which the metrics' back end surely has no data, although it should at any time.
        policies: What the DestinationRules of services have in their traffic policies, by their hosts.
        workloads: The names of the target's namespace; none where its pods may not be read.
        everybody: The fault is drawn for every request to the target.
        hit: The workloads for whose every request to the target it is drawn, as ``namespace/workload``.
        calls: How often a request of the load calls the target, as it is declared.
        strongest: The largest share of the calls that the fault hits at any time.
        aborted: The least share of those requests that the fault answers itself at any time, with ``passed_on``.
        delayed: The same of those that it holds back.
        held: Seconds for which it does.
        passed_on: The HTTP statuses with which the fault answers in the target's place.
        passed_on_grpc: The same of gRPC, by their names.
    """

    namespace: str
    target: str
    sealed: bool = False
    fault: timedelta = timedelta.max
    unanswered: frozenset[Question] = frozenset()
    pods: Mapping[str, Pods] = field(default_factory=dict)
    policies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    workloads: frozenset[str] = frozenset()
    everybody: bool = False
    hit: frozenset[str] = frozenset()
    calls: int = 1
    strongest: float = 1.0
    aborted: float = 0.0
    delayed: float = 0.0
    held: float = 0.0
    passed_on: frozenset[int] = frozenset()
    passed_on_grpc: frozenset[str] = frozenset()

    def host(self, service: str) -> str:
        """The host of a service as it is declared."""
        return host_of(service, self.namespace)

    def is_hit(self, caller: str | None) -> bool:
        """Whether the fault is drawn for every request of a caller to the target; for everybody's, where none is named."""
        return self.everybody if caller is None else "/".join(placed(caller, self.namespace)) in self.hit

    def unknown(self, caller: str | None) -> Iterator[Warn]:
        """Nobody has the name of the caller whose requests shall be counted, unless it comes later; of other namespaces, names are not known."""
        if caller is None or not self.workloads:
            return
        namespace, name = placed(caller, self.namespace)
        if namespace == self.namespace and name not in self.workloads:
            near = difflib.get_close_matches(name, sorted(self.workloads), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            yield Warn(
                code="caller-not-found",
                message=f"no workload {name!r} has a pod in namespace {namespace!r}, so none of its requests will be counted: the workloads there are "
                f"{', '.join(sorted(self.workloads))}, and those of another namespace are written namespace/name{meant}",
            )

    def uncounted(self, service: str) -> Iterator[Refusal]:
        """Nobody counts what the service's own proxies should."""
        pods = self.pods.get(self.host(service))
        if pods is not None and pods.bare and not pods.proxied:
            yield Refusal(
                rule="counted-by-nobody",
                value=service,
                message=f"the requests that {service} gets are counted by the proxies of its pods, and none of them has one",
                hint=INJECT_SIDECAR,
            )

    def unreached(self, service: str, what: str) -> Iterator[Refusal | Warn]:
        """What a caller's proxy does when it sends a request on, at the hop whose requests the fault answers before that."""
        if self.host(service) != self.target:
            return
        text = f"{what} of {service} acts when a caller's proxy forwards a request, and the fault hits the request before that"
        hint = f"inject the fault into a service that {service} calls"
        if self.sealed:
            yield Refusal(rule="hop-not-reached", value=service, message=f"{text}: it answers every request", hint=hint)
        else:
            yield Warn(
                code="hop-not-reached", message=f"{text}: only its effect on the load may show; to test it, {hint}"
            )

    def unlimited(self, service: str, policy: str) -> Iterator[Warn]:
        """A policy that no DestinationRule gives the service, and that Istio does not set by itself."""
        if policy not in self.policies.get(self.host(service), {policy}):
            yield Warn(
                code="policy-not-set",
                message=f"no DestinationRule that callers in {self.namespace} follow gives {service} {policy} in its "
                "trafficPolicy, and Istio sets none by default",
            )
