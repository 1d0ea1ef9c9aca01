"""Does the object reach callers inside staging only, and are there callers at all?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.model.istio import MESH, export_of, gateways_of
from chaos.model.plan import Broken, Strategy


def export_stays_inside(draft: Draft) -> Iterator[Broken]:
    """Only callers of the object's own namespace, or of other allowed ones, may see it."""
    if draft.injection is None:
        return
    for entry in export_of(draft.injection.after):
        if entry != "." and not draft.allowed(entry):
            yield Broken(
                rule="export-outside",
                value=entry,
                message=f"exportTo {entry!r} would show the fault to callers outside the allowed namespaces",
                hint='the object must have exportTo: ["."]',
            )


def gateways_stay_out(draft: Draft) -> Iterator[Broken]:
    """No gateway gets the fault: who comes through it is not known to be staging."""
    if draft.injection is None:
        return
    routes = draft.injection.after["spec"].get("http") or ()
    if draft.injection.strategy is Strategy.PATCH:  # the other routes are the user's own, as they were
        routes = [route for route in routes if route.get("name") in draft.injection.route_names]
    blocks = [block for route in routes for block in route.get("match") or [{}]]
    named = {gateway for block in blocks for gateway in block.get("gateways") or gateways_of(draft.injection.after)}
    for gateway in sorted(named - {MESH}):
        yield Broken(
            rule="gateway-bound",
            value=gateway,
            message=f"the fault would be bound to the gateway {gateway!r}",
            hint="target the service behind the gateway as called by another workload",
        )


def callers_are_there(draft: Draft) -> Iterator[Broken]:
    """The declared callers exist and have a proxy, since it is the caller's proxy that injects."""
    wanted = draft.experiment.target.callers
    if not wanted or draft.namespace not in draft.situation.namespaces:
        return
    text = ", ".join(f"{key}={value}" for key, value in wanted.items())
    here = [w for w in draft.situation.workloads if w.namespace == draft.namespace]
    found = [w for w in here if wanted.items() <= w.labels.items()]
    if not found:
        yield Broken(
            rule="no-callers",
            value=text,
            message=f"no workload in {draft.namespace!r} has the labels {text} of target.callers",
            hint="check the labels of the calling pods: kubectl get pods --show-labels -n " + draft.namespace,
        )
    elif not any(workload.proxied for workload in found):
        yield Broken(
            rule="callers-without-proxy",
            value=text,
            message=f"no pod of the declared callers ({text}) has Istio's proxy, which is what injects the fault",
            hint="label the namespace istio-injection=enabled and restart the pods",
        )
