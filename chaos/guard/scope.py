"""Rules: the object reaches callers inside staging only, and of these only the declared ones."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import OUR_DEFECT, Draft
from chaos.istio.exports import export_of
from chaos.istio.injection import DEFAULT_REVISION, injecting_revision
from chaos.istio.virtual_services import ignored_selectors
from chaos.model.marks import RUN_HEADER, run_of_route
from chaos.values.remarks import Refusal


def object_is_at_home(draft: Draft) -> Iterator[Refusal]:
    """The object is in the target's namespace: in another one, ``.`` in its ``exportTo`` would be that one."""
    injection = draft.injection
    if injection is None:
        return
    for namespace in {injection.namespace, injection.after["metadata"]["namespace"]} - {draft.namespace}:
        yield Refusal(
            rule="object-elsewhere",
            value=namespace,
            message=f"the object would be in the namespace {namespace!r}, and the target is in {draft.namespace!r}",
            hint=OUR_DEFECT,
        )


def export_stays_inside(draft: Draft) -> Iterator[Refusal]:
    """Only callers of the object's own namespace, or of other allowed ones, may see it."""
    if draft.injection is None:
        return
    for entry in export_of(draft.injection.after, default=draft.situation.default_export):
        if entry != "." and not draft.allowed(entry):
            yield Refusal(
                rule="export-outside",
                value=entry,
                message=f"exportTo {entry!r} would show the fault to callers outside the allowed namespaces",
                hint='the object must have exportTo: ["."]',
            )


def export_is_sure(draft: Draft) -> Iterator[Refusal]:
    """An object that is private only by the mesh's default is private only for the control plane whose default was read."""
    injection = draft.injection
    if injection is None or injection.after["spec"].get("exportTo"):
        return
    known = set(draft.situation.default_exports) or {DEFAULT_REVISION}
    followed = {injecting_revision(namespace) for namespace in draft.situation.namespaces.values()} - {None, *known}
    revisions = sorted(map(str, followed))
    if revisions:
        yield Refusal(
            rule="export-by-default",
            value=", ".join(revisions),
            message=f"{injection.place} has no exportTo, and the revisions {', '.join(revisions)} "
            "may have another default than the one that was read",
            hint='write exportTo: ["."] into the VirtualService',
        )


def gateways_stay_out(draft: Draft) -> Iterator[Refusal]:
    """No gateway gets the fault: requests that enter there may come from outside staging."""
    for gateway in draft.audience.gateways if draft.audience else ():
        yield Refusal(
            rule="gateway-bound",
            value=gateway,
            message=f"the fault would be bound to the gateway {gateway!r}",
            hint="choose the Service behind the gateway as the target, and another workload as its caller",
        )


def no_root_delegates(draft: Draft) -> Iterator[Refusal]:
    """The object is no delegate: the callers of every root that delegates to it would feel its fault."""
    injection, audience = draft.injection, draft.audience
    if injection is None or audience is None or injection.after["spec"].get("hosts"):
        return
    roots = ", ".join(audience.roots) or "none is known"
    yield Refusal(
        rule="delegate-reached",
        value=injection.place,
        message=f"the object has no hosts, so it is a delegate, and callers of all its roots would feel the fault ({roots})",
        hint="choose a target whose VirtualService has hosts of its own",
    )


def selectors_are_heeded(draft: Draft) -> Iterator[Refusal]:
    """No match has gateways beside source selectors, which Istio would silently ignore (route.go sourceMatchHTTP)."""
    for block in (block for route in draft.injected for block in route.get("match") or ()):
        ignored = ignored_selectors(block)
        if ignored:
            yield Refusal(
                rule="selectors-ignored",
                value=", ".join(ignored),
                message=f"a match has gateways beside {', '.join(ignored)}, which Istio then ignores: all callers are hit",
                hint=OUR_DEFECT,
            )
            return


def callers_stay_declared(draft: Draft) -> Iterator[Refusal]:
    """Every match of the fault has the labels of the declared callers, and the run's header if ``onlyOurLoad`` is declared."""
    target, injection = draft.experiment.target, draft.injection
    if injection is None:
        return
    run = run_of_route(injection.route_name)
    for route in (route for route in draft.injected if route.get("name") == injection.route_name):
        for block in route.get("match") or [{}]:
            labels = block.get("sourceLabels") or {}
            missing = [f"sourceLabels {key}" for key, value in target.callers.items() if labels.get(key) != value]
            if target.only_our_load and (block.get("headers") or {}).get(RUN_HEADER) != {"exact": run}:
                missing.append(RUN_HEADER)
            if missing:
                yield Refusal(
                    rule="scope-wider",
                    value=", ".join(missing),
                    message=f"the fault would hit more than declared: a match lacks {', '.join(missing)}",
                    hint=OUR_DEFECT,
                )
                return


def known_callers_stay_inside(draft: Draft) -> Iterator[Refusal]:
    """No caller outside the allowed namespaces that the metrics show may see the object."""
    audience = draft.audience
    if audience is None:
        return
    for namespace, workload in draft.situation.calling:
        unknown = namespace in ("", "unknown")
        # A caller of whom nothing is known may be anywhere that the object is seen.
        seen = set(audience.exported) - {draft.namespace} if unknown else audience.reaches(namespace)
        if seen and not draft.allowed(namespace):
            caller = f"{namespace or 'unknown'}/{workload or 'unknown'}"
            yield Refusal(
                rule="caller-outside",
                value=caller,
                message=f"{caller} calls the target, is in no allowed namespace, and would see the fault",
                hint='the object must have exportTo: ["."]',
            )


def the_write_is_of_what_was_checked(draft: Draft) -> Iterator[Refusal]:
    """A change carries the version of the object that was checked."""
    if draft.patched is None:
        return
    injection, before = draft.patched
    checked, sent = (obj["metadata"].get("resourceVersion") for obj in (before, injection.after))
    if checked != sent:
        yield Refusal(
            rule="version-not-checked",
            value=str(sent),
            message=f"the write carries version {sent}, but version {checked} was checked",
            hint=OUR_DEFECT,
        )
