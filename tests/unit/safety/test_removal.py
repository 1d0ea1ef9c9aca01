"""The fields of somebody's object are theirs again after a fault was in it, as their own next apply shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import MeshError
from chaos.faults.abort import Abort
from chaos.faults.fault import Fault
from chaos.injection.ownership import owners_of
from chaos.injection.patching import carries, put_in
from chaos.model.marks import FIELD_MANAGER, RUN_LABEL, UNDO, labels_for, own_name
from chaos.ports import Object
from chaos.safety import residue
from chaos.safety.active import active
from chaos.safety.removal import CONFLICTS, give_back, restore
from chaos.safety.sweep import sweep
from chaos.safety.watchdog_process import Deeds, clean
from tests.support.owners import same_owners

RUN, NAME = "abcdefgh", "theirs"
PATH = f"/apis/networking.istio.io/v1/namespaces/staging/virtualservices/{NAME}"


class Team:
    """Applies its VirtualService server-side."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def apply(self, *, version: str = "v1", manager: str = "team", force: bool = False, **route: Any) -> httpx.Response:
        obj = {
            "apiVersion": f"networking.istio.io/{version}", "kind": "VirtualService", "metadata": {"name": NAME},
            "spec": {"hosts": ["x"], "exportTo": ["."], "http": [{"route": [{"destination": {"host": "x"}}], **route}]},
        }  # fmt: skip
        return self._client.patch(
            PATH.replace("/v1/", f"/{version}/"), params={"fieldManager": manager, "force": str(force).lower()},
            content=json.dumps(obj), headers={"content-type": "application/apply-patch+yaml"},
        )  # fmt: skip

    def merge(self, manager: str, patch: dict[str, Any]) -> None:
        answer = self._client.patch(
            PATH, params={"fieldManager": manager}, content=json.dumps(patch),
            headers={"content-type": "application/merge-patch+json"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text


@pytest.fixture
def team(admin: httpx.Client) -> Team:
    made = Team(admin)
    assert made.apply().status_code == 201
    return made


def live(mesh: KubernetesMesh) -> dict[str, Any]:
    return dict(mesh.virtual_service("staging", NAME) or {})


def inject(mesh: KubernetesMesh) -> Any:
    """Puts a fault in; the owners of before."""
    before = live(mesh)
    labels = labels_for(run=RUN, experiment="e", owner=None)
    fault = Fault(abort=Abort(percentage=50, http_status=503))
    mesh.replace_virtual_service(
        put_in(before, fault, run=RUN, name=own_name(RUN, "inventory-svc"), scope=[{}], labels=labels, annotations={})
    )
    return owners_of(before)


def restored(mesh: Any) -> str:
    assert restore(mesh, live(mesh), run=RUN)
    return give_back(mesh, "staging", NAME, run=RUN)


def test_after_it_the_owners_are_those_of_before_and_their_next_apply_is_no_conflict(
    mesh: KubernetesMesh, team: Team
) -> None:
    before = inject(mesh)
    assert team.apply(timeout="7s").status_code == 409, "while the fault is in, nobody takes it out by mistake"
    assert restored(mesh) == ""
    assert owners_of(live(mesh)) == before
    assert not carries(live(mesh), RUN)
    assert team.apply(timeout="7s").status_code == 200


def test_taking_the_fault_out_alone_would_be_a_conflict_for_them(mesh: KubernetesMesh, team: Team) -> None:
    inject(mesh)
    assert restore(mesh, live(mesh), run=RUN)
    assert "fault" not in json.dumps(live(mesh)["spec"])
    refused = team.apply(timeout="7s")
    assert refused.status_code == 409
    assert FIELD_MANAGER in refused.json()["message"]


def test_whoever_comes_after_a_crash_between_the_two_writes_finds_what_is_left(
    mesh: KubernetesMesh, team: Team
) -> None:
    before = inject(mesh)
    restore(mesh, live(mesh), run=RUN)
    told = f"the field ownership of VirtualService staging/{NAME}"
    assert residue.find(mesh, ("staging",), RUN) == [told]
    assert active(mesh, ("staging",)) == [], "no request is hit any more"
    deeds = Deeds(run=RUN, pid=0)
    clean(mesh, ("staging",), deeds, patience=60, pause=lambda seconds: None)
    assert deeds.clean
    assert deeds.removed[0].startswith(told)
    assert same_owners(owners_of(live(mesh)), before)
    assert team.apply(timeout="7s").status_code == 200


def test_a_fault_whose_marks_were_taken_off_is_known_by_its_routes(mesh: KubernetesMesh, team: Team) -> None:
    """Else a sweep would only give the fields back, and with that take away the last trace of the fault."""
    inject(mesh)
    found = live(mesh)
    notes, labels = found["metadata"]["annotations"], found["metadata"]["labels"]
    team.merge("somebody", {"metadata": {"annotations": dict.fromkeys(notes), "labels": dict.fromkeys(labels)}})
    assert [fault.run for fault in active(mesh, ("staging",))] == [RUN]
    (swept,) = sweep(mesh, namespaces=("staging",))
    assert str(swept).startswith(f"restored VirtualService staging/{NAME} (run {RUN}")
    assert "fault" not in json.dumps(live(mesh)["spec"])
    assert team.apply(timeout="7s").status_code == 200


class Meanwhile(KubernetesMesh):
    """The API, where something happens right before the writes of an object."""

    def __init__(self, mesh: KubernetesMesh, *happens: Callable[[Any], Any]) -> None:
        vars(self).update(vars(mesh))
        self._happens = list(happens)

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        changed = self._happens.pop(0)(obj) if self._happens else None
        return super().replace_virtual_service(changed or obj, dry_run=dry_run)


def test_what_somebody_writes_between_the_two_writes_is_theirs(mesh: KubernetesMesh, team: Team) -> None:
    before = inject(mesh)
    restore(mesh, live(mesh), run=RUN)
    busy = Meanwhile(mesh, lambda obj: team.merge("third", {"metadata": {"labels": {"z": "1"}}}))
    assert give_back(busy, "staging", NAME, run=RUN) == ""
    third = [one for one in owners_of(live(mesh)) if one["manager"] == "third"]
    assert same_owners(owners_of(live(mesh)), [*before, *third])
    assert live(mesh)["metadata"]["labels"] == {"z": "1"}
    assert team.apply(timeout="7s").status_code == 200


def test_it_gives_up_when_others_write_all_the_time_and_says_so(mesh: KubernetesMesh, team: Team) -> None:
    inject(mesh)
    restore(mesh, live(mesh), run=RUN)
    writes = [lambda obj, n=n: team.merge("third", {"metadata": {"labels": {"z": str(n)}}}) for n in range(CONFLICTS)]
    with pytest.raises(MeshError, match="while its fields were given back"):
        give_back(Meanwhile(mesh, *writes), "staging", NAME, run=RUN)
    assert give_back(mesh, "staging", NAME, run=RUN) == "", "and later it can still be done"
    assert team.apply(timeout="7s").status_code == 200


@pytest.mark.parametrize("when", ["before", "between"])
def test_where_the_record_is_lost_only_our_own_entry_goes_and_that_is_said(
    mesh: KubernetesMesh, team: Team, when: str
) -> None:
    inject(mesh)
    gone: dict[str, Any] = {"metadata": {"annotations": {UNDO: None}}}
    if when == "before":
        team.merge("somebody", gone)
    assert restore(mesh, live(mesh), run=RUN)
    if when == "between":
        team.merge("somebody", gone)
    assert "nobody owns it now" in give_back(mesh, "staging", NAME, run=RUN)
    assert [one["manager"] for one in owners_of(live(mesh))] == ["team"]
    assert "annotations" not in live(mesh)["metadata"]
    assert team.apply(timeout="7s").status_code == 200


def test_a_list_that_the_server_passes_over_is_noticed(mesh: KubernetesMesh, team: Team) -> None:
    """It answers 200 all the same."""
    inject(mesh)
    restore(mesh, live(mesh), run=RUN)

    def spoilt(obj: dict[str, Any]) -> dict[str, Any]:
        owners = [{**one, "fieldsType": "V9"} for one in obj["metadata"]["managedFields"]]
        return {**obj, "metadata": {**obj["metadata"], "managedFields": owners}}

    told = give_back(Meanwhile(mesh, spoilt), "staging", NAME, run=RUN)
    assert "did not accept the list of earlier owners" in told
    assert [one["manager"] for one in owners_of(live(mesh))] == ["team"]
    assert team.apply(timeout="7s").status_code == 200


def test_a_server_that_takes_no_list_at_all_is_said_with_what_helps(mesh: KubernetesMesh, team: Team) -> None:
    inject(mesh)
    restore(mesh, live(mesh), run=RUN)

    def without(obj: dict[str, Any]) -> dict[str, Any]:
        return {**obj, "metadata": {**obj["metadata"], "managedFields": []}}

    told = give_back(Meanwhile(mesh, without, without), "staging", NAME, run=RUN)
    assert "--force-conflicts" in told
    assert team.apply(timeout="7s").status_code == 409
    assert team.apply(timeout="7s", force=True).status_code == 200


def test_the_owner_may_use_another_version_than_the_harness(mesh: KubernetesMesh, team: Team) -> None:
    assert team.apply(version="v1beta1", timeout="3s").status_code == 200
    before = inject(mesh)
    assert restored(mesh) == ""
    assert owners_of(live(mesh)) == before
    assert team.apply(version="v1beta1", timeout="7s").status_code == 200


def test_a_sweep_heals_what_earlier_versions_left_and_nothing_else(mesh: KubernetesMesh, team: Team) -> None:
    own = dict(live(mesh))
    own["spec"] = {**own["spec"], "http": [{"route": [{"destination": {"host": "x"}}], "timeout": "5s"}]}
    mesh.replace_virtual_service(own)
    assert team.apply(timeout="7s").status_code == 409
    ours = {**own, "metadata": {"name": "made-by-us", "namespace": "staging"}}
    mesh.create_virtual_service(ours)
    assert [str(one).partition(" (")[0] for one in sweep(mesh, namespaces=("staging",), dry_run=True)] == [
        f"would give back the fields of VirtualService staging/{NAME}"
    ]
    done = sweep(mesh, namespaces=("staging",))
    assert [(one.name, one.part, one.removed) for one in done] == [(NAME, "ownership", True)]
    assert sweep(mesh, namespaces=("staging",)) == []
    assert team.apply(timeout="7s").status_code == 200


def test_a_sweep_says_what_it_did_to_whose_object(mesh: KubernetesMesh, team: Team) -> None:
    inject(mesh)
    where = f"VirtualService staging/{NAME} (run {RUN}: its run holds no lease)"
    (told,) = sweep(mesh, namespaces=("staging",), dry_run=True)
    assert str(told) == f"would restore {where}"
    (told,) = sweep(mesh, namespaces=("staging",))
    assert str(told) == f"restored {where}"
    assert (told.as_dict()["part"], told.as_dict()["removed"]) == ("fault", True)
    assert team.apply(timeout="7s").status_code == 200


def test_a_sweep_takes_every_fault_out_before_it_gives_anything_back(mesh: KubernetesMesh, team: Team) -> None:
    inject(mesh)
    other = dict(live(mesh))
    other["metadata"] = {"name": "another", "namespace": "staging", "labels": {RUN_LABEL: "z" * 8}}
    mesh.create_virtual_service(other)
    named: list[tuple[str, bool]] = []

    def note(obj: dict[str, Any]) -> None:
        named.append((obj["metadata"]["name"], UNDO in obj["metadata"].get("annotations", {})))

    sweep(Meanwhile(mesh, *[note] * 9), namespaces=("staging",))
    assert [kept for _, kept in named] == [True, True, False, False]
    assert {name for name, _ in named[:2]} == {NAME, "another"}


def test_a_sweep_whose_second_write_fails_says_that_the_fault_is_out(mesh: KubernetesMesh, team: Team) -> None:
    inject(mesh)

    def fails(obj: dict[str, Any]) -> None:
        raise MeshError("the API server is away")

    (told,) = sweep(Meanwhile(mesh, lambda obj: None, fails), namespaces=("staging",))
    assert str(told).startswith(f"could not give back the fields of VirtualService staging/{NAME}")
    assert told.trouble == "the API server is away"
    assert "fault" not in json.dumps(live(mesh)["spec"])
    (again,) = sweep(mesh, namespaces=("staging",))
    assert str(again).startswith(f"gave back the fields of VirtualService staging/{NAME}")
    assert team.apply(timeout="7s").status_code == 200
