"""Is this the right cluster and a staging namespace?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Staged, missing_labels
from chaos.model.marks import FROZEN
from chaos.values.remarks import Refusal

CONFIGURE = "[tool.chaos] in pyproject.toml, or chaos.toml"


def cluster_is_configured(draft: Staged) -> Iterator[Refusal]:
    """Once any cluster is configured, only those may be touched."""
    clusters = draft.settings.clusters
    if clusters and draft.situation.cluster not in clusters:
        yield Refusal(
            rule="cluster-not-configured",
            value=draft.situation.cluster,
            message=f"the cluster {draft.situation.cluster or '(unknown)'} is not in clusters of the settings",
            hint=f"check the context; if it is right, add the UID of its namespace kube-system to clusters in {CONFIGURE}",
        )


def namespace_exists(draft: Staged) -> Iterator[Refusal]:
    """The target's namespace exists and can be read."""
    if draft.namespace not in draft.situation.namespaces:
        yield Refusal(
            rule="namespace-not-found",
            value=draft.namespace,
            message=f"there is no namespace {draft.namespace!r} in this cluster, or it can't be read",
            hint="correct target.namespace, or choose the context of the cluster that has it",
        )


def namespace_is_listed(draft: Staged) -> Iterator[Refusal]:
    """The target's namespace is on the allow list."""
    if not draft.settings.lists(draft.namespace):
        allowed = ", ".join(draft.settings.namespaces) or "none"
        yield Refusal(
            rule="namespace-not-allowed",
            value=draft.namespace,
            message=f"the settings do not allow faults in the namespace {draft.namespace!r} (they allow: {allowed})",
            hint=f"if it really is a staging namespace, add it to namespaces in {CONFIGURE}",
        )


def namespace_is_labelled(draft: Staged) -> Iterator[Refusal]:
    """The target's namespace has the staging label."""
    found = draft.situation.namespaces.get(draft.namespace)
    if found is None:
        return
    missing = missing_labels(found, draft.settings)
    if missing:
        wanted = ",".join(f"{key}={value}" for key, value in missing.items())
        yield Refusal(
            rule="namespace-not-labelled",
            value=draft.namespace,
            message=f"the namespace {draft.namespace!r} lacks the staging label {wanted}",
            hint=f"if it is a staging namespace, its owner can label it: kubectl label namespace {draft.namespace} {wanted.replace(',', ' ')}",
        )


def namespace_is_not_the_root(draft: Staged) -> Iterator[Refusal]:
    """Objects in the mesh's root namespace apply to the whole mesh."""
    if draft.namespace == draft.settings.root_namespace:
        yield Refusal(
            rule="root-namespace",
            value=draft.namespace,
            message=f"{draft.namespace!r} is the mesh's root namespace",
            hint="the root namespace can never be a target: choose a staging namespace",
        )


def namespace_is_not_frozen(draft: Staged) -> Iterator[Refusal]:
    """The freeze switch is off."""
    found = draft.situation.namespaces.get(draft.namespace)
    if found is not None and FROZEN in (found["metadata"].get("annotations") or {}):
        yield Refusal(
            rule="frozen",
            value=draft.namespace,
            message=f"the namespace {draft.namespace!r} is frozen: {found['metadata']['annotations'][FROZEN] or 'no reason given'}",
            hint=f"when the freeze is over: kubectl annotate namespace {draft.namespace} {FROZEN}-",
        )
