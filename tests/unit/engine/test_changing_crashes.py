"""Whoever changes Istio's configuration for a while dies before, at or after each write; all is put back all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chaos import Harness
from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.model.marks import RUN_LABEL
from chaos.model.settings import Settings
from chaos.ports import Object
from chaos.safety.lease import LEASE_SECONDS, Held
from chaos.safety.sweep import sweep
from chaos.safety.watchdog_process import Deeds, clean
from chaos.testing.mesh import MemoryMesh
from chaos.testing.shop import Shop
from tests.unit.engine.changes import POLICY, ROUTES, SLOWER, Dead, Mortal

OTHER: dict[str, Any] = {
    "kind": "AuthorizationPolicy", "metadata": {"name": "allow", "namespace": "staging"}, "spec": {"action": "ALLOW"}
}  # fmt: skip


@pytest.fixture(autouse=True)
def renewals_die_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a process that died would live on here."""
    monkeypatch.setattr(Held, "_keep", lambda self: None)


def state(mesh: MemoryMesh) -> str:
    """What people wrote, without what changes with every write."""

    def plain(obj: Object) -> object:
        meta = {key: obj["metadata"].get(key) for key in ("name", "labels", "annotations", "ownerReferences")}
        return [obj["kind"], meta, obj["spec"]]

    kinds = ("VirtualService", "AuthorizationPolicy", "Lease")
    return json.dumps([plain(obj) for kind in kinds for obj in mesh.objects(kind)])


def die(number: int, how: str) -> tuple[Shop, Mortal, str]:
    """A block that changes, makes and removes something, until its death."""
    shop = Shop()
    shop.mesh.put(ROUTES)
    shop.mesh.put(OTHER)
    before = state(shop.mesh)
    mortal = Mortal(shop.mesh, number, how)
    place = Place.of(mortal, shop.metrics, Settings(namespaces=("staging",), changes=("staging",)), entry="http://shop")
    harness = Harness(place, watchdog=lambda _watched, _folder: NoWatch(), clock=shop.clock, listeners=())
    with suppress(Dead), harness.changed(SLOWER, POLICY, absent=[OTHER]):
        pass
    return shop, mortal, before


def by_sweep(shop: Shop, run: str) -> None:
    shop.clock.sleep(LEASE_SECONDS + 1)
    assert not any(swept.trouble for swept in sweep(shop.mesh, namespaces=("staging",)))


def by_watchdog(shop: Shop, run: str) -> None:
    deeds = Deeds(run=run, pid=1)
    clean(shop.mesh, ("staging",), deeds, patience=60, pause=lambda _: None)
    assert (deeds.clean, deeds.troubles) == (True, [])


def undisturbed() -> int:
    _, mortal, _ = die(0, "never")
    return mortal.writes


@pytest.mark.parametrize("cleaner", [by_sweep, by_watchdog])
@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_all_is_put_back_wherever_it_dies(cleaner: Callable[[Shop, str], None], how: str) -> None:
    number = undisturbed()
    assert number >= 12, "three leases, and each object there and back"
    for at in range(1, number + 1):
        shop, mortal, before = die(at, how)
        assert mortal.dead
        runs = {lease["metadata"]["labels"][RUN_LABEL] for lease in shop.mesh.objects("Lease")}
        for run in runs:
            cleaner(shop, run)
        land(mortal, shop.mesh)
        for lease in shop.mesh.objects("Lease"):  # the write under way was that of a lease
            by_sweep(shop, lease["metadata"]["labels"][RUN_LABEL])
        assert state(shop.mesh) == before, f"{how} write {at}"


def land(mortal: Mortal, mesh: MemoryMesh) -> None:
    """The write that was under way arrives; Kubernetes removes an object whose owner is no more."""
    try:
        mortal.late()
    except Exception:  # noqa: BLE001 - the server refuses it, and there is nobody to tell
        return
    leases = {lease["metadata"]["uid"] for lease in mesh.objects("Lease")}
    for obj in mesh.objects("AuthorizationPolicy"):
        owners = [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]
        if owners and not leases.intersection(owners):
            mesh.remove("AuthorizationPolicy", "staging", obj["metadata"]["name"])


@pytest.mark.parametrize("how", ["before", "after"])
def test_who_cleans_up_may_die_too(how: str) -> None:
    """A sweep is killed at each of its writes; the next one ends it."""
    at = 0
    while True:
        at += 1
        shop, _, before = die(undisturbed() // 2, "after")
        shop.clock.sleep(LEASE_SECONDS + 1)
        second = Mortal(shop.mesh, at, how)
        with suppress(Dead):
            sweep(second, namespaces=("staging",))
        by_sweep(shop, "")
        assert state(shop.mesh) == before, f"{how} write {at} of the sweep"
        if not second.dead:
            break
    assert at > 5
