"""Whose the fields of somebody's object are while our fault is in it, and after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaos.faults.abort import Abort
from chaos.faults.fault import Fault
from chaos.injection.ownership import given_back, owners_of, still_owns
from chaos.injection.patching import carries, carries_fault, kept_owners, owes_owners, owners_are_known, put_in, undone
from chaos.model.marks import UNDO, labels_for, own_name
from chaos.values.managed_fields import fields_of, with_fields
from tests.support.owners import same_owners

RUN = "abcdefgh"
HTTP, HOSTS = ("f:spec", "f:http"), ("f:spec", "f:hosts")


def entry(manager: str, *fields: tuple[str, ...], operation: str = "Update", **more: str) -> dict[str, Any]:
    made = {"manager": manager, "operation": operation, "apiVersion": "networking.istio.io/v1", "time": "then", **more}
    return with_fields(made, fields)


TEAM = entry("team", HOSTS, HTTP, operation="Apply")
TEAM_NOW = entry("team", HOSTS, operation="Apply")
OURS = entry("istio-chaos", HTTP)


def theirs(*owners: dict[str, Any], **annotations: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "inventory", "namespace": "staging", "managedFields": list(owners)}
    if annotations:
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": {"hosts": ["x"], "http": [{"route": [{"destination": {"host": "x"}}]}]}}


def injected(*owners: dict[str, Any], **annotations: str) -> dict[str, Any]:
    fault = Fault(abort=Abort(percentage=50, http_status=503))
    labels = labels_for(run=RUN, experiment="e", owner=None)
    return put_in(
        theirs(*owners, **annotations),
        fault,
        run=RUN,
        name=own_name(RUN, "inventory-svc"),
        scope=[{}],
        labels=labels,
        annotations={},
    )


@pytest.mark.parametrize(
    ("kept", "live", "expected"),
    [
        ([TEAM], [TEAM_NOW, OURS], [TEAM]),
        ([TEAM], [OURS], [entry("team", HTTP, operation="Apply")]),  # what is gone of theirs does not come back
        ([TEAM], [TEAM_NOW, OURS, entry("hpa", ("f:metadata",))], [TEAM, entry("hpa", ("f:metadata",))]),
        ([TEAM], [TEAM_NOW, entry("flagger", HTTP)], [TEAM_NOW, entry("flagger", HTTP)]),
        ([TEAM, entry("flux", HTTP, operation="Apply")], [TEAM_NOW, OURS], [TEAM, entry("flux", HTTP, operation="Apply")]),
        ([entry("a", HTTP, apiVersion="v1")], [OURS, entry("a", HOSTS, apiVersion="v2")],
         [entry("a", HTTP, apiVersion="v1"), entry("a", HOSTS, apiVersion="v2")]),
        ([TEAM_NOW, OURS], [TEAM_NOW, OURS], [TEAM_NOW]),  # an earlier version of the harness left its entry
        ([], [TEAM_NOW, OURS], [TEAM_NOW]),
        ([TEAM], [], []),
    ],
)  # fmt: skip
def test_only_what_we_still_own_goes_back_to_those_who_had_it(kept: Any, live: Any, expected: Any) -> None:
    found = given_back(kept, live)
    assert same_owners(found, expected), found
    assert not any(one["manager"] == "istio-chaos" for one in found)


def test_an_applier_is_the_same_in_every_version_and_nobody_else_is() -> None:
    newer = {**TEAM_NOW, "apiVersion": "networking.istio.io/v1beta1"}
    found = given_back([TEAM], [newer, OURS])
    assert [(one["apiVersion"], fields_of(one)) for one in found] == [(newer["apiVersion"], {HOSTS, HTTP})]


def test_what_an_object_itself_owns_is_told_apart_from_its_fields() -> None:
    tree: dict[str, Any] = {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {}}
    one = {"fieldsV1": tree}
    assert with_fields(one, fields_of(one))["fieldsV1"] == tree
    assert ("f:metadata", "f:labels") in fields_of(one)
    assert ("f:metadata",) not in fields_of(one)


def test_the_owners_are_kept_in_the_write_that_puts_the_fault_in() -> None:
    assert kept_owners(injected(TEAM, OURS)) == [TEAM]
    assert owners_are_known(injected(TEAM))


def test_taking_the_fault_out_leaves_the_record_of_the_owners_and_nothing_else() -> None:
    live = injected(TEAM)
    live["metadata"]["managedFields"] = [TEAM_NOW, OURS]
    first = undone(live, RUN)
    assert not carries_fault(first, RUN)
    assert carries(first, RUN)
    assert set(first["metadata"]["annotations"]) == {UNDO}
    assert "labels" not in first["metadata"]
    assert owes_owners(first, RUN)
    assert not owes_owners(live, RUN), "the fault goes first"


def test_whoever_wrote_the_routes_while_the_fault_was_in_gets_them_back() -> None:
    """Taking the fault out takes the routes from them once more."""
    live = injected(TEAM)
    live["metadata"]["managedFields"] = [TEAM_NOW, entry("flagger", HTTP)]
    first = undone(live, RUN)
    first["metadata"]["managedFields"] = [TEAM_NOW, OURS]
    kept = kept_owners(first)
    assert kept is not None
    assert same_owners(given_back(kept, owners_of(first)), [TEAM_NOW, entry("flagger", HTTP)])


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"run": "abcdefgh"}', '{"run": "abcdefgh", "owners": [{"fieldsV1": 1}]}']
)
def test_a_record_that_says_nothing_of_owners_is_told_from_one_without_any(record: str) -> None:
    live = injected(TEAM)
    live["metadata"]["annotations"][UNDO] = record
    live["metadata"]["managedFields"] = [TEAM_NOW, OURS]
    first = undone(live, RUN)
    assert not owners_are_known(live)
    assert not owners_are_known(first)
    assert kept_owners(first) == [TEAM_NOW], "those of now are better than none"
    assert owners_are_known(injected())


def test_where_the_owners_find_no_room_the_fault_can_still_be_put_in_and_taken_out() -> None:
    full = injected(TEAM, note="x" * (256 * 1024 - 300))
    assert kept_owners(full) is None
    assert json.loads(full["metadata"]["annotations"][UNDO])["run"] == RUN
    full["metadata"]["managedFields"] = [TEAM_NOW, OURS]
    first = undone(full, RUN)
    assert not carries_fault(first, RUN)
    assert sum(len(k) + len(v) for k, v in first["metadata"]["annotations"].items()) <= 256 * 1024


def test_what_an_earlier_version_left_is_known_by_the_routes_that_we_own() -> None:
    assert still_owns(theirs(TEAM_NOW, OURS))
    assert not still_owns(theirs(TEAM))
    assert not still_owns(theirs(entry("istio-chaos", ("f:spec",), HOSTS, HTTP))), "that one we made"
    assert owes_owners(theirs(TEAM_NOW, OURS), "")
