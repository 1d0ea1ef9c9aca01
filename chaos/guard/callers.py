"""Are there callers, and do their proxies inject?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chaos.guard.draft import Draft
from chaos.istio.hosts import service_fqdn
from chaos.istio.workloads import Workload
from chaos.model.situation import pods_right
from chaos.values.remarks import Refusal


def callers_are_there(draft: Draft) -> Iterator[Refusal]:
    """The declared callers exist and have a proxy, since it is the caller's proxy that injects."""
    wanted = draft.experiment.target.callers
    if not wanted or draft.namespace not in draft.situation.namespaces:
        return
    if pods_right(draft.namespace) in draft.situation.unreadable:
        return
    text = ", ".join(f"{key}={value}" for key, value in wanted.items())
    here = [w for w in draft.situation.workloads if w.namespace == draft.namespace]
    found = [w for w in here if wanted.items() <= w.labels.items()]
    if not found:
        yield Refusal(
            rule="no-callers",
            value=text,
            message=f"no workload in {draft.namespace!r} has the labels {text} of target.callers",
            hint=_meant(wanted, here)
            or f"check the labels of the calling pods: kubectl get pods --show-labels -n {draft.namespace}",
        )
    elif not any(workload.proxied for workload in found):
        yield Refusal(
            rule="callers-without-proxy",
            value=text,
            message=f"no pod of the declared callers ({text}) has a sidecar, so nothing could inject the fault",
            hint="label the namespace istio-injection=enabled and restart the pods",
        )


def _meant(wanted: Mapping[str, str], here: Iterable[Workload]) -> str:
    """Which labels were probably meant: those with the same values under other keys, as ``app.kubernetes.io/name``."""
    for workload in here:
        same = {key: value for key, value in workload.labels.items() if value in wanted.values()}
        if same:
            labels = ", ".join(f"{key}: {value}" for key, value in same.items())
            return f"the pods of {workload.name} have other keys: write {{{labels}}} as target.callers, or with a template as with.callers"
    return ""


def callers_can_see(draft: Draft) -> Iterator[Refusal]:
    """Some of the declared callers would feel the fault; otherwise nobody would."""
    felt, wanted = draft.felt, draft.experiment.target.callers
    host = service_fqdn(draft.experiment.target.service, draft.namespace)
    if felt is None or not draft.situation.ports_of(host):
        return  # the rules about the target report that
    hidden = [w.name for w in felt.hidden if wanted.items() <= w.labels.items()]
    seeing = [w.name for w in felt.workloads if wanted.items() <= w.labels.items()]
    if hidden and not seeing:
        yield Refusal(
            rule="hidden-from-callers",
            value=", ".join(hidden),
            message=f"none of the callers would feel the fault: the Sidecar of {', '.join(hidden)} does not import the target "
            "or the object, or another VirtualService governs, or no route with the fault matches them",
            hint="if a Sidecar hides it, add ./* to its egress.hosts; to see what governs: kubectl get virtualservices -A",
        )
