"""What decides who is hit is read from the API; where that is denied, the plan is refused and says which right is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.planning import look, make_plan
from chaos.errors import MeshError
from chaos.istio.mesh_config import default_export
from chaos.lab.api.resources import CONFIG_MAPS, NAMESPACES, PODS, REPLICA_SETS, SERVICE_ENTRIES, SIDECARS
from chaos.model.plan import Plan
from chaos.reporting.plan_text import plan_text
from tests.contract.attacked import STAGING, Cluster, written


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    made.add(NAMESPACES, {"metadata": {"name": "istio-system"}})
    yield made
    made.server.stop()


def config(cluster: Cluster, text: str, name: str = "istio") -> None:
    cluster.add(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "istio-system"}, "data": {"mesh": text}})


def proxied(cluster: Cluster, name: str, revision: str, domain: str = "cluster.local") -> None:
    """A pod as Istio's injector leaves it."""
    status = json.dumps({"revision": revision})
    proxy = {"name": "istio-proxy", "args": ["proxy", "sidecar", "--domain", f"$(POD_NAMESPACE).svc.{domain}"]}
    meta = {
        "name": name,
        "namespace": "staging",
        "labels": {"app": name},
        "annotations": {"sidecar.istio.io/status": status},
    }
    cluster.add(PODS, {"metadata": meta, "spec": {"containers": [proxy]}, "status": {"phase": "Running"}})


class Denied(KubernetesMesh):
    """The API as an identity finds it that may not read some paths."""

    def __init__(self, cluster: Cluster, *paths: str) -> None:
        super().__init__(str(cluster.server.kubeconfig), "test-mesh")
        find, listed = self._api.find, self._api.list

        def check(path: str) -> None:
            if any(part in path for part in paths):
                raise MeshError(f"GET {path}: 403 forbidden", status=403)

        def checked_find(path: str, **more: Any) -> Any:
            check(path)
            return find(path, **more)

        def checked_list(path: str, **more: Any) -> Any:
            check(path)
            return listed(path, **more)

        self._api.find, self._api.list = checked_find, checked_list  # type: ignore[method-assign]


def planned(mesh: KubernetesMesh) -> Plan:
    asked = parse_experiment(written())
    return make_plan(asked, look(mesh, None, asked), STAGING, run="abcdefgh", now=0.0)


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/sidecars", "list sidecars.networking.istio.io"),
        ("/serviceentries", "list serviceentries.networking.istio.io"),
        ("/configmaps/istio", "get configmaps/istio in istio-system"),
    ],
)
def test_a_denied_read_is_refused_and_names_the_right(cluster: Cluster, path: str, right: str) -> None:
    plan = planned(Denied(cluster, path))
    assert [(one.rule, one.value) for one in plan.refusals] == [("not-readable", right)]
    said = plan_text(plan)
    assert "chaosctl manifests rbac" in said
    assert "more: docs/explanation/safety.md#not-readable" in said


def test_the_virtualservices_themselves_can_not_be_done_without(cluster: Cluster) -> None:
    with pytest.raises(MeshError, match="virtualservices: 403"):
        planned(Denied(cluster, "/virtualservices"))


def test_nothing_there_is_the_default(cluster: Cluster) -> None:
    assert cluster.mesh.mesh_config("istio-system", "default") is None
    assert default_export({}) == ("*",)
    assert cluster.mesh.istio_objects("Sidecar") == cluster.mesh.istio_objects("ServiceEntry") == []
    assert (cluster.mesh.http_routes(), cluster.mesh.grpc_routes()) == ((), ())
    assert planned(cluster.mesh).refusals == ()


