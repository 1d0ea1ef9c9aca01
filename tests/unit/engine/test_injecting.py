"""What a fault's writing and removing does where the answer alone does not tell; spoilt calls are in tests/survival."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.injecting import Injector, Overtaken, restore_all
from chaos.errors import MeshError
from chaos.faults.abort import Abort
from chaos.faults.fault import Fault
from chaos.faults.target import Target
from chaos.injection.patching import carries, carries_fault, put_in
from chaos.model.marks import labels_for, own_name
from chaos.model.plan import Change, Injection, Strategy
from chaos.safety.marks import is_made
from chaos.safety.sweep import sweep
from chaos.testing.clock import VirtualClock
from tests.support.api_server import fault

RUN = "abcdefgh"


class Failing:
    """A real API whose next calls of one kind fail, before or after their effect."""

    def __init__(self, mesh: KubernetesMesh) -> None:
        self._mesh = mesh
        self.plan: dict[str, list[tuple[str, int | None]]] = {}
        self.meanwhile: Iterator[Any] = iter(())

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._mesh, name)

        def call(*arguments: Any, **options: Any) -> Any:
            planned = self.plan.get(name)
            when, status = planned.pop(0) if planned else ("", 0)
            if when == "before":
                raise MeshError(f"{name}: {status}", status=status)
            if when == "meanwhile":
                next(self.meanwhile)
            answer = real(*arguments, **options)
            if when == "after":
                raise MeshError(f"{name}: {status}", status=status)
            return answer

        return call


@pytest.fixture
def api(mesh: KubernetesMesh) -> Failing:
    return Failing(mesh)


TARGET = Target("staging", "inventory-svc")
FAULT = Fault(abort=Abort(percentage=50, http_status=503))


def created() -> Injection:
    after = fault(RUN)
    return Injection(
        target=TARGET, fault=FAULT, strategy=Strategy.CREATE, namespace="staging", name=after["metadata"]["name"],
        before=None, after=after, route_name=own_name(RUN, "inventory-svc"),
    )  # fmt: skip


def patched(mesh: KubernetesMesh) -> Injection:
    theirs = fault("x")
    theirs["metadata"] = {"name": "theirs", "namespace": "staging"}
    theirs["spec"]["http"] = [{"route": [{"destination": {"host": "inventory-svc"}}]}]
    before = mesh.virtual_service("staging", "theirs") or mesh.create_virtual_service(theirs)[0]
    after = put_in(
        before, FAULT, run=RUN, name=own_name(RUN, "inventory-svc"), scope=[{}],
        labels=labels_for(run=RUN, experiment="e", owner=None), annotations={},
    )  # fmt: skip
    return Injection(
        target=TARGET, fault=FAULT, strategy=Strategy.PATCH, namespace="staging", name="theirs", before=before, after=after,
        route_name=own_name(RUN, "inventory-svc"),
    )  # fmt: skip


def injector(api: Any, injection: Injection) -> Injector:
    return Injector(api, injection, RUN, VirtualClock())


def restored(*ones: Injector, said: Callable[[str], None] = lambda text: None, deadline: float = 60) -> str:
    return restore_all(ones, clock=VirtualClock(), said=said, deadline=deadline)


def held(mesh: KubernetesMesh) -> Sequence[Any]:
    return [vs for vs in mesh.virtual_services("staging") if carries(vs, RUN)]


def faulted(mesh: KubernetesMesh) -> Sequence[Any]:
    return [vs for vs in held(mesh) if carries_fault(vs, RUN) or is_made(vs, RUN)]


@pytest.mark.parametrize("status", [None, 200, 500, 504])
@pytest.mark.parametrize("strategy", ["create", "patch"])
def test_a_write_whose_answer_was_lost_is_found_by_reading(
    api: Failing, mesh: KubernetesMesh, strategy: str, status: int | None
) -> None:
    one = injector(api, created() if strategy == "create" else patched(mesh))
    api.plan = {"create_virtual_service": [("after", status)], "replace_virtual_service": [("after", status)]}
    assert carries(one.write(owner=None), RUN)
    assert not one.unaccounted
    assert len(held(mesh)) == 1


@pytest.mark.parametrize("strategy", ["create", "patch"])
def test_a_write_that_never_happened_is_tried_again_and_then_left_to_the_watchdog(
    api: Failing, mesh: KubernetesMesh, strategy: str
) -> None:
    one = injector(api, created() if strategy == "create" else patched(mesh))
    api.plan = {name: [("before", 503)] * 3 for name in ("create_virtual_service", "replace_virtual_service")}
    with pytest.raises(MeshError):
        one.write(owner=None)
    assert one.attempted, "nobody can be sure: the clean-up has to look"
    assert one.unaccounted, "and somebody has to look again later"
    assert restored(one) == ""
    api.plan = {name: [("before", 503)] * 2 for name in ("create_virtual_service", "replace_virtual_service")}
    again = injector(api, created() if strategy == "create" else patched(mesh))
    assert carries(again.write(owner=None), RUN), "the third attempt gets through"


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refused_write_needs_no_clean_up(api: Failing, status: int) -> None:
    one = injector(api, created())
    api.plan = {"create_virtual_service": [("before", status)]}
    with pytest.raises(MeshError):
        one.write(owner=None)
    assert not one.attempted


def test_an_object_that_changed_since_it_was_checked_is_not_written(mesh: KubernetesMesh) -> None:
    injection = patched(mesh)
    live = dict(mesh.virtual_service("staging", "theirs") or {})
    mesh.replace_virtual_service({**live, "metadata": {**live["metadata"], "labels": {"by": "others"}}})
    one = injector(mesh, injection)
    with pytest.raises(Overtaken):
        one.write(owner=None)
    assert not one.attempted
    assert held(mesh) == []


def test_the_owner_is_the_lease_of_what_is_created_and_never_of_what_is_theirs(mesh: KubernetesMesh) -> None:
    lease = {"metadata": {"name": "kept", "uid": "u"}}
    written = injector(mesh, patched(mesh)).write(owner=lease)
    assert "ownerReferences" not in written["metadata"]
    seen: list[Any] = []

    class Spy:
        def create_virtual_service(self, obj: Any, *, dry_run: bool = False) -> Any:
            seen.append(obj)
            return obj, ()

    injector(Spy(), created()).write(owner=lease)
    assert seen[0]["metadata"]["ownerReferences"] == [
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "kept", "uid": "u"}
    ]


@pytest.mark.parametrize("strategy", ["create", "patch"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_removing_goes_on_until_it_is_gone(api: Failing, mesh: KubernetesMesh, strategy: str, when: str) -> None:
    one = injector(api, created() if strategy == "create" else patched(mesh))
    one.write(owner=None)
    plan = [(when, status) for status in (None, 500, 429)]
    api.plan = {
        "delete_virtual_service": list(plan),
        "replace_virtual_service": list(plan),
        "virtual_service": [("before", None)],
    }
    said: list[str] = []
    assert restored(one, said=said.append) == ""
    assert faulted(mesh) == []
    assert said
    api.plan = {}
    assert one.give_back(said=print) == ""
    assert held(mesh) == []
    if strategy == "patch":
        assert one.exact in (True, None)


def test_what_others_write_meanwhile_stays(api: Failing, mesh: KubernetesMesh) -> None:
    one = injector(api, patched(mesh))
    one.write(owner=None)

    def others() -> Iterator[None]:
        for weight in itertools.count(1):
            live = dict(mesh.virtual_service("staging", "theirs") or {})
            route = {"route": [{"destination": {"host": "inventory-svc"}, "weight": weight}]}
            mesh.replace_virtual_service(
                {**live, "spec": {**live["spec"], "http": [*live["spec"]["http"][:-1], route]}}
            )
            yield

    api.meanwhile = others()
    api.plan = {"replace_virtual_service": [("meanwhile", 0)] * 20}
    said: list[str] = []
    assert restored(one, said=said.append) == ""
    left = mesh.virtual_service("staging", "theirs")
    assert left is not None
    assert [route["route"][0]["weight"] for route in left["spec"]["http"]] == [20]
    assert not carries_fault(left, RUN)
    assert one.exact is False
    assert len(said) == 2, "after eight conflicts in a row it begins anew"


def test_removing_outlasts_errors_that_nobody_expected(
    api: Failing, mesh: KubernetesMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = injector(api, created())
    one.write(owner=None)
    broken = iter([ValueError("not JSON"), KeyError("metadata")])

    def delete(*arguments: Any, **options: Any) -> bool:
        error = next(broken, None)
        if error is not None:
            raise error
        return mesh.delete_virtual_service(*arguments, **options)

    monkeypatch.setattr(api, "delete_virtual_service", delete, raising=False)
    said: list[str] = []
    assert restored(one, said=said.append) == ""
    assert said == ["ValueError: not JSON", "KeyError: 'metadata'"]
    assert held(mesh) == []


def test_removing_gives_up_at_its_deadline_and_says_why(api: Failing, mesh: KubernetesMesh) -> None:
    one = injector(api, created())
    one.write(owner=None)
    api.plan = {"delete_virtual_service": [("before", None)] * 100}
    assert restored(one, deadline=5) == "delete_virtual_service: None"
    assert held(mesh)
    assert one.residue() == [f"VirtualService staging/chaos-{RUN}-inventory-svc"]


def staged(mesh: KubernetesMesh, strategy: str) -> Injection:
    """With a second stage, in which all requests are hit."""
    first = created() if strategy == "create" else patched(mesh)
    name, spec = own_name(RUN, "inventory-svc", stage=2), copy.deepcopy(dict(first.after["spec"]))
    for route in (route for route in spec["http"] if route.get("name") == first.route_name):
        route["name"], route["fault"]["abort"]["percentage"] = name, {"value": 100}
    return first.model_copy(update={"changes": (Change(spec=spec, route_name=name),)})


@pytest.mark.parametrize("strategy", ["create", "patch"])
def test_a_stage_that_arrives_after_the_restore_brings_nothing_back(mesh: KubernetesMesh, strategy: str) -> None:
    injection = staged(mesh, strategy)
    one = injector(mesh, injection)
    late = {**one.write(owner=None), "spec": injection.changes[0].spec}
    assert restored(one) == ""
    for _ in range(2):
        with pytest.raises(MeshError) as caught:
            mesh.replace_virtual_service(late)
        assert caught.value.status in (404, 409)
        assert faulted(mesh) == []
        one.give_back(said=print)
    with pytest.raises(Overtaken):
        one.change(injection.changes[0])
    assert held(mesh) == []


@pytest.mark.parametrize("strategy", ["create", "patch"])
def test_a_stage_that_arrives_during_the_restore_is_restored_too(
    api: Failing, mesh: KubernetesMesh, strategy: str
) -> None:
    injection = staged(mesh, strategy)
    one = injector(api, injection)
    one.write(owner=None)

    def arrive() -> Iterator[None]:
        same = injector(mesh, injection)
        same.written = one.written
        same.change(injection.changes[0])
        yield

    api.meanwhile = arrive()
    call = "delete_virtual_service" if strategy == "create" else "replace_virtual_service"
    api.plan = {call: [("meanwhile", 0)]}
    assert restored(one) == ""
    assert faulted(mesh) == []
    one.give_back(said=print)
    assert held(mesh) == []


@pytest.mark.parametrize("strategy", ["create", "patch"])
def test_whatever_stage_it_is_in_anybody_takes_it_out(mesh: KubernetesMesh, strategy: str) -> None:
    injection = staged(mesh, strategy)
    one = injector(mesh, injection)
    one.write(owner=None)
    written = one.change(injection.changes[0])
    assert [route["name"] for route in written["spec"]["http"] if "name" in route] == [injection.changes[0].route_name]
    swept = sweep(mesh, namespaces=("staging",), run=RUN)
    assert [(one.removed, one.trouble) for one in swept] == [(True, "")]
    assert held(mesh) == []
