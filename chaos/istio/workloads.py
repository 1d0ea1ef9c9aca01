"""What Istio calls a pod's workload, and what its proxy was told when it was injected.

Sources: istiod ``pkg/kube/util.go`` (GetWorkloadMetaFromPod), ``pkg/model/proxy.go`` and ``pkg/kube/labels`` (CanonicalService),
``manifests/charts/istio-control/istio-discovery/files/injection-template.yaml``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.istio.exports import Object

PROXY: Final = "istio-proxy"
"""The proxy's container."""
DEFAULT_REVISION: Final = "default"
_WORKLOAD_NAME: Final = "service.istio.io/workload-name"
_SERVICE_LABELS: Final = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISION_LABELS: Final = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
_HASHES: Final = ("pod-template-hash", "rollouts-pod-template-hash")
"""Labels with the end of a ReplicaSet's name: of Deployments, of Argo's Rollouts."""
_OF_A_CRON_JOB: Final = re.compile(r"(.+)-[0-9]{8,10}")
_STATUS: Final = "sidecar.istio.io/status"
_DOMAIN: Final = re.compile(r"[^.]+\.svc\.(.+)")


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


def revision_of(pod: Object) -> str:
    """The revision of the control plane that injected the pod's proxy, and configures it."""
    meta = pod["metadata"]
    try:
        status = json.loads((meta.get("annotations") or {}).get(_STATUS) or "{}")
    except ValueError:
        status = {}
    told = status.get("revision") if isinstance(status, dict) else None
    return str(told or (meta.get("labels") or {}).get("istio.io/rev") or DEFAULT_REVISION)


def mesh_config_of(revision: str) -> str:
    """Name of the ConfigMap with the configuration of a revision's control plane."""
    return "istio" if revision == DEFAULT_REVISION else f"istio-{revision}"


def domain_of(pod: Object) -> str | None:
    """The cluster's DNS domain, which the pod's proxy was started with; ``None`` where it was not told."""
    for proxy in _proxies(pod):
        arguments = [str(one) for one in proxy.get("args") or ()]
        for at, argument in enumerate(arguments):
            name, _, value = argument.partition("=")
            if name == "--domain":
                found = _DOMAIN.fullmatch(value or next(iter(arguments[at + 1 :]), ""))
                return found[1].removesuffix(".") if found else None
    return None


def _proxies(pod: Object) -> Iterator[Mapping[str, Any]]:
    spec = pod.get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if container.get("name") == PROXY:
            yield container
