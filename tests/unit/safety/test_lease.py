"""Taking, renewing, losing and giving back a lease, on the lab's API server."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import MeshError, Refused
from chaos.lab.api.resources import LEASES
from chaos.model.marks import OWNER_LABEL, RUN_LABEL
from chaos.safety import residue
from chaos.safety.lease import Held, is_live, lease_name, owner_reference, runs_out
from chaos.safety.lock import Locked, acquire
from tests.support.api_server import CONTEXT, ApiServer, fault
from tests.support.waiting import until


def take(mesh: Any, run: str, *, duration: float = 30, service: str = "inventory-svc") -> Held:
    return acquire(
        mesh, namespace="staging", service=service, run=run, experiment="orders", owner="checkout", duration=duration
    )


def stored(mesh: KubernetesMesh) -> Any:
    return mesh.lease("staging", lease_name("inventory-svc"))


def test_a_lease_is_taken_and_given_back(mesh: KubernetesMesh) -> None:
    held = take(mesh, "r1")
    found = stored(mesh)
    assert found["spec"]["holderIdentity"] == "r1"
    assert found["spec"]["leaseDurationSeconds"] == 30
    assert found["metadata"]["labels"][RUN_LABEL] == "r1"
    assert found["metadata"]["labels"][OWNER_LABEL] == "checkout"
    assert is_live(found, mesh.server_time())
    assert not is_live(found, mesh.server_time() + 31)
    assert held.lost == ""
    held.release()
    held.release()
    held.stop()
    assert stored(mesh) is None
    assert residue.find(mesh, ("staging",), "r1") == []


def test_a_second_run_is_refused_and_told_by_whom(mesh: KubernetesMesh) -> None:
    held = take(mesh, "r1")
    with pytest.raises(Locked, match="held by run r1") as caught:
        take(mesh, "r2")
    assert isinstance(caught.value, Refused)
    assert caught.value.holder == "r1"
    assert 0 <= caught.value.age < 5
    assert caught.value.until == runs_out(held.obj)
    take(mesh, "r3", service="payment-svc").release()
    held.release()
    take(mesh, "r2").release()


def test_the_same_run_finds_its_own(mesh: KubernetesMesh) -> None:
    held = take(mesh, "r1")
    again = take(mesh, "r1")
    assert again.obj["metadata"]["uid"] == held.obj["metadata"]["uid"]
    again.stop()
    held.release()


def test_a_lease_of_somebody_else_is_left_alone(mesh: KubernetesMesh) -> None:
    mesh.create_lease({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": lease_name("inventory-svc"), "namespace": "staging"}, "spec": {},
    })  # fmt: skip
    with pytest.raises(Locked, match="the harness did not write it"):
        take(mesh, "r1")


def test_it_is_renewed(mesh: KubernetesMesh) -> None:
    held = take(mesh, "r1", duration=3)
    first = stored(mesh)["spec"]["renewTime"]
    until(lambda: stored(mesh)["spec"]["renewTime"] > first)
    with pytest.raises(Locked):
        take(mesh, "r2")
    assert held.lost == ""
    held.release()


def test_a_dead_run_is_cleaned_up_and_its_lease_taken_over(mesh: KubernetesMesh) -> None:
    dead = take(mesh, "dead", duration=2)
    mesh.create_virtual_service(fault("dead", owner=owner_reference(dead.obj)))
    mesh.create_virtual_service(fault("dead", service="payment-svc"))
    dead.stop()
    with pytest.raises(Locked):
        take(mesh, "r2")
    until(lambda: not is_live(stored(mesh), mesh.server_time()))
    held = take(mesh, "r2")
    assert stored(mesh)["metadata"]["uid"] != dead.obj["metadata"]["uid"]
    assert mesh.virtual_services() == []
    dead.release()  # the dead wake up: what they give back is theirs alone
    assert stored(mesh)["spec"]["holderIdentity"] == "r2"
    held.release()


@pytest.mark.parametrize("what", ["removed", "taken", "swept"])
def test_a_lost_lease_is_told(mesh: KubernetesMesh, what: str) -> None:
    held = take(mesh, "r1", duration=1)
    if what == "removed":
        mesh.delete_lease("staging", lease_name("inventory-svc"))
    elif what == "taken":
        mesh.delete_lease("staging", lease_name("inventory-svc"))
        other = take(mesh, "r2")
    else:
        from chaos.safety.sweep import sweep

        sweep(mesh, namespaces=("staging",), run="r1")
    until(lambda: held.lost)
    assert {"removed": "removed", "taken": "run r2 took it", "swept": "removed"}[what] in held.lost
    held.release()
    if what == "taken":
        assert stored(mesh)["spec"]["holderIdentity"] == "r2"
        other.release()


def test_an_edit_by_somebody_does_not_lose_it(mesh: KubernetesMesh) -> None:
    held = take(mesh, "r1", duration=1)
    until(lambda: _annotate(mesh))
    first = stored(mesh)["spec"]["renewTime"]
    until(lambda: stored(mesh)["spec"]["renewTime"] > first)
    assert stored(mesh)["metadata"]["annotations"] == {"note": "hello"}
    assert held.lost == ""
    held.release()


def _annotate(mesh: KubernetesMesh) -> bool:
    found = stored(mesh)
    try:
        mesh.replace_lease({**found, "metadata": {**found["metadata"], "annotations": {"note": "hello"}}})
    except MeshError:
        return False  # it was renewed in between
    return True


def test_an_outage_shorter_than_the_lease_is_survived_a_longer_one_is_told(
    mesh: KubernetesMesh, server: ApiServer
) -> None:
    held = take(mesh, "r1", duration=2)
    server.stop()
    server.start()
    first = stored(mesh)["spec"]["renewTime"]
    until(lambda: stored(mesh)["spec"]["renewTime"] > first)
    assert held.lost == ""
    server.stop()
    until(lambda: held.lost, within=15)
    assert "could not be renewed for 2 s" in held.lost
    with pytest.raises(MeshError):
        held.release()
    server.start()
    held.release()
    assert stored(mesh) is None


class LostAnswers:
    """A mesh whose writes of leases happen, but whose answers are lost."""

    def __init__(self, mesh: KubernetesMesh, *calls: str, effect: bool = True) -> None:
        self._mesh, self._calls, self._effect = mesh, calls, effect

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._mesh, name)
        if name not in self._calls:
            return real

        def lossy(*args: Any, **kwargs: Any) -> Any:
            if self._effect:
                real(*args, **kwargs)
            raise MeshError("no answer", status=None)

        return lossy


def test_without_an_answer_reading_tells(mesh: KubernetesMesh) -> None:
    held = take(LostAnswers(mesh, "create_lease"), "r1")
    assert stored(mesh)["metadata"]["uid"] == held.obj["metadata"]["uid"]
    held.stop()
    Held(LostAnswers(mesh, "delete_lease"), held.obj).release()
    assert stored(mesh) is None
    with pytest.raises(MeshError):
        take(LostAnswers(mesh, "create_lease", effect=False), "r1")
    assert stored(mesh) is None


def test_renewals_whose_answers_are_lost_do_not_lose_the_lease(mesh: KubernetesMesh) -> None:
    held = take(mesh, "r1", duration=1)
    held.stop()
    lossy = LostAnswers(mesh, "replace_lease")
    kept = Held(lossy, held.obj, duration=1)
    until(lambda: stored(mesh)["spec"]["renewTime"] > held.obj["spec"]["renewTime"])
    lossy._calls = ()
    latest = stored(mesh)["spec"]["renewTime"]
    until(lambda: stored(mesh)["spec"]["renewTime"] > latest)
    assert kept.lost == ""
    kept.release()


def test_of_many_at_once_one_gets_it(mesh: KubernetesMesh, server: ApiServer) -> None:
    dead = take(mesh, "dead", duration=1)
    dead.stop()
    until(lambda: not is_live(stored(mesh), mesh.server_time() - 3))  # each competitor's clock may be a bit behind
    got: list[Held] = []
    refused: list[Exception] = []
    gate = threading.Barrier(6)

    def compete(run: str) -> None:
        own = KubernetesMesh(str(server.kubeconfig), CONTEXT)
        gate.wait()
        try:
            got.append(take(own, run))
        except (Locked, MeshError) as error:
            refused.append(error)

    threads = [threading.Thread(target=compete, args=(f"r{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1, refused
    assert stored(mesh)["metadata"]["uid"] == got[0].obj["metadata"]["uid"]
    assert server.objects(LEASES) == [lease_name("inventory-svc")]
    got[0].release()