def test_the_meshs_configuration_and_sidecars_are_read(cluster: Cluster) -> None:
    config(cluster, "rootNamespace: istio-system\ndefaultVirtualServiceExportTo: ['.']\n")
    cluster.add(SIDECARS, {"metadata": {"name": "default", "namespace": "production"}, "spec": {"egress": []}})
    entry = {"hosts": ["a.example"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "DNS"}
    cluster.add(SERVICE_ENTRIES, {"metadata": {"name": "outside", "namespace": "production"}, "spec": entry})
    (found,) = look(cluster.mesh, None, parse_experiment(written()))
    assert found.default_export == (".",)
    assert [one["metadata"]["name"] for one in found.service_entries] == ["outside"]
    assert [one["metadata"]["name"] for one in found.sidecars] == ["default"]
    assert found.unreadable == ()


def test_the_configuration_is_that_of_the_revision_that_the_proxies_follow(cluster: Cluster) -> None:
    config(cluster, "defaultVirtualServiceExportTo: ['.']\n", "istio-canary")
    proxied(cluster, "order-svc", "canary")
    assert look(cluster.mesh, None, parse_experiment(written()))[0].default_exports == {"canary": (".",)}
    proxied(cluster, "web", "default")
    (found,) = look(cluster.mesh, None, parse_experiment(written()))
    assert found.default_exports == {"canary": (".",), "default": ("*",)}
    assert [one.rule for one in planned(cluster.mesh).refusals] == ["revisions-differ"]
    denied = planned(Denied(cluster, "/configmaps/istio-canary"))
    assert ("not-readable", "get configmaps/istio-canary in istio-system") in [
        (one.rule, one.value) for one in denied.refusals
    ]


def test_callers_are_called_as_the_metrics_call_them(cluster: Cluster) -> None:
    """A Rollout's pods have a hash of their own; a caller under another name would be outside of what was declared."""
    proxied(cluster, "order-svc-7cd44-x", "default")
    pod = cluster.server.store.get(PODS, "staging", "order-svc-7cd44-x")
    owned_by = {"metadata": {"name": "order-svc-7cd44", "namespace": "staging"}, "spec": {}}
    uid = cluster.server.store.create(REPLICA_SETS, owned_by)["metadata"]["uid"]  # else the pod would be collected
    owner = {"kind": "ReplicaSet", "name": "order-svc-7cd44", "controller": True, "apiVersion": "apps/v1", "uid": uid}
    labels = {"app": "order-svc", "rollouts-pod-template-hash": "7cd44"}
    meta = {**pod["metadata"], "labels": labels, "generateName": "order-svc-7cd44-", "ownerReferences": [owner]}
    cluster.server.store.replace(PODS, "staging", "order-svc-7cd44-x", {**pod, "metadata": meta})
    asked = parse_experiment(written(more=", callers: {app: order-svc}"))
    plan = make_plan(asked, look(cluster.mesh, None, asked), STAGING, run="abcdefgh", now=0.0)
    assert [(one.namespace, one.workload) for one in plan.injections[0].callers] == [("staging", "order-svc")]


def test_a_mesh_with_another_domain_is_refused(cluster: Cluster) -> None:
    proxied(cluster, "order-svc", "default", "corp.example")
    assert [(one.rule, one.value) for one in planned(cluster.mesh).refusals] == [("cluster-domain", "corp.example")]


@pytest.mark.parametrize("text", ["a: [", "- a list"])
def test_a_configuration_that_can_not_be_read_is_an_error(cluster: Cluster, text: str) -> None:
    config(cluster, text)
    with pytest.raises(MeshError, match="ConfigMap istio-system/istio, key mesh"):
        cluster.mesh.mesh_config("istio-system", "default")


GROUP = {"preferredVersion": {"version": "v1beta1"}}
ROUTE = {"metadata": {"name": "r", "namespace": "staging"}, "spec": {"parentRefs": [{"kind": "Service", "group": "", "name": "inventory-svc"}]}}  # fmt: skip


@pytest.mark.parametrize("served", ["httproutes", "grpcroutes", None])
def test_routes_of_the_gateway_api_are_listed_in_the_served_version(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, served: str | None
) -> None:
    """The lab serves none, so discovery and the list are answered for it; a group without this kind is no error."""
    api = cluster.mesh._api
    find, listed = api.find, api.list

    def list_(path: str, **more: Any) -> Any:
        if "gateway.networking.k8s.io" not in path:
            return listed(path, **more)
        assert path.startswith("/apis/gateway.networking.k8s.io/v1beta1/")
        if served is None or not path.endswith(served):
            raise MeshError("404", status=404)
        return [ROUTE]

    monkeypatch.setattr(api, "find", lambda path, **more: GROUP if path.endswith("k8s.io") else find(path, **more))
    monkeypatch.setattr(api, "list", list_)
    assert [one.rule for one in planned(cluster.mesh).refusals] == (["http-route"] if served else [])
