"""Whatever the routes: in-scope requests get their old route plus the fault, all others get just their old route."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults.abort import Abort
from chaos.faults.fault import Fault
from chaos.faults.stage import Stage
from chaos.faults.target import Match
from chaos.injection.matching import narrow, scopes
from chaos.injection.routes import inject

FAULT = Fault(abort=Abort(percentage=50, http_status=503))
PATHS = ("/", "/a", "/a/b", "/b", "/ab")
VALUES = ("1", "2")

string_match = st.one_of(
    st.sampled_from(PATHS).map(lambda path: {"exact": path}), st.sampled_from(PATHS).map(lambda path: {"prefix": path})
)
value_match: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.sampled_from(VALUES).map(lambda value: {"exact": value}), st.just({})
)
block = st.fixed_dictionaries(
    {},
    optional={
        "uri": string_match,
        "method": st.sampled_from([{"exact": "GET"}, {"exact": "POST"}]),
        "headers": st.dictionaries(st.sampled_from(["h", "g"]), value_match, min_size=1, max_size=2),
        "sourceLabels": st.sampled_from([{"app": "x"}, {"app": "y"}]),
    },
)
route = st.builds(
    lambda blocks, host, carries: {
        **({"match": blocks} if blocks else {}),
        **({"route": [{"destination": {"host": host}}]} if carries else {"redirect": {"uri": host}}),
    },
    st.lists(block.filter(bool), max_size=3),
    st.sampled_from(["one", "two", "three"]),
    st.integers(0, 9).map(bool),
)
match = st.builds(
    lambda b: Match.model_validate({k: v for k, v in b.items() if k != "sourceLabels"}),
    block.filter(lambda b: bool(set(b) - {"sourceLabels"})),
)
request = st.fixed_dictionaries(
    {
        "path": st.sampled_from((*PATHS, "/a/b/c", "/c")),
        "method": st.sampled_from(["GET", "POST", "PUT"]),
        "headers": st.dictionaries(st.sampled_from(["h", "g", "x-chaos-run"]), st.sampled_from([*VALUES, "r1"])),
        "app": st.sampled_from(["x", "y"]),
    }
)


def says_yes(matcher: dict[str, str], value: str | None) -> bool:
    if value is None:
        return False
    if "exact" in matcher:
        return value == matcher["exact"]
    return value.startswith(matcher["prefix"]) if "prefix" in matcher else True


def matches(one: dict[str, Any], asked: dict[str, Any]) -> bool:
    return (
        ("uri" not in one or says_yes(one["uri"], asked["path"]))
        and ("method" not in one or says_yes(one["method"], asked["method"]))
        and all(says_yes(m, asked["headers"].get(key)) for key, m in one.get("headers", {}).items())
        and one.get("sourceLabels", {}).get("app", asked["app"]) == asked["app"]
    )


def served(routes: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any] | None:
    for one in routes:
        if not one.get("match") or any(matches(b, asked) for b in one["match"]):
            return one
    return None


def action(one: dict[str, Any] | None) -> Any:
    return None if one is None else (one.get("route"), one.get("redirect"))


@settings(max_examples=400)
@given(
    routes=st.lists(route, min_size=1, max_size=4),
    wanted=st.lists(match, max_size=2),
    callers=st.sampled_from([{}, {"app": "x"}]),
    marked=st.booleans(),
    asked=st.lists(request, min_size=1, max_size=8),
    stage=st.sampled_from([Stage("5s", percentage=1), Stage("5s"), Stage("5s", off=True)]),
)
def test_only_requests_in_scope_are_faulted_and_nothing_is_rerouted(
    routes: list[dict[str, Any]],
    wanted: list[Match],
    callers: dict[str, str],
    marked: bool,
    asked: list[dict[str, Any]],
    stage: Stage,
) -> None:
    """In each stage of a fault; in one that is off, nothing is faulted."""
    before = copy.deepcopy(routes)
    header = ("x-chaos-run", "r1") if marked else None
    scope = scopes(wanted, callers=callers, header=header)
    after = inject(routes, FAULT.at(stage), name="chaos-r1-x", scope=scope)
    assert routes == before
    for one in asked:
        old, new = served(routes, one), served(after, one)
        assert action(old) == action(new)
        in_scope = (
            old is not None
            and "route" in old
            and (not callers or one["app"] == "x")
            and (not marked or one["headers"].get("x-chaos-run") == "r1")
            and (
                not wanted or any(matches(m.model_dump(exclude_none=True, exclude_defaults=True), one) for m in wanted)
            )
        )
        assert (new is not None and new.get("name") == "chaos-r1-x") == in_scope
        assert (new is not None and "fault" in new) == (in_scope and not stage.off)


@settings(max_examples=400)
@given(one=block, two=block, asked=request)
def test_narrow_is_the_intersection(one: dict[str, Any], two: dict[str, Any], asked: dict[str, Any]) -> None:
    both = narrow(one, two)
    assert (both is not None and matches(both, asked)) == (matches(one, asked) and matches(two, asked))
