"""Does a controller own the object that would be changed, and overwrite the change?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.guard.draft import OUR_DEFECT, Draft
from chaos.injection.patching import without_fault
from chaos.model.marks import run_of_route
from chaos.values.remarks import Refusal

_MANAGERS: Final = {
    "flagger": "Flagger",
    "rollouts-controller": "Argo Rollouts",
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}
"""Field managers under which controllers write, as they show in ``managedFields``."""
_MARKS: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""Labels and annotations by which GitOps agents know their objects."""


def controller_of(obj: Mapping[str, Any]) -> str | None:
    """The controller that keeps an object as it wants it; ``None`` where none is known to."""
    meta = obj["metadata"]
    owner = next((one for one in meta.get("ownerReferences") or () if one.get("controller")), None)
    if owner is not None:
        return f"{owner.get('kind')} {owner.get('name')}"
    for key, name in _MARKS.items():
        if key in (meta.get("labels") or {}) or key in (meta.get("annotations") or {}):
            return name
    managers = [str(entry.get("manager", "")) for entry in meta.get("managedFields") or ()]
    return next((_MANAGERS[manager] for manager in managers if manager in _MANAGERS), None)


def patch_only_inserts(draft: Draft) -> Iterator[Refusal]:
    """Without the run's routes, the object of somebody else is what it was: same hosts, same exportTo, same routes."""
    if draft.patched is None:
        return
    injection, before = draft.patched
    if without_fault(injection.after, run_of_route(injection.route_name))["spec"] != before["spec"]:
        yield Refusal(
            rule="patch-changes-more",
            value=injection.place,
            message=f"the change of {injection.place} would do more than insert the fault",
            hint=OUR_DEFECT,
        )


def no_controller_overwrites(draft: Draft) -> Iterator[Refusal]:
    """A change of an object that a controller owns is reverted by it, sooner or later (fluxcd/flagger#703)."""
    if draft.patched is None:
        return
    injection, before = draft.patched
    controller = controller_of(before)
    if controller is not None:
        yield Refusal(
            rule="controller-owned",
            value=injection.place,
            message=f"the fault would have to go into {injection.place}, but {controller} owns that object and would overwrite the fault",
            hint="export the VirtualService, so that a private copy can take effect, or suspend the controller for the run",
        )
