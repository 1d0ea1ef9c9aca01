from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.injection.patching import undo_of, without_fault
from chaos.injection.strategy import choose
from chaos.model.plan import Injection, Strategy
from chaos.values.remarks import Refusal
from tests.support.situations import experiment, service, situation, virtual_service

HOST = "inventory-svc.staging.svc.cluster.local"
EXPIRES = datetime(2026, 1, 1, tzinfo=UTC)
FAULT = {"abort": {"percentage": {"value": 50.0}, "httpStatus": 503}}


def made(*virtual_services: dict[str, Any], **target: object) -> Injection:
    chosen = choose(experiment(**target), situation(*virtual_services), run="r1", expires=EXPIRES)
    assert isinstance(chosen, Injection), chosen
    return chosen


def refused(*virtual_services: dict[str, Any], **target: object) -> str:
    chosen = choose(experiment(**target), situation(*virtual_services), run="r1", expires=EXPIRES)
    assert isinstance(chosen, Refusal)
    return chosen.rule


def test_a_host_without_a_virtual_service_gets_one_that_routes_as_before() -> None:
    injection = made()
    assert injection.strategy is Strategy.CREATE
    assert injection.before is None
    plain = {"route": [{"destination": {"host": HOST}}]}
    assert injection.after["spec"] == {
        "hosts": [HOST],
        "exportTo": ["."],
        "http": [
            {
                **plain,
                "name": "chaos-r1-inventory-svc",
                "fault": FAULT,
                "match": [{"sourceLabels": {"app": "order-svc"}}],
            },
            plain,
        ],
    }
    meta = injection.after["metadata"]
    assert meta["name"] == "chaos-r1-inventory-svc"
    assert meta["labels"] == {
        "chaos-harness.dev/run": "r1",
        "chaos-harness.dev/experiment": "orders",
        "chaos-harness.dev/owner": "checkout",
    }
    assert meta["annotations"]["chaos-harness.dev/expires"] == "2026-01-01T00:00:00Z"
    assert not any("istio.io" in key for key in (*meta["labels"], *meta["annotations"]))


def test_a_public_virtual_service_is_overlaid_and_left_alone() -> None:
    base = virtual_service(
        hosts=["inventory-svc", "other-svc"],
        http=[
            {
                "name": "stock",
                "match": [{"uri": {"prefix": "/stock"}}, {"uri": {"exact": "/x"}}],
                "route": [{"destination": {"host": "inventory-svc", "subset": "v1"}}],
                "timeout": "2s",
            },
            {"route": [{"destination": {"host": "inventory-svc"}}]},
        ],
    )
    injection = made(base)
    assert injection.strategy is Strategy.OVERLAY
    assert injection.before == base
    http = injection.after["spec"]["http"]
    assert injection.after["spec"]["hosts"] == [HOST]
    assert [route.get("name") for route in http] == ["chaos-r1-inventory-svc", "stock", "chaos-r1-inventory-svc", None]
    assert http[0]["match"] == [
        {"uri": {"prefix": "/stock"}, "sourceLabels": {"app": "order-svc"}},
        {"uri": {"exact": "/x"}, "sourceLabels": {"app": "order-svc"}},
    ]
    assert http[0]["timeout"] == "2s"
    assert http[0]["route"] == [{"destination": {"host": HOST, "subset": "v1"}}]
    assert base["spec"]["http"][0]["route"][0]["destination"]["host"] == "inventory-svc", "the input is never changed"


def test_without_callers_and_match_the_routes_themselves_carry_the_fault() -> None:
    http = made(virtual_service(), callers={}).after["spec"]["http"]
    assert http == [{"name": "chaos-r1-inventory-svc", "fault": FAULT, "route": [{"destination": {"host": HOST}}]}]


def test_only_our_load_is_matched_by_its_header() -> None:
    http = made(callers={}, onlyOurLoad=True).after["spec"]["http"]
    assert http[0]["match"] == [{"headers": {"x-chaos-run": {"exact": "r1"}}}]
    assert "fault" not in http[1]


