"""What a plan tells the expectations of the mesh, and what they say to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Final

from chaos.expectations.scene import Pods, Scene
from chaos.istio.exports import Object
from chaos.istio.hosts import service_fqdn
from chaos.istio.pods import selected
from chaos.model.experiment import Experiment
from chaos.model.situation import Situation
from chaos.values.remarks import Refusal, Warn

_SURE: Final = 100.0
"""Percent."""


def unshown(experiment: Experiment, situation: Situation) -> Iterator[Refusal | Warn]:
    """What the mesh can't show of what is expected: a refusal where that is sure."""
    scene = scene_of(experiment, situation)
    for one in experiment.every:
        yield from one.unshown(scene)


def scene_of(experiment: Experiment, situation: Situation) -> Scene:
    """The mesh as a plan finds it; pods are known in the target's namespace only."""
    namespace = experiment.target.namespace
    hosts = {service_fqdn(s["metadata"]["name"], s["metadata"]["namespace"]): s for s in situation.services}
    return Scene(
        namespace=namespace,
        target=service_fqdn(experiment.target.service, namespace),
        sealed=_sealed(experiment, situation),
        fault=experiment.limits.fault,
        unanswered=frozenset(situation.unanswered),
        pods={host: _pods(service, situation) for host, service in hosts.items()},
        policies={host: _policies(situation.rule_for(host, namespace)) for host in hosts},
        workloads=frozenset(one.name for one in situation.workloads if one.namespace == namespace),
        calls=experiment.target.calls_per_request,
        everybody=_hits_everybody(experiment, situation),
        hit=_hit(experiment, situation),
        **_strength(experiment),
        passed_on=frozenset(one.abort.http_status for one in experiment.faults if one.abort and one.abort.http_status),
        passed_on_grpc=frozenset(
            one.abort.grpc_status for one in experiment.faults if one.abort and one.abort.grpc_status
        ),
    )


def _sealed(experiment: Experiment, situation: Situation) -> bool:
    return _hits_everybody(experiment, situation) and all(
        any(kind.answers and kind.percentage == _SURE for kind in step.kinds) for step in experiment.fault.steps
    )


def _hits_everybody(experiment: Experiment, situation: Situation) -> bool:
    """Whether the fault is drawn for every request to the target, by what is known of its callers."""
    if _narrowed(experiment):
        return False
    return {f"{namespace}/{name}" for namespace, name in situation.calling} <= _hit(experiment, situation)


def _hit(experiment: Experiment, situation: Situation) -> frozenset[str]:
    """The workloads for whose every request to the target the fault is drawn, as ``namespace/workload``."""
    if _narrowed(experiment):
        return frozenset()
    wanted = experiment.target.callers.items()
    callers = (w for w in situation.workloads if wanted <= w.labels.items() and not w.gateway)
    return frozenset(f"{w.namespace}/{w.name}" for w in callers)


def _narrowed(experiment: Experiment) -> bool:
    """Whether it is drawn for some requests of its callers only."""
    return bool(experiment.target.match) or experiment.target.only_our_load


def _strength(experiment: Experiment) -> Mapping[str, float]:
    """What the fault makes of the requests that it is drawn for: in each of its stages at least, and in its strongest one."""
    steps = experiment.fault.steps
    aborts = [step.abort.percentage if step.abort else 0.0 for step in steps]
    delays = [step.delay.percentage if step.delay else 0.0 for step in steps]
    held = experiment.fault.held.total_seconds()
    strongest = 1 - min(prod(1 - kind.percentage / _SURE for kind in step.kinds) for step in steps)
    return {"aborted": min(aborts) / _SURE, "delayed": min(delays) / _SURE, "held": held, "strongest": strongest}


def _pods(service: Object, situation: Situation) -> Pods:
    """Of the workloads that a Service selects; one without a selector tells nothing."""
    found = selected(service, situation.workloads)
    return Pods(proxied=sum(len(w.proxied) for w in found), bare=sum(len(w.bare) for w in found))


def _policies(rule: Object | None) -> frozenset[str]:
    """The keys of its traffic policies, those of subsets and ports too."""
    spec = (rule or {}).get("spec", {})
    policies = [one.get("trafficPolicy") or {} for one in (spec, *(spec.get("subsets") or ()))]
    policies += [port for policy in policies for port in policy.get("portLevelSettings") or ()]
    return frozenset(key for policy in policies for key in policy)
