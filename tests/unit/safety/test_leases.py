"""The leases of several targets: all or none, in one order, and what of a run that has some of them left."""

from __future__ import annotations

import pytest

from chaos.faults.target import Target
from chaos.safety.active import active
from chaos.safety.leases import Leases
from chaos.safety.lock import Locked
from chaos.safety.marks import micro_time
from chaos.safety.watchdog_process import Deeds, clean
from chaos.testing.clock import VirtualClock
from chaos.testing.mesh import MemoryMesh
from tests.support.api_server import fault, lease
from tests.support.disturbed import fail

STOCK, PAY = Target("staging", "inventory-svc"), Target("staging", "payment-svc")


@pytest.fixture
def mesh() -> MemoryMesh:
    return MemoryMesh(VirtualClock())


def leases(mesh: MemoryMesh, run: str, *targets: Target) -> Leases:
    return Leases(mesh, targets, run=run, experiment="e", owner=None)


def holders(mesh: MemoryMesh) -> dict[str, str]:
    return {one["metadata"]["name"]: one["spec"]["holderIdentity"] for one in mesh.objects("Lease")}


def test_all_are_taken_in_the_order_of_their_names_and_given_back(mesh: MemoryMesh) -> None:
    one = leases(mesh, "aaaaaaaa", PAY, STOCK)
    assert not one
    one.take()
    assert one
    versions = [int(found["metadata"]["resourceVersion"]) for found in mesh.objects("Lease")]
    assert holders(mesh) == {"chaos-inventory-svc": "aaaaaaaa", "chaos-payment-svc": "aaaaaaaa"}
    assert versions == sorted(versions), "the inventory's first, whatever order was declared"
    assert one.of(PAY)["metadata"]["name"] == "chaos-payment-svc"
    assert (one.lost, one.check()) == ("", "")
    mesh.remove("Lease", "staging", "chaos-payment-svc")
    assert one.check() == one.lost == "the lease of staging/payment-svc was lost: it was removed"
    one.release()
    one.release()
    assert not one
    assert holders(mesh) == {}


@pytest.mark.parametrize("held", [STOCK, PAY])
def test_who_does_not_get_all_has_none(mesh: MemoryMesh, held: Target) -> None:
    other, one = leases(mesh, "hgfedcba", held), leases(mesh, "aaaaaaaa", STOCK, PAY)
    other.take()
    with pytest.raises(Locked, match="held by run hgfedcba"):
        one.take()
    assert not one
    assert set(holders(mesh).values()) == {"hgfedcba"}
    other.release()
    one.take()
    assert len(holders(mesh)) == 2
    one.release()


def left(mesh: MemoryMesh, run: str, service: str, *, ago: float) -> None:
    """A lease that was renewed some seconds ago, and its fault."""
    made = lease(run, f"chaos-{service}")
    made["spec"]["renewTime"] = micro_time(mesh.server_time() - ago)
    mesh.put(made)
    mesh.put(fault(run, service=service))


def test_a_run_lives_as_long_as_one_of_its_leases_and_what_a_dead_one_left_goes_together(mesh: MemoryMesh) -> None:
    left(mesh, "dddddddd", "inventory-svc", ago=40)
    left(mesh, "dddddddd", "payment-svc", ago=25)
    with pytest.raises(
        Locked, match=r"held by run dddddddd: its lease .* has run out, but it still renews another one"
    ):
        leases(mesh, "aaaaaaaa", STOCK).take()
    assert [one.renewed for one in active(mesh, ("staging",))] == [True, True]
    assert len(mesh.virtual_services()) == 2, "nothing of a run that may live is touched"
    left(mesh, "dddddddd", "payment-svc", ago=35)
    one = leases(mesh, "aaaaaaaa", STOCK)
    one.take()
    assert holders(mesh) == {"chaos-inventory-svc": "aaaaaaaa"}
    assert mesh.virtual_services() == [], "the fault at the other target went too"
    one.release()


def test_the_watchdog_takes_out_every_fault_that_it_can(mesh: MemoryMesh) -> None:
    for service in ("inventory-svc", "payment-svc"):
        left(mesh, "dddddddd", service, ago=1)
    fail(mesh, "delete_virtual_service", for_name="chaos-dddddddd-inventory-svc", status=500)
    deeds = Deeds(run="dddddddd", pid=0)
    clean(mesh, ("staging",), deeds, patience=0.0, pause=lambda seconds: None)
    assert [vs["metadata"]["name"] for vs in mesh.virtual_services()] == ["chaos-dddddddd-inventory-svc"]
    assert (deeds.clean, deeds.attempts, deeds.troubles) == (False, 1, ["no answer"])
    assert len(holders(mesh)) == 2, "the leases tell that something is left"


def test_the_watchdog_looks_into_every_namespace_that_it_can(mesh: MemoryMesh) -> None:
    left(mesh, "dddddddd", "payment-svc", ago=1)
    real = mesh.injected

    def denied(namespace: str | None = None, *, run: str | None = None) -> object:
        if namespace == "elsewhere":
            raise PermissionError("denied")
        return real(namespace, run=run)

    mesh.injected = denied  # type: ignore[method-assign, assignment]
    deeds = Deeds(run="dddddddd", pid=0)
    clean(mesh, ("elsewhere", "staging"), deeds, patience=0.0, pause=lambda seconds: None)
    assert mesh.virtual_services() == []
    assert deeds.clean is False
