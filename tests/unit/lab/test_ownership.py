"""What the recorded writes do not show of ``managedFields``: order, times, core types, sets, several owners at once."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.lab.api.errors import ApiError
from chaos.lab.api.ownership import Writer, apply, track

V1 = "networking.istio.io/v1"


def writer(manager: str, *, custom: bool = True, subresource: str = "", version: str = V1) -> Writer:
    return Writer(manager=manager, api_version=version, custom=custom, subresource=subresource)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, **fields}


def written(live: dict[str, Any] | None, new: dict[str, Any], manager: str, **more: Any) -> dict[str, Any]:
    return {**new, "metadata": {**new["metadata"], "managedFields": track(live, new, writer(manager, **more))}}


def fields(one: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in one["metadata"]["managedFields"]}


def test_appliers_come_first_then_the_older_then_by_name() -> None:
    made = written(None, obj(spec={"x": 1}), "z")
    for entry in made["metadata"]["managedFields"]:
        entry["time"] = "2020-01-01T00:00:00Z"
    made = written(made, {**made, "spec": {"x": 1, "y": 2}}, "b")
    made = written(made, {**made, "spec": {"x": 1, "y": 2, "w": 3}}, "a")
    for entry in made["metadata"]["managedFields"][1:]:
        entry["time"] = "2021-01-01T00:00:00Z"
    made = apply(made, obj(spec={"v": 1}), writer("team"), force=False)
    assert [one["manager"] for one in made["metadata"]["managedFields"]] == ["team", "z", "a", "b"]


def test_a_list_that_differs_in_times_only_is_no_change() -> None:
    made = written(None, obj(spec={"x": 1}), "m")
    again = {**made, "metadata": {**made["metadata"], "managedFields": [
        {**entry, "time": "2020-01-01T00:00:00Z"} for entry in made["metadata"]["managedFields"]
    ]}}  # fmt: skip
    assert track(made, again, writer("n")) == made["metadata"]["managedFields"]


def test_in_core_types_what_is_always_there_is_nobodys() -> None:
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
    }
    made = written(None, obj(spec=spec), "m", custom=False, version="apps/v1")
    item: dict[str, Any] = {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}
    assert fields(made) == {"m": {"f:spec": {"f:selector": {}, "f:template": {"f:spec": {"f:containers": item}}}}}


def test_finalizers_are_owned_one_by_one() -> None:
    made = apply(None, {"metadata": {"name": "a", "finalizers": ["x/a"]}}, writer("one"), force=False)
    assert fields(made) == {"one": {"f:metadata": {"f:finalizers": {'v:"x/a"': {}}}}}
    assert "finalizers" not in apply(made, obj(), writer("one"), force=False)["metadata"]


def test_a_write_of_the_status_owns_nothing_else_and_brings_no_list() -> None:
    made = written(None, obj(spec={"x": 1}), "m")
    changed = {**made, "spec": {"x": 2}, "status": {"ready": True}, "metadata": {"name": "a", "managedFields": [{}]}}
    after = written(made, changed, "controller", subresource="status")
    assert fields(after)["controller"] == {"f:status": {".": {}, "f:ready": {}}}
    assert fields(after)["m"] == fields(made)["m"]


def test_conflicts_with_several_are_told_by_manager() -> None:
    made = written(None, obj(spec={"x": 1, "y": 1}), "old")
    made = apply(made, obj(spec={"x": 1}), writer("team"), force=False)
    with pytest.raises(ApiError) as refused:
        apply(made, obj(spec={"x": 2, "y": 2}), writer("me"), force=False)
    assert str(refused.value) == (
        'Apply failed with 3 conflicts: conflicts with "old" using networking.istio.io/v1:\n- .spec.x\n- .spec.y\n'
        'conflicts with "team":\n- .spec.x'
    )
