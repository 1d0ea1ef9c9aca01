"""What Istio calls a pod's workload, and what its proxy says of the control plane and the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chaos.istio.workloads import canonical_revision, canonical_service, workload_name


def pod(
    kind: str = "",
    owner: str = "",
    labels: Mapping[str, str] | None = None,
    *,
    generated: bool = True,
    controller: bool = True,
) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": "shop-x-1",
        "namespace": "staging",
        "labels": dict(labels or {}),
    }
    if generated:
        meta["generateName"] = "shop-x-"
    if kind:
        meta["ownerReferences"] = [
            {"kind": "Node", "name": "n"},
            {"kind": kind, "name": owner, "controller": controller},
        ]
    return {"metadata": meta, "spec": {}}


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (pod(), "shop-x-1"),
        (pod("ReplicaSet", "shop-6fb97", {"pod-template-hash": "6fb97"}), "shop"),
        (pod("ReplicaSet", "shop-6fb97"), "shop-6fb97"),
        (pod("ReplicaSet", "shop", {"pod-template-hash": "6fb97"}), "shop"),
        (pod("ReplicaSet", "shop-7cd44", {"rollouts-pod-template-hash": "7cd44"}), "shop"),
        (pod("ReplicaSet", "shop-7cd44", {"pod-template-hash": "1", "rollouts-pod-template-hash": "7cd44"}), "shop"),
        (pod("ReplicationController", "shop-3", {"deploymentconfig": "shop"}), "shop"),
        (pod("ReplicationController", "shop-3"), "shop-3"),
        (pod("Job", "report-28512345"), "report"),
        (pod("Job", "report-1700000000"), "report"),
        (pod("Job", "report-1234567"), "report-1234567"),
        (pod("Job", "report"), "report"),
        (pod("StatefulSet", "db"), "db"),
        (pod("StatefulSet", "db", controller=False), "shop-x-1"),
        (pod("Node", "machine", generated=False), "shop-x-1"),
        (pod("ReplicaSet", "shop-6fb97", {"pod-template-hash": "6fb97", "service.istio.io/workload-name": "till"}), "till"),
    ],
)  # fmt: skip
def test_the_name_in_the_metrics(found: dict[str, Any], name: str) -> None:
    assert workload_name(found) == name


@pytest.mark.parametrize(
    ("labels", "service", "revision"),
    [
        ({}, "shop-v1", "latest"),
        ({"app": "shop", "version": "v1"}, "shop", "v1"),
        ({"app": "a", "app.kubernetes.io/name": "shop", "app.kubernetes.io/version": "1.2", "version": "v1"}, "shop", "1.2"),
        ({"app": "a", "app.kubernetes.io/name": "b", "service.istio.io/canonical-name": "shop", "service.istio.io/canonical-revision": "x"}, "shop", "x"),
    ],
)  # fmt: skip
def test_canonical_names(labels: dict[str, str], service: str, revision: str) -> None:
    assert (canonical_service(labels, "shop-v1"), canonical_revision(labels)) == (service, revision)
