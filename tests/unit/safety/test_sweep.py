"""What has to go, and that nothing else goes."""

from __future__ import annotations

import threading
from typing import Any

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import MeshError
from chaos.safety import residue
from chaos.safety.active import active
from chaos.safety.lock import acquire
from chaos.safety.marks import experiment_of, expires, is_ours, micro_time, run_of, unix
from chaos.safety.sweep import decide, sweep
from tests.support.api_server import CONTEXT, ApiServer, fault
from tests.support.dead_runs import NOW, lease, leave


def condemned(*objects: dict[str, Any], **options: Any) -> dict[str, str]:
    return {one.run: one.why for one in decide(objects, now=NOW, **options)}


def test_a_live_run_is_left_alone() -> None:
    assert condemned(fault("r1"), lease("r1")) == {}
    assert condemned(lease("r1")) == {}, "a run in its baseline has no fault yet"
    assert condemned(fault("r1"), lease("r1", renewed=NOW - 29)) == {}


def test_what_nobody_renews_goes() -> None:
    assert condemned(fault("r1"), lease("r1", renewed=NOW - 42)) == {"r1": "its lease expired 12 s ago"}
    assert condemned(lease("r1", renewed=NOW - 31)) == {"r1": "its lease expired 1 s ago"}
    assert condemned(fault("r1")) == {"r1": "its run holds no lease"}
    assert condemned(fault("r1"), lease("r1", holder="")) == {"r1": "its lease is void"}
    assert condemned(fault("r1"), lease("r1", renewed=None)) == {"r1": "its lease is void"}


def test_a_lease_answers_for_its_own_run_and_namespace_only() -> None:
    assert condemned(fault("r1"), lease("r2")) == {"r1": "its run holds no lease"}
    assert condemned(fault("r1"), lease("r1", namespace="production")) == {"r1": "its run holds no lease"}


def test_past_its_own_expiry_even_a_renewed_fault_goes() -> None:
    late, early = fault("r1", expires="2020-01-01T00:00:00Z"), fault("r2", expires="2100-01-01T00:00:00Z")
    assert list(condemned(late, early, lease("r1"), lease("r2"))) == ["r1"]
    assert condemned(fault("r1", expires="whenever"), lease("r1")) == {}


def test_by_name_or_all() -> None:
    everything = fault("r1"), fault("r2"), lease("r1"), lease("r2")
    assert condemned(*everything, run="r1") == {"r1": "the run was named"}
    assert set(condemned(*everything, everything=True)) == {"r1", "r2"}


def test_what_is_not_ours_never_goes() -> None:
    foreign = fault("r1")
    foreign["metadata"]["labels"] = {"app": "x"}
    assert not is_ours(foreign)
    assert condemned(foreign, everything=True) == {}


def test_marks_are_read_back() -> None:
    one = fault("r1", expires="2027-01-15T08:00:00Z")
    assert (run_of(one), experiment_of(one), expires(one)) == ("r1", "orders", NOW)
    assert run_of({"metadata": {"name": "x"}}) == ""
    assert unix(micro_time(NOW + 0.25)) == NOW + 0.25
    assert unix(None) is unix("soon") is None


# --- on the lab's API server -------------------------------------------------------------------------------------------


def test_the_dead_go_and_the_living_stay(mesh: KubernetesMesh, server: ApiServer) -> None:
    leave(mesh, "dead", service="inventory-svc")
    held = acquire(mesh, namespace="staging", service="payment-svc", run="live", experiment="e", owner=None)
    mesh.create_virtual_service(fault("live", service="payment-svc"))
    users = fault("x")
    users["metadata"] = {"name": "users", "namespace": "staging"}
    mesh.create_virtual_service(users)

    would = sweep(mesh, namespaces=("staging",), dry_run=True)
    assert [str(one).partition(" (")[0] for one in would] == [
        "would remove Lease staging/chaos-inventory-svc",
        "would remove VirtualService staging/chaos-dead-inventory-svc",
    ]
    assert len(server.left()) == 5
    swept = sweep(mesh, namespaces=None)
    assert [str(one).partition(":")[0] for one in swept] == [
        "removed Lease staging/chaos-inventory-svc (run dead",
        "removed VirtualService staging/chaos-dead-inventory-svc (run dead",
    ]
    assert not any(one.trouble for one in swept)
    assert sweep(mesh, namespaces=("staging",)) == []
    assert sorted(server.left()) == ["chaos-live-payment-svc", "chaos-payment-svc", "users"]
    assert residue.find(mesh, ("staging",), "live") == [
        "VirtualService staging/chaos-live-payment-svc", "Lease staging/chaos-payment-svc",
    ]  # fmt: skip
    assert residue.find(mesh, ("staging",), "live", faults_only=True) == [
        "VirtualService staging/chaos-live-payment-svc"
    ]
    held.release()


def test_a_named_run_goes_although_it_lives(mesh: KubernetesMesh, server: ApiServer) -> None:
    held = acquire(mesh, namespace="staging", service="payment-svc", run="live", experiment="e", owner=None)
    mesh.create_virtual_service(fault("live", service="payment-svc"))
    assert sweep(mesh, namespaces=("staging",), run="live", dead_only=True) == []
    assert sweep(mesh, namespaces=("staging",), run="other") == []
    assert [one.removed for one in sweep(mesh, namespaces=("staging",), run="live")] == [True, True]
    assert server.left() == []
    held.release()