def test_routes_for_gateways_are_left_out_of_the_copy() -> None:
    base = virtual_service(
        gateways=["mesh", "gw"],
        http=[
            {"match": [{"gateways": ["gw"]}], "route": [{"destination": {"host": "inventory-svc"}}]},
            {"match": [{"gateways": ["gw", "mesh"]}], "route": [{"destination": {"host": "inventory-svc"}}]},
        ],
    )
    spec = made(base).after["spec"]
    assert "gateways" not in spec
    assert spec["http"][0]["match"] == [{"sourceLabels": {"app": "order-svc"}}]
    assert len(spec["http"]) == 2


def test_the_winner_is_what_istio_would_choose() -> None:
    younger = virtual_service("younger", created="2026-02-01T00:00:00Z")
    older = virtual_service("older", created="2025-01-01T00:00:00Z")
    assert made(younger, older).before == older


def test_a_virtual_service_for_a_gateway_only_does_not_govern_the_mesh() -> None:
    assert made(virtual_service(gateways=["gw"])).strategy is Strategy.CREATE


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ({"exportTo": ["."], "hosts": ["inventory-svc", "stock.example"]}, "several-hosts"),
        ({"exportTo": ["."], "gateways": ["gw", "mesh"]}, "gateway-and-source"),
        ({"hosts": ["*.staging.svc.cluster.local"]}, "wildcard-host"),
        ({"hosts": ["Inventory-svc"]}, "host-in-upper-case"),
        ({"http": [{"redirect": {"uri": "/"}}]}, "no-route-to-fault"),
    ],
)
def test_what_can_not_take_effect_is_refused(spec: dict[str, Any], rule: str) -> None:
    assert refused(virtual_service(**spec)) == rule


@pytest.mark.parametrize("http", [None, [{"delegate": {"name": "gone"}}]])
def test_a_virtual_service_without_http_routes_does_not_govern(http: list[dict[str, Any]] | None) -> None:
    assert made(virtual_service(http=http, tcp=[{"route": []}])).strategy is Strategy.CREATE


def test_where_each_port_has_another_governor_it_is_refused() -> None:
    two = service("inventory-svc")
    two["spec"]["ports"].append({"name": "http-alt", "port": 9080})
    to = [{"destination": {"host": "inventory-svc"}}]
    base = virtual_service(http=[{"match": [{"port": 9080}], "route": to}])
    chosen = choose(experiment(), situation(base, services=[two, service("order-svc")]), run="r1", expires=EXPIRES)
    assert isinstance(chosen, Refusal)
    assert chosen.rule == "ports-differ"
    assert "staging/inventory at port 9080" in chosen.message


def test_another_runs_fault_is_not_copied() -> None:
    other = virtual_service(exportTo=["."])
    other["metadata"]["labels"] = {"chaos-harness.dev/run": "other"}
    assert refused(other) == "already-injected"


def test_our_own_object_does_not_count_as_governing() -> None:
    mine = virtual_service(exportTo=["."])
    mine["metadata"]["labels"] = {"chaos-harness.dev/run": "r1"}
    assert made(mine).strategy is Strategy.CREATE


def test_a_match_that_no_route_overlaps_is_refused() -> None:
    base = virtual_service(http=[{"match": [{"uri": {"exact": "/a"}}], "route": [{"destination": {"host": "x"}}]}])
    assert refused(base, match=[{"uri": {"exact": "/b"}}]) == "match-matches-nothing"


def test_a_private_virtual_service_is_patched() -> None:
    base = virtual_service(exportTo=["."])
    base["metadata"]["resourceVersion"] = "7"
    injection = made(base)
    assert injection.strategy is Strategy.PATCH
    assert (injection.namespace, injection.name) == (base["metadata"]["namespace"], base["metadata"]["name"])
    assert injection.after["metadata"]["resourceVersion"] == "7"
    assert undo_of(injection.after)["run"] == "r1"
    assert injection.after["spec"]["http"][0]["name"] == "chaos-r1-inventory-svc"
    assert without_fault(injection.after, "r1") == base


def test_a_fault_that_is_there_is_shadowed_and_comes_back() -> None:
    theirs = {"delay": {"percentage": {"value": 1}, "fixedDelay": "9s"}}
    route = {"fault": theirs, "route": [{"destination": {"host": "inventory-svc"}}]}
    base = virtual_service(exportTo=["."], http=[route])
    injected = made(base).after
    assert injected["spec"]["http"][0]["fault"] != theirs
    assert injected["spec"]["http"][1] == route
    assert without_fault(injected, "r1")["spec"] == base["spec"]
    assert made(virtual_service(http=[route])).strategy is Strategy.OVERLAY


