"""Writing and removing the object while the API misbehaves: no answer, an error after the effect, an error before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chaos.engine.injecting import Injector
from chaos.errors import MeshError
from chaos.model.plan import Injection, Strategy

INJECTION = Injection(
    strategy=Strategy.CREATE,
    namespace="staging",
    name="chaos-r1-x",
    before=None,
    after={"metadata": {"name": "chaos-r1-x", "namespace": "staging"}, "spec": {}},
    route_names=("chaos-r1",),
)


class StepClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class FaultyApi:
    """One namespace of VirtualServices, whose next answers can be made to fail before or after their effect."""

    def __init__(self, *plan: tuple[str, int | None]) -> None:
        self.plan = list(plan)
        self.objects: dict[str, dict[str, Any]] = {}
        self.creates = 0

    def _fails(self, when: str) -> None:
        if self.plan and self.plan[0][0] == when:
            status = self.plan.pop(0)[1]
            raise MeshError(f"the API answered {status}", status=status)

    def create_virtual_service(self, obj: Any, *, dry_run: bool = False) -> tuple[Any, Sequence[str]]:
        self._fails("before")
        name = obj["metadata"]["name"]
        if name in self.objects:
            raise MeshError("already exists", status=409)
        self.creates += 1
        self.objects[name] = dict(obj)
        self._fails("after")
        return self.objects[name], ()

    def virtual_services(self, namespace: str | None = None) -> Sequence[Any]:
        self._fails("read")
        return list(self.objects.values())

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        self._fails("before-delete")
        gone = self.objects.pop(name, None) is not None
        self._fails("after-delete")
        return gone


def injector(api: FaultyApi) -> Injector:
    return Injector(api, INJECTION, StepClock())  # type: ignore[arg-type]


def test_a_write_whose_answer_was_lost_is_found_by_reading() -> None:
    for status in (None, 500, 504):
        api = FaultyApi(("after", status))
        one = injector(api)
        assert one.write(owner=None)["metadata"]["name"] == "chaos-r1-x"
        assert api.creates == 1


@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_write_that_never_happened_is_an_error_and_still_cleaned_up(status: int | None) -> None:
    one = injector(FaultyApi(("before", status)))
    with pytest.raises(MeshError):
        one.write(owner=None)
    assert one.attempted, "nobody can be sure: the clean-up has to look"
    assert one.remove(said=lambda text: None) is None


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refused_write_needs_no_clean_up(status: int) -> None:
    one = injector(FaultyApi(("before", status)))
    with pytest.raises(MeshError):
        one.write(owner=None)
    assert not one.attempted


def test_the_owner_is_the_lease() -> None:
    api = FaultyApi()
    injector(api).write(owner={"metadata": {"name": "l", "uid": "u"}})
    assert api.objects["chaos-r1-x"]["metadata"]["ownerReferences"] == [
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "l", "uid": "u"}
    ]
    assert "ownerReferences" not in INJECTION.after["metadata"]


@pytest.mark.parametrize("trouble", ["before-delete", "after-delete", "read"])
def test_removing_goes_on_until_it_is_gone(trouble: str) -> None:
    api = FaultyApi(*[(trouble, status) for status in (None, 500, 429, 409)])
    api.objects["chaos-r1-x"] = {"metadata": {"name": "chaos-r1-x"}}
    said: list[str] = []
    assert injector(api).remove(said=said.append) is None
    assert api.objects == {}
    assert len(said) == 4


def test_removing_gives_up_at_its_deadline_and_says_why() -> None:
    api = FaultyApi(*[("before-delete", None)] * 100)
    api.objects["chaos-r1-x"] = {"metadata": {"name": "chaos-r1-x"}}
    assert injector(api).remove(said=lambda text: None, deadline=5) == "the API answered None"
    assert api.objects
