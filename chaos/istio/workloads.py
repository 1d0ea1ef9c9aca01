"""What Istio calls a pod's workload.

Sources: istiod ``pkg/kube/util.go`` (GetWorkloadMetaFromPod), ``pkg/model/proxy.go`` and ``pkg/kube/labels`` (CanonicalService).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from chaos.istio.exports import Object

_WORKLOAD_NAME: Final = "service.istio.io/workload-name"
_SERVICE_LABELS: Final = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISION_LABELS: Final = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
_HASHES: Final = ("pod-template-hash", "rollouts-pod-template-hash")
"""Labels with the end of a ReplicaSet's name: of Deployments, of Argo's Rollouts."""
_OF_A_CRON_JOB: Final = re.compile(r"(.+)-[0-9]{8,10}")


def workload_name(pod: Object) -> str:
    """The pod's workload as Istio's metrics have it in ``source_workload`` and ``destination_workload``.

    What controls the pod, where its name was generated: the Deployment or Rollout above a ReplicaSet, the DeploymentConfig
    above a ReplicationController, the CronJob above a Job. Else the pod itself. A label overrides all of it.
    """
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    if _WORKLOAD_NAME in labels:
        return str(labels[_WORKLOAD_NAME])
    owner = next((one for one in meta.get("ownerReferences") or () if one.get("controller")), None)
    if owner is None or not meta.get("generateName"):
        return str(meta.get("name") or "")
    return _above(str(owner.get("kind")), str(owner["name"]), labels) or str(meta.get("name") or "")


def _above(kind: str, name: str, labels: Mapping[str, str]) -> str:
    if kind == "ReplicaSet":
        hashed = next((labels[key] for key in _HASHES if labels.get(key) and name.endswith(labels[key])), None)
        return name if hashed is None else name.removesuffix(f"-{hashed}")
    if kind == "ReplicationController" and labels.get("deploymentconfig"):
        return labels["deploymentconfig"]
    if kind == "Job" and (found := _OF_A_CRON_JOB.fullmatch(name)):
        return found[1]
    return name


def canonical_service(labels: Mapping[str, str], workload: str) -> str:
    """The name of the service that a workload is part of, in metrics: by its labels, else the workload's own."""
    return next((labels[key] for key in _SERVICE_LABELS if key in labels), workload)


def canonical_revision(labels: Mapping[str, str]) -> str:
    """Which version of its canonical service a workload is."""
    return next((labels[key] for key in _REVISION_LABELS if key in labels), "latest")
