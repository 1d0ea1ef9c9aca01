"""Workloads: what Istio calls them, and what the pods of one have in common.

Sources: istiod ``pkg/kube/util.go`` (GetWorkloadMetaFromPod), ``pkg/model/proxy.go`` and ``pkg/kube/labels`` (CanonicalService).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.istio.exports import Object
from chaos.istio.injection import domain_of, revision_of
from chaos.istio.proxy import SIDECAR, proxy_role

_WORKLOAD_NAME: Final = "service.istio.io/workload-name"
_SERVICE_LABELS: Final = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISION_LABELS: Final = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
_HASHES: Final = ("pod-template-hash", "rollouts-pod-template-hash")
"""Labels with the end of a ReplicaSet's name: of Deployments, of Argo's Rollouts."""
_OF_A_CRON_JOB: Final = re.compile(r"(.+)-[0-9]{8,10}")


@dataclass(frozen=True)
class Workload:
    """Pods of one workload, with and without a proxy.

    Args:
        gateway: The proxy is no sidecar but a gateway or a waypoint, to which a VirtualService for the mesh does not apply:
            it is nobody's caller.
        revisions: Of the control planes that configure its proxies.
        domains: The cluster's DNS domain, as its proxies were told; empty where they were not.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    proxied: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    gateway: bool = False
    revisions: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


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


def staying(pods: Iterable[Object]) -> list[Object]:
    """The pods that have neither ended nor are being removed, as some are during every rollout."""
    return [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and not pod["metadata"].get("deletionTimestamp")
    ]


def workloads_of(pods: Sequence[Object]) -> tuple[Workload, ...]:
    """Pods that are meant to stay, grouped by workload."""
    found: dict[tuple[str, str], list[Object]] = {}
    for pod in staying(pods):
        found.setdefault((pod["metadata"]["namespace"], workload_name(pod)), []).append(pod)
    return tuple(
        Workload(
            name=name,
            namespace=namespace,
            labels=dict(group[0]["metadata"].get("labels") or {}),
            proxied=tuple(p["metadata"]["name"] for p in group if proxy_role(p)),
            bare=tuple(p["metadata"]["name"] for p in group if not proxy_role(p)),
            gateway=any(proxy_role(p) not in ("", SIDECAR) for p in group),
            revisions=frozenset(revision_of(p) for p in group if proxy_role(p)),
            domains=frozenset(domain for p in group if (domain := domain_of(p)) is not None),
        )
        for (namespace, name), group in sorted(found.items())
    )
