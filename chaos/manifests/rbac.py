"""What the identity of the harness needs, and no more: Roles in staging namespaces, and beside them only reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.errors import InputError
from chaos.istio.injection import DEFAULT_REVISION
from chaos.istio.mesh_config import ROOT_NAMESPACE, mesh_config_of
from chaos.istio.resources import CHANGEABLE, KINDS
from chaos.model.marks import PREFIX

NAME: Final = "chaos-harness"
_RBAC: Final = "rbac.authorization.k8s.io"
_REASONS: Final = f"{PREFIX}/reasons"


@dataclass(frozen=True)
class Rule:
    """One rule, and what it is there for; for all objects, or the named ones."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    named: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As Kubernetes writes it."""
        names = {"resourceNames": list(self.named)} if self.named else {}
        return {"apiGroups": [self.group], "resources": [self.resource], **names, "verbs": list(self.verbs)}

    def __str__(self) -> str:
        return f"{self.resource} ({', '.join(self.verbs)}): {self.why}"


CLUSTER: Final = (
    Rule("", "namespaces", ("get", "list"), "staging labels, the freeze switch, kube-system's UID, who else is there"),
    Rule(
        "networking.istio.io", "virtualservices", ("list", "watch"),
        "one of any namespace may govern the target's host, and the rules have to see which; watched while a fault is active",
    ),
    Rule("networking.istio.io", "destinationrules", ("list",), "policies of the faulted hop, which the plan warns of"),
    Rule("networking.istio.io", "sidecars", ("list",), "which VirtualServices the callers' proxies know"),
    Rule("networking.istio.io", "serviceentries", ("list",), "whether one defines the target's own host"),
    Rule(
        "gateway.networking.k8s.io", "httproutes", ("list",),
        "whether one routes the target's requests, beside which a VirtualService is undefined",
    ),
    Rule("gateway.networking.k8s.io", "grpcroutes", ("list",), "the same for gRPC"),
)  # fmt: skip
"""Cluster-wide, and reading only."""
STAGING: Final = (
    Rule("networking.istio.io", "virtualservices", ("get", "create", "update", "delete"), "the fault itself, put in and taken out"),
    Rule("", "services", ("list",), "the target and its ports"),
    Rule("", "pods", ("list",), "the callers, and whether they have a proxy"),
    Rule("coordination.k8s.io", "leases", ("get", "list", "create", "update", "delete"), "one run per target; who is dead"),
    Rule("", "events", ("create",), "says on the target when a fault starts and ends"),
)  # fmt: skip
"""In each staging namespace."""
CHANGES: Final = tuple(
    Rule(
        one.group, one.plural, ("get", "list", "create", "update", "delete"), "saved, restored, and changed for a while"
    )
    if one in CHANGEABLE
    else Rule(one.group, one.plural, ("get", "list"), "saved, and compared with what was saved")
    for one in KINDS
)
"""In those staging namespaces in which Istio's configuration may be changed."""
EXEC: Final = Rule(
    "",
    "pods/exec",
    ("create", "get"),
    "reads from the callers' proxies that they have the fault; without it the metrics decide",
)

FREEZE: Final = Rule(
    "",
    "namespaces",
    ("patch",),
    "chaosctl freeze and thaw: the switch is an annotation of the namespace itself, and RBAC can't name a single one",
)


def in_root(revisions: Sequence[str]) -> tuple[Rule, ...]:
    """What is needed in the mesh's root namespace: to read the configuration of each revision."""
    named = tuple(mesh_config_of(revision) for revision in revisions)
    why = "the mesh's default of exportTo, which says who sees a VirtualService"
    return (Rule("", "configmaps", ("get",), why, named=named),)


def rbac(
    namespaces: Sequence[str],
    *,
    home: str,
    account: str = NAME,
    exec_: bool = True,
    freeze: bool = True,
    root: str = ROOT_NAMESPACE,
    revisions: Sequence[str] = (DEFAULT_REVISION,),
    changes: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The objects, in the order in which they can be applied.

    In the namespaces of ``changes``, it may also change Istio's configuration for a while. Without exec, the proof is by the metrics alone; without freeze, only others can stop experiments by that.

    Raises:
        InputError: no namespace is named.
    """
    if not namespaces:
        raise InputError("expected at least one staging namespace", hint="--namespace staging")
    subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
    rules = (*STAGING, *([FREEZE] if freeze else []), *([EXEC] if exec_ else []))
    objects = [] if home in namespaces else [_object("v1", "Namespace", {"name": home})]
    objects += [
        _object("v1", "ServiceAccount", {"name": account, "namespace": home}),
        _role("ClusterRole", {"name": NAME}, CLUSTER),
        _binding("ClusterRoleBinding", {"name": NAME}, "ClusterRole", subject),
    ]
    staging = {one: (*rules, *CHANGES) if one in changes else rules for one in namespaces}
    for namespace, needed in {root: in_root(revisions), **staging}.items():
        meta = {"name": NAME, "namespace": namespace}
        objects += [_role("Role", meta, needed), _binding("RoleBinding", meta, "Role", subject)]
    return objects


def _object(api_version: str, kind: str, meta: dict[str, Any], **rest: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": NAME}
    return {"apiVersion": api_version, "kind": kind, "metadata": {**meta, "labels": labels}, **rest}


def _role(kind: str, meta: dict[str, Any], rules: Sequence[Rule]) -> dict[str, Any]:
    reasons = "\n".join(map(str, rules)) + "\n"
    return _object(
        f"{_RBAC}/v1", kind, {**meta, "annotations": {_REASONS: reasons}}, rules=[rule.as_dict() for rule in rules]
    )


def _binding(kind: str, meta: dict[str, Any], role: str, subject: dict[str, str]) -> dict[str, Any]:
    reference = {"apiGroup": _RBAC, "kind": role, "name": NAME}
    return _object(f"{_RBAC}/v1", kind, dict(meta), roleRef=reference, subjects=[dict(subject)])
