"""On whom a VirtualService of the target takes effect: who follows which now, and who would follow an object of ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaos.istio.exports import Object
from chaos.istio.hosts import service_fqdn
from chaos.istio.virtual_services import has_route_for, same, title
from chaos.istio.workloads import Workload
from chaos.model.experiment import Experiment
from chaos.model.plan import Caller
from chaos.model.situation import Situation
from chaos.values.remarks import Refusal

NONE = "-"
"""Instead of a VirtualService's name, where requests go to the Service as it is."""


def governing_of(experiment: Experiment, situation: Situation) -> Object | Refusal | None:
    """The VirtualService that the declared callers follow now, ``None`` where there is none; or that they don't agree.

    A caller whose Sidecar does not know the target at a port follows nothing there and is not asked.
    """
    target = experiment.target
    host = service_fqdn(target.service, target.namespace)
    ports = situation.ports_of(host)
    found: dict[str, Object | None] = {}
    for caller in callers_of(experiment, situation):
        own: dict[str, int] = {}
        for port in ports:
            if situation.mesh.virtual_host(host, caller.namespace, caller.labels, port) is not None:
                vs = situation.governor(host, caller.namespace, caller.labels, port)
                own.setdefault(name_of(vs), port)
                found.setdefault(name_of(vs), vs)
        if len(own) > 1:
            return refuse(
                "ports-differ",
                ", ".join(f"{name} at port {port}" for name, port in own.items()),
                f"{caller.name} follows different VirtualServices at different ports of the target, and nothing shows which port it calls",
                "give the target one VirtualService for all of its ports, without match.port",
            )
    if len(found) > 1:
        return refuse(
            "callers-differ",
            ", ".join(sorted(found)),
            "the callers do not all follow the same VirtualService, because of their Sidecars or of source selectors",
            "declare in target.callers which of them you mean",
        )
    return next(iter(found.values()), None)


def why_not(
    after: Object,
    routes: Sequence[Mapping[str, Any]],
    governing: Object | None,
    experiment: Experiment,
    situation: Situation,
) -> Refusal | None:
    """Why an object of ours would not take effect on the declared callers, or would on others; ``None`` if it would be right.

    ``routes`` are those that carry the fault; the situation is that without the object.
    """
    target = experiment.target
    host = service_fqdn(target.service, target.namespace)
    then = situation.with_(after)
    missed = list(_missed(after, routes, experiment, then))
    if missed:
        return refuse(
            "no-effect",
            ", ".join(missed),
            f"{title(after)} would have no effect on these callers: another VirtualService governs there, or no route with the "
            "fault matches them",
            "narrow target.callers or target.match to callers that follow the target's VirtualService: kubectl get "
            "virtualservices -A",
        )
    taken = dict.fromkeys(_taken(after, governing, situation.ports_of(host), situation, then))
    names = sorted({name for _, name in taken if name != host})
    strangers = sorted({workload for workload, name in taken if name == host})
    if strangers:
        return refuse(
            "callers-differ",
            ", ".join(strangers),
            "workloads that are not declared callers would follow this object too; now they follow another VirtualService, or none",
            "give the target one VirtualService that all of the namespace follows",
        )
    if names:
        return refuse(
            "names-differ",
            ", ".join(names),
            f"another VirtualService governs requests by another name of {host}, and {title(after)} would take that name over",
            "give the target one VirtualService, by its short name or as NAME.NAMESPACE.svc.cluster.local",
        )
    return None


def _taken(
    after: Object, governing: Object | None, ports: Sequence[int], situation: Situation, then: Situation
) -> Iterator[tuple[str, str]]:
    """The workloads, each with the name of the target, that would follow the object and follow something else now."""
    for workload in sidecars(situation, after["metadata"]["namespace"]):
        for port in ports:
            for one in then.mesh.virtual_hosts(workload.namespace, workload.labels, port):
                if one.governor is None or not same(one.governor, after):
                    continue
                for name in one.domains:
                    if not _follows(governing, name, workload, port, situation):
                        yield workload.name, name


def _missed(
    after: Object, routes: Sequence[Mapping[str, Any]], experiment: Experiment, then: Situation
) -> Iterator[str]:
    """The callers, each with the port, that know the target and would not feel the fault."""
    target = experiment.target
    host = service_fqdn(target.service, target.namespace)
    fault = {"spec": {"http": routes}}
    for caller in callers_of(experiment, then):
        for port in then.ports_of(host):
            if then.mesh.virtual_host(host, caller.namespace, caller.labels, port) is None:
                continue  # the guard tells where no caller knows the target
            reached = has_route_for(fault, labels=caller.labels, namespace=caller.namespace, port=port)
            if not reached or not _follows(after, host, caller, port, then):
                yield f"{caller.name} at port {port}"


def _follows(vs: Object | None, host: str, workload: Workload, port: int, situation: Situation) -> bool:
    """Whether a workload follows this VirtualService, or goes to the Service as it is where it is ``None``."""
    found = situation.mesh.virtual_host(host, workload.namespace, workload.labels, port)
    if found is None:
        return False
    return found.governor is None if vs is None else found.governor is not None and same(found.governor, vs)


def callers_of(experiment: Experiment, situation: Situation) -> Sequence[Workload]:
    """The workloads that the target's callers are, as far as known; else one with just the labels that they must have."""
    target = experiment.target
    here = [w for w in sidecars(situation, target.namespace) if target.callers.items() <= w.labels.items()]
    return here or [Workload("a caller", target.namespace, target.callers, proxied=(NONE,))]


def known_callers(experiment: Experiment, situation: Situation) -> tuple[Caller, ...]:
    """The declared callers, or those that the metrics know of; none known: empty."""
    target = experiment.target
    if target.callers:
        chosen = [w for w in situation.workloads if target.callers.items() <= w.labels.items() and not w.gateway]
    else:
        known = set(situation.calling)
        chosen = [w for w in situation.workloads if (w.namespace, w.name) in known and not w.gateway]
    return tuple(Caller(namespace=w.namespace, workload=w.name, pods=w.proxied) for w in chosen if w.proxied)


def sidecars(situation: Situation, namespace: str) -> Sequence[Workload]:
    """The workloads of a namespace whose proxies follow VirtualServices of the mesh."""
    return [w for w in situation.workloads if w.namespace == namespace and w.proxied and not w.gateway]


def name_of(vs: Object | None) -> str:
    """``namespace/name``, or that there is none."""
    return title(vs) if vs is not None else NONE


def refuse(rule: str, value: str, message: str, hint: str) -> Refusal:
    """A reason for which no object is made."""
    return Refusal(rule=rule, value=value, message=f"{message} ({value})", hint=hint)
