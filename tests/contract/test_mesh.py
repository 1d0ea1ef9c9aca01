"""What every ``Mesh`` has to do: the Kubernetes adapter on the lab's API server, and the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.clock import SystemClock
from chaos.errors import MeshError
from chaos.lab.api.resources import BY_KIND, EVENTS
from chaos.ports import Mesh
from chaos.safety.lease import owner_reference
from chaos.testing.mesh import MemoryMesh
from tests.support.api_server import CONTEXT, ApiServer, fault, lease
from tests.support.waiting import until

NAMESPACES: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "staging", "labels": {"env": "staging"}}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "production"}},
]


@dataclass
class Cluster:
    """A mesh, and what others do to it or see of it."""

    mesh: Mesh
    put: Callable[[dict[str, Any]], object]
    events: Callable[[], list[Any]]


def on_the_lab(folder: Path) -> Iterator[Cluster]:
    server = ApiServer(folder)

    def put(obj: dict[str, Any]) -> None:
        server.store.create(BY_KIND["", obj["kind"]], obj)

    mesh = KubernetesMesh(str(server.kubeconfig), CONTEXT)
    yield Cluster(mesh, put, lambda: list(server.store.list(EVENTS, "staging")))
    server.stop()


def in_memory(folder: Path) -> Iterator[Cluster]:
    mesh = MemoryMesh(SystemClock(), NAMESPACES)
    yield Cluster(mesh, mesh.put, lambda: list(mesh.objects("Event")))


@pytest.fixture(params=[on_the_lab, in_memory])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    yield from request.param(tmp_path)


@pytest.fixture
def mesh(cluster: Cluster) -> Mesh:
    return cluster.mesh


def test_a_cluster_is_known_by_the_uid_of_kube_system(mesh: Mesh) -> None:
    place = mesh.namespace("kube-system")
    assert place is not None
    identity = mesh.identity()
    assert (identity.uid, identity.kubernetes[:3]) == (place["metadata"]["uid"], "v1.")


def test_the_servers_clock_is_known(mesh: Mesh) -> None:
    assert mesh.server_time() == pytest.approx(SystemClock().now(), abs=3)


def test_namespaces_services_and_pods_are_plain_and_complete(cluster: Cluster, mesh: Mesh) -> None:
    assert {n["metadata"]["name"] for n in mesh.namespaces()} >= {"kube-system", "staging", "production"}
    assert mesh.namespace("nowhere") is None
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "a", "namespace": "staging"},
            "spec": {"ports": []},
        }
    )
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "staging"}})
    (service,), (pod,) = mesh.services("staging"), mesh.pods("staging")
    assert (service["kind"], service["apiVersion"], service["metadata"]["name"]) == ("Service", "v1", "a")
    assert (pod["kind"], pod["apiVersion"]) == ("Pod", "v1")
    assert mesh.services("production") == mesh.istio_objects("DestinationRule", "staging") == []
    assert (
        mesh.istio_objects("DestinationRule")
        == mesh.istio_objects("Sidecar")
        == mesh.istio_objects("ServiceEntry")
        == []
    )


def test_create_read_delete(mesh: Mesh) -> None:
    stored, warnings = mesh.create_virtual_service(fault("r1"))
    assert warnings == ()
    assert stored["metadata"]["uid"]
    assert stored["spec"] == fault("r1")["spec"]
    assert [o["metadata"]["uid"] for o in mesh.virtual_services("staging")] == [stored["metadata"]["uid"]]
    assert [o["kind"] for o in mesh.virtual_services()] == ["VirtualService"]
    assert mesh.virtual_services("production") == []
    assert mesh.delete_virtual_service("staging", "chaos-r1-inventory-svc") is True
    assert mesh.delete_virtual_service("staging", "chaos-r1-inventory-svc") is False
    assert mesh.virtual_services() == []


def test_a_second_one_of_a_name_is_a_conflict(mesh: Mesh) -> None:
    mesh.create_virtual_service(fault("r1"))
    with pytest.raises(MeshError) as caught:
        mesh.create_virtual_service(fault("r1"))
    assert caught.value.status == 409


def test_deleting_by_uid_spares_a_successor(mesh: Mesh) -> None:
    first, _ = mesh.create_virtual_service(fault("r1"))
    mesh.delete_virtual_service("staging", "chaos-r1-inventory-svc", uid=first["metadata"]["uid"])
    second, _ = mesh.create_virtual_service(fault("r1"))
    assert mesh.delete_virtual_service("staging", "chaos-r1-inventory-svc", uid=first["metadata"]["uid"]) is False
    assert [o["metadata"]["uid"] for o in mesh.virtual_services()] == [second["metadata"]["uid"]]


def test_a_lease_is_replaced_only_by_its_latest_version(mesh: Mesh) -> None:
    assert mesh.lease("staging", "chaos-inventory-svc") is None
    created = mesh.create_lease(lease("r1"))
    with pytest.raises(MeshError) as caught:
        mesh.create_lease(lease("r2"))
    assert caught.value.status == 409
    newer = mesh.replace_lease({**created, "spec": {**created["spec"], "leaseDurationSeconds": 31}})
    with pytest.raises(MeshError) as caught:
        mesh.replace_lease({**created, "spec": {**created["spec"], "leaseDurationSeconds": 32}})
    assert caught.value.status == 409
    assert mesh.lease("staging", "chaos-inventory-svc") == newer
    assert mesh.delete_lease("staging", "chaos-inventory-svc", uid="another") is False
    assert mesh.delete_lease("staging", "chaos-inventory-svc", uid=created["metadata"]["uid"]) is True
    assert mesh.delete_lease("staging", "chaos-inventory-svc") is False


def test_what_carries_our_labels_is_found(mesh: Mesh) -> None:
    foreign = fault("x")
    foreign["metadata"] = {"name": "theirs", "namespace": "staging"}
    mesh.create_virtual_service(foreign)
    mesh.create_virtual_service(fault("r1"))
    mesh.create_virtual_service(fault("r2", service="payment-svc"))
    mesh.create_lease(lease("r1"))
    names = [(o["kind"], o["metadata"]["labels"]["chaos-harness.dev/run"]) for o in mesh.injected("staging")]
    assert names == [("VirtualService", "r1"), ("VirtualService", "r2"), ("Lease", "r1")]
    assert [o["kind"] for o in mesh.injected(run="r1")] == ["VirtualService", "Lease"]
    assert mesh.injected("production") == []
    mesh.delete_virtual_service("staging", "theirs")


def test_an_owned_fault_goes_with_its_lease(mesh: Mesh) -> None:
    held = mesh.create_lease(lease("r1"))
    mesh.create_virtual_service(fault("r1", owner=owner_reference(held)))
    mesh.delete_lease("staging", "chaos-inventory-svc")
    assert mesh.virtual_services() == []


def test_an_event_names_the_object(cluster: Cluster, mesh: Mesh) -> None:
    stored, _ = mesh.create_virtual_service(fault("r1"))
    mesh.record_event(stored, reason="ChaosFaultStarted", message="run r1", warning=True)
    (event,) = cluster.events()
    assert event["involvedObject"]["uid"] == stored["metadata"]["uid"]
    assert (event["involvedObject"]["kind"], event["reason"], event["type"]) == (
        "VirtualService", "ChaosFaultStarted", "Warning",
    )  # fmt: skip


def test_a_dry_run_stores_nothing(mesh: Mesh) -> None:
    stored, _ = mesh.create_virtual_service(fault("r1"), dry_run=True)
    assert stored["metadata"]["uid"]
    assert mesh.virtual_services() == []
    created, _ = mesh.create_virtual_service(fault("r1"))
    changed = {**created, "spec": {**created["spec"], "exportTo": ["*"]}}
    assert mesh.replace_virtual_service(changed, dry_run=True)[0]["spec"]["exportTo"] == ["*"]
    assert mesh.virtual_services() == [created]


def test_a_virtual_service_is_replaced_only_by_its_latest_version(mesh: Mesh) -> None:
    created, _ = mesh.create_virtual_service(fault("r1"))
    newer, _ = mesh.replace_virtual_service({**created, "spec": {**created["spec"], "exportTo": ["*"]}})
    assert newer["metadata"]["uid"] == created["metadata"]["uid"]
    assert newer["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
    with pytest.raises(MeshError) as caught:
        mesh.replace_virtual_service({**created, "spec": {**created["spec"], "exportTo": ["production"]}})
    assert caught.value.status == 409
    assert mesh.virtual_service("staging", "chaos-r1-inventory-svc") == newer
    mesh.delete_virtual_service("staging", "chaos-r1-inventory-svc")
    with pytest.raises(MeshError) as caught:
        mesh.replace_virtual_service(newer)
    assert caught.value.status == 404


def test_a_write_that_changes_nothing_makes_no_version(mesh: Mesh) -> None:
    created, _ = mesh.create_virtual_service(fault("r1"))
    again, _ = mesh.replace_virtual_service(created)
    assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "DestinationRule", "Gateway", "PeerAuthentication"])
def test_objects_of_any_of_istios_kinds_are_written_and_read_alike(mesh: Mesh, kind: str) -> None:
    specs: dict[str, dict[str, Any]] = {
        "DestinationRule": {"host": "a"}, "Gateway": {"selector": {"a": "b"}, "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["a.example"]}]}
    }  # fmt: skip
    obj = {"kind": kind, "metadata": {"name": "a", "namespace": "staging"}, "spec": specs.get(kind, {})}
    assert mesh.istio_object(kind, "staging", "a") is None
    tried = mesh.create_istio_object(obj, manager="us", dry_run=True)
    assert (tried["spec"], mesh.istio_objects(kind)) == (obj["spec"], [])
    created = mesh.create_istio_object(obj, manager="us")
    with pytest.raises(MeshError) as caught:
        mesh.create_istio_object(obj, manager="us")
    assert caught.value.status == 409
    noted = {**created, "metadata": {**created["metadata"], "annotations": {"a": "b"}}}
    changed = mesh.replace_istio_object(noted, manager="us")
    assert mesh.istio_objects(kind, "staging") == [changed] == [mesh.istio_object(kind, "staging", "a")]
    for stale in (lambda: mesh.replace_istio_object(created, manager="us"), lambda: mesh.delete_istio_object(created)):
        with pytest.raises(MeshError) as caught:
            stale()
        assert caught.value.status == 409
    assert mesh.delete_istio_object(changed) is True
    assert mesh.delete_istio_object(changed) is False
    assert mesh.istio_objects(kind, "production") == []


def test_a_lease_is_deleted_only_as_it_was_seen(mesh: Mesh) -> None:
    created = mesh.create_lease(lease("r1"))
    newer = mesh.replace_lease({**created, "spec": {**created["spec"], "leaseDurationSeconds": 31}})
    old, new = (one["metadata"]["resourceVersion"] for one in (created, newer))
    with pytest.raises(MeshError) as caught:
        mesh.delete_lease("staging", "chaos-inventory-svc", version=old)
    assert caught.value.status == 409
    assert mesh.delete_lease("staging", "chaos-inventory-svc", version=new) is True


def test_what_was_given_out_is_nobodys_to_change(mesh: Mesh) -> None:
    created, _ = mesh.create_virtual_service(fault("r1"))
    dict(created)["spec"]["hosts"] = ["elsewhere"]
    assert mesh.virtual_services()[0]["spec"] == fault("r1")["spec"]


def test_an_annotation_of_a_namespace_comes_and_goes(mesh: Mesh) -> None:
    def annotations() -> dict[str, str]:
        found = mesh.namespace("staging")
        assert found is not None
        return dict(found["metadata"].get("annotations") or {})

    mesh.annotate_namespace("staging", "chaos-harness.dev/frozen", "release")
    assert annotations() == {"chaos-harness.dev/frozen": "release"}
    mesh.annotate_namespace("staging", "chaos-harness.dev/frozen", None)
    assert annotations() == {}
    with pytest.raises(MeshError) as caught:
        mesh.annotate_namespace("nowhere", "a", "b")
    assert caught.value.status == 404


def test_a_proxy_that_can_not_be_asked_tells_nothing(mesh: Mesh) -> None:
    assert mesh.routes_of_proxy("production", "nowhere") is None
    assert mesh.stats_of_proxy("production", "nowhere") is None


def test_what_plans_read_of_all_namespaces_is_what_was_written_there(mesh: Mesh) -> None:
    assert not [*mesh.http_routes(), *mesh.grpc_routes()]
    specs: dict[str, dict[str, Any]] = {
        "Sidecar": {"egress": [{"hosts": ["./*"]}]},
        "ServiceEntry": {"hosts": ["pay.example"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.9"}]},
        "DestinationRule": {"host": "inventory-svc"},
    }  # fmt: skip
    for kind, spec in specs.items():
        assert not mesh.istio_objects(kind)
        for namespace in ("production", "staging"):
            obj = {"kind": kind, "metadata": {"name": "a", "namespace": namespace}, "spec": spec}
            mesh.create_istio_object(obj, manager="us")
        assert [(one["kind"], one["metadata"]["namespace"], one["spec"]) for one in mesh.istio_objects(kind)] == [
            (kind, namespace, spec) for namespace in ("production", "staging")
        ]
        (only,) = mesh.istio_objects(kind, "staging")
        assert only["metadata"]["namespace"] == "staging"


def test_a_control_plane_that_nobody_configured_has_istios_defaults(mesh: Mesh) -> None:
    assert mesh.mesh_config("istio-system", "default") is None


def test_what_the_identity_may_do_in_staging_is_known(mesh: Mesh) -> None:
    for resource, group in (("virtualservices", "networking.istio.io"), ("leases", "coordination.k8s.io")):
        assert mesh.may("create", resource, group=group, namespace="staging") is True


def test_virtual_services_that_are_followed_are_heard_of(mesh: Mesh) -> None:
    first, _ = mesh.create_virtual_service(fault("aaaaaaaa"))
    followed = mesh.follow_virtual_services()
    assert [vs["metadata"]["uid"] for vs in followed.objects()] == [first["metadata"]["uid"]]
    before = followed.changes
    second, _ = mesh.create_virtual_service(fault("bbbbbbbb", service="order-svc"))
    until(lambda: len(followed.objects()) == 2, "the creation is heard")
    assert followed.changes > before
    mesh.replace_virtual_service({**second, "spec": {**second["spec"], "exportTo": ["*"]}})
    until(lambda: ["*"] in [vs["spec"]["exportTo"] for vs in followed.objects()], "the change is heard")
    mesh.delete_virtual_service("staging", first["metadata"]["name"])
    until(lambda: [vs["metadata"]["uid"] for vs in followed.objects()] == [second["metadata"]["uid"]], "the deletion")
    followed.stop()
    followed.stop()