def test_a_renewal_at_the_last_moment_saves_the_run(mesh: KubernetesMesh, server: ApiServer) -> None:
    leave(mesh, "slow", service="inventory-svc")

    class Late:
        """Between the sweep's look and its first write, the run wakes up and renews."""

        def __getattr__(self, name: str) -> Any:
            return getattr(mesh, name)

        def injected(self, namespace: str | None = None, *, run: str | None = None) -> Any:
            found = mesh.injected(namespace, run=run)
            mine = mesh.lease("staging", "chaos-inventory-svc")
            assert mine is not None
            mesh.replace_lease({**mine, "spec": {**mine["spec"], "renewTime": micro_time(mesh.server_time())}})
            return found

    assert sweep(Late(), namespaces=("staging",)) == []
    assert len(server.left()) == 2


def test_sweeps_at_once_remove_each_thing_once(mesh: KubernetesMesh, server: ApiServer) -> None:
    for number in range(10):
        leave(mesh, f"dead{number}", service=f"svc{number}")
    results: list[Any] = []

    def work() -> None:
        results.extend(sweep(KubernetesMesh(str(server.kubeconfig), CONTEXT), namespaces=("staging",)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sweep(mesh, namespaces=("staging",))
    assert server.left() == []
    assert not [str(one) for one in results if one.trouble]


def test_one_that_cannot_go_does_not_keep_the_others(mesh: KubernetesMesh, server: ApiServer) -> None:
    leave(mesh, "a", service="inventory-svc")
    mesh.delete_lease("staging", "chaos-inventory-svc")  # takes the fault along: Kubernetes collects it
    mesh.create_virtual_service(fault("a"))
    leave(mesh, "b", service="payment-svc")

    class Stubborn:
        def __getattr__(self, name: str) -> Any:
            return getattr(mesh, name)

        def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
            if "inventory" in name:
                raise MeshError("403 forbidden", status=403)
            return mesh.delete_virtual_service(namespace, name, uid=uid)

    swept = sweep(Stubborn(), namespaces=("staging",))
    assert [(one.name, bool(one.trouble)) for one in swept] == [
        ("chaos-a-inventory-svc", True), ("chaos-payment-svc", False), ("chaos-b-payment-svc", False),
    ]  # fmt: skip
    assert str(swept[0]).startswith("could not remove VirtualService staging/chaos-a-inventory-svc")
    assert server.left() == ["chaos-a-inventory-svc"]
    assert sweep(mesh, namespaces=("staging",))[0].removed, "the next sweep gets it: its run holds no lease"
    assert server.left() == []


def test_a_sweep_costs_few_calls(mesh: KubernetesMesh, server: ApiServer) -> None:
    for number in range(10):
        leave(mesh, f"dead{number}", service=f"svc{number}")
    server.calls.clear()
    sweep(mesh, namespaces=None)
    assert server.left() == []
    assert len(server.calls) <= 2 + 2 * 20, "two lists, and at most two calls for each of our objects"


def test_active_faults(mesh: KubernetesMesh) -> None:
    leave(mesh, "dead", service="inventory-svc")
    held = acquire(mesh, namespace="staging", service="payment-svc", run="live", experiment="e", owner=None)
    mesh.create_virtual_service(fault("live", service="payment-svc", expires="2100-01-01T00:00:00Z"))
    dead, live = sorted(active(mesh, ("staging",)), key=lambda one: one.run)
    assert (dead.renewed, live.renewed) == (False, True)
    assert (live.experiment, live.owner, live.expires) == ("orders", "checkout", "2100-01-01T00:00:00Z")
    assert live.hosts == ("payment-svc.staging.svc.cluster.local",)
    assert 0 <= live.age < 10
    assert "NOBODY RENEWS IT" in str(dead)
    assert live.as_dict()["run"] == "live"
    assert active(mesh, ("production",)) == []
    held.release()


def test_of_a_named_run_the_route_is_enough(mesh: KubernetesMesh, server: ApiServer) -> None:
    """Somebody may remove every label and annotation; route names of people may begin like ours."""
    other: dict[str, Any] = fault("default")
    other["metadata"] = {"name": "other", "namespace": "staging"}
    mesh.create_virtual_service(other)
    theirs: dict[str, Any] = fault("research")
    theirs["metadata"] = {"name": "inventory", "namespace": "staging"}
    own = [{"route": theirs["spec"]["http"][0]["route"]}]
    theirs["spec"]["http"] += own
    mesh.create_virtual_service(theirs)
    assert sweep(mesh, namespaces=("staging",)) == []
    assert sweep(mesh, namespaces=("staging",), run="k3x9q2ab") == []
    assert sweep(mesh, namespaces=("staging",), run="default") == [], "no run has such an id"
    swept = sweep(mesh, namespaces=("staging",), run="research")
    assert [(one.part, one.removed, one.trouble) for one in swept] == [("fault", True, "")]
    live = mesh.virtual_service("staging", "inventory")
    assert live is not None
    assert live["spec"]["http"] == own
