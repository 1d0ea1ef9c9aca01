"""A CronJob that sweeps staging namespaces of what dead runs left, with no more rights than that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chaos.errors import InputError
from chaos.istio.injection import POD_LABEL
from chaos.istio.resources import CHANGEABLE

NAME: Final = "chaos-janitor"
_LABELS: Final = {"app.kubernetes.io/name": NAME}
RULES: Final[tuple[Mapping[str, Any], ...]] = (
    # list finds the faults; update takes one out of somebody's object (get where others write it meanwhile); delete.
    {"apiGroups": ["networking.istio.io"], "resources": ["virtualservices"], "verbs": ["list", "get", "update", "delete"]},
    # list tells who still lives; delete gives a dead run's target free (get where somebody was faster).
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "get", "delete"]},
    # An Event on the target says who cleaned up.
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
)  # fmt: skip
"""What a sweep does in one namespace. Discovery and ``/version`` are open to every account by Kubernetes' own roles."""


CHANGES: Final[tuple[Mapping[str, Any], ...]] = (
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]},
    *(
        {"apiGroups": [one.group], "resources": [one.plural], "verbs": ["get", "create", "update", "delete"]}
        for one in CHANGEABLE
    ),
)
"""What a sweep does beside it where Istio's configuration may be changed for a while: it takes the lease, and puts back."""


def janitor(
    namespaces: Sequence[str], *, image: str, home: str, schedule: str, changes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The objects, in the order in which they can be applied.

    Args:
        namespaces: Staging namespaces to sweep; each gets a Role and a RoleBinding.
        image: What the pods run: built by the repository's Containerfile.
        home: Namespace of the CronJob and its service account.
        changes: Those of them in which Istio's configuration may be changed for a while.
        schedule: When it runs, in cron's form. A leaked fault lives at most the lease's length and one such period.

    Raises:
        InputError: no namespace, or a value that can't be right.
    """
    if not namespaces:
        raise InputError("expected at least one staging namespace", hint="--namespace staging")
    if len(schedule.split()) != 5:
        raise InputError(f"expected a schedule of five fields, got {schedule!r}", hint='for example "*/5 * * * *"')
    if not image.strip():
        raise InputError("expected the name of an image", hint="build it from the Containerfile and push it")
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": home}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home, "labels": dict(_LABELS)}},
        _object("v1", "ServiceAccount", home),
    ]
    for namespace in dict.fromkeys(namespaces):
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
        needed = (*RULES, *CHANGES) if namespace in changes else RULES
        rules = [{key: list(value) for key, value in rule.items()} for rule in needed]
        objects += [
            _object("rbac.authorization.k8s.io/v1", "Role", namespace, rules=rules),
            _object("rbac.authorization.k8s.io/v1", "RoleBinding", namespace, roleRef=role, subjects=[dict(account)]),
        ]
    return [*objects, _cron_job(tuple(dict.fromkeys(namespaces)), image=image, home=home, schedule=schedule)]


def _object(api_version: str, kind: str, namespace: str, **rest: Any) -> dict[str, Any]:
    meta = {"name": NAME, "namespace": namespace, "labels": dict(_LABELS)}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **rest}


def _cron_job(namespaces: Sequence[str], *, image: str, home: str, schedule: str) -> dict[str, Any]:
    container = {
        "name": "sweep",
        "image": image,
        "args": ["sweep", "--context", "in-cluster", *(f"--namespace={namespace}" for namespace in namespaces)],
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "192Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        # A sidecar of the mesh would keep the job's pod from ever finishing.
        "metadata": {"labels": {**_LABELS, POD_LABEL: "false"}},
        "spec": {
            "serviceAccountName": NAME,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
    spec = {
        "schedule": schedule,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 120,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": {"backoffLimit": 2, "activeDeadlineSeconds": 240, "template": pod}},
    }
    return _object("batch/v1", "CronJob", home, spec=spec)