def test_at_a_gateway_a_patched_fault_stays_off() -> None:
    base = virtual_service(exportTo=["."], gateways=["gw", "mesh"])
    injected = made(base, callers={}).after["spec"]["http"]
    ours = [route for route in injected if route.get("name") == "chaos-r1-inventory-svc"]
    assert ours
    assert all(block["gateways"] == ["mesh"] for route in ours for block in route["match"])


def test_source_selectors_that_istio_ignores_are_not_brought_to_life() -> None:
    """Beside gateways in one block they are ignored; a copy without gateways must not begin to obey them."""
    block = {"gateways": ["mesh"], "sourceLabels": {"app": "other"}, "uri": {"prefix": "/"}}
    base = virtual_service(http=[{"match": [block], "route": [{"destination": {"host": "inventory-svc"}}]}])
    assert all("other" not in str(route.get("match")) for route in made(base, callers={}).after["spec"]["http"])


def test_when_only_our_route_is_left_it_stays_without_the_fault() -> None:
    injected = made(virtual_service(exportTo=["."]), callers={}).after
    alone = {**injected, "spec": {**injected["spec"], "http": injected["spec"]["http"][:1]}}
    clean = without_fault(alone, "r1")["spec"]["http"]
    assert len(clean) == 1
    assert "fault" not in clean[0]
    assert clean[0]["route"]


def test_what_a_route_for_another_port_of_the_callers_leaves_out_has_no_effect() -> None:
    two = service("inventory-svc")
    two["spec"]["ports"].append({"name": "http-alt", "port": 9080})
    to = [{"destination": {"host": "inventory-svc"}}]
    http = [
        {"match": [{"port": 8080, "uri": {"prefix": "/a"}}], "route": to},
        {"match": [{"uri": {"prefix": "/b"}}], "route": to},
    ]
    found = choose(
        experiment(match=[{"uri": {"prefix": "/a"}}]),
        situation(virtual_service(http=http), services=[two, service("order-svc")]),
        run="r1",
        expires=EXPIRES,
    )
    assert isinstance(found, Refusal)
    assert (found.rule, found.value) == ("no-effect", "order-svc at port 9080")


def test_another_name_of_the_target_is_not_taken_away() -> None:
    """At port 80, ``inventory-svc.staging`` is a name that a VirtualService of any namespace may have."""
    at_80 = service("inventory-svc")
    at_80["spec"]["ports"][0]["port"] = 80
    other = virtual_service("other", "production", hosts=["inventory-svc.staging"])
    found = choose(experiment(), situation(other, services=[at_80, service("order-svc")]), run="r1", expires=EXPIRES)
    assert isinstance(found, Refusal)
    assert (found.rule, found.value) == ("names-differ", "inventory-svc.staging")
    assert made(other).strategy is Strategy.CREATE  # at port 8080 the name is the Service's alone


def test_the_ports_that_a_service_entry_adds_are_looked_at_as_well() -> None:
    entry = {
        "metadata": {"name": "x", "namespace": "staging", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"hosts": [HOST], "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}]},
    }
    at_9080 = virtual_service(http=[{"match": [{"port": 9080}], "route": [{"destination": {"host": "inventory-svc"}}]}])
    found = choose(experiment(), situation(at_9080, service_entries=[entry]), run="r1", expires=EXPIRES)
    assert isinstance(found, Refusal)
    assert found.rule == "ports-differ"


def test_a_younger_service_entry_for_the_targets_host_and_port_stands_for_it() -> None:
    entry: dict[str, Any] = {
        "metadata": {"name": "x", "namespace": "staging", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"hosts": [HOST], "ports": [{"number": 8080, "name": "tcp", "protocol": "TCP"}]},
    }
    there = situation(virtual_service(), service_entries=[entry])
    assert there.mesh.virtual_host(HOST, "staging", {"app": "order-svc"}, 8080) is None
    # Elsewhere, callers of the Service's namespace take the Service.
    elsewhere = {**entry, "metadata": {**entry["metadata"], "namespace": "production"}}
    found = situation(virtual_service(), service_entries=[elsewhere])
    assert found.governor(HOST, "staging", {"app": "order-svc"}, 8080) == virtual_service()
