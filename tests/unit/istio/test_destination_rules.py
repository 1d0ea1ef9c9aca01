"""Which DestinationRule a client follows, and how several become one."""

from __future__ import annotations

from typing import Any

from chaos.istio.destination_rules import DestinationRules

HOST = "inventory.staging.svc.cluster.local"


def rule(name: str, namespace: str, day: int = 1, *, host: str = HOST, **spec: Any) -> dict[str, Any]:
    made = {"host": host, "trafficPolicy": {"of": name}, **spec}
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-{day:02}T00:00:00Z"},
        "spec": {key: value for key, value in made.items() if value is not None},
    }


def followed(*rules: dict[str, Any], by: str = "staging") -> str:
    found = DestinationRules(rules).for_client(by, HOST, home="staging")
    return str(found["metadata"]["name"]) if found else "none"


def subset(name: str) -> dict[str, Any]:
    return {"name": name, "labels": {"version": name}}


def test_the_clients_namespace_then_the_services_then_the_roots() -> None:
    every = [rule("client", "web"), rule("home", "staging"), rule("mesh", "istio-system"), rule("third", "qa")]
    assert followed(*every, by="web") == "client"
    assert followed(*every[1:], by="web") == "home"
    assert followed(*every[2:], by="web") == "mesh"
    assert followed(every[3], by="web") == "none", "a third namespace's is for nobody else"


def test_a_wildcard_of_the_clients_namespace_comes_before_all_that_is_elsewhere() -> None:
    assert followed(rule("wild", "web", host="*.local"), rule("home", "staging"), by="web") == "wild"


def test_of_wildcards_the_longest() -> None:
    short, long = (
        rule("short", "staging", host="*.local"),
        rule("long", "staging", 2, host="*.staging.svc.cluster.local"),
    )
    assert followed(short, long) == "long"
    assert followed(short, long, rule("exact", "staging", 3)) == "exact"


def test_what_is_not_exported_is_not_followed_elsewhere() -> None:
    assert followed(rule("home", "staging", exportTo=["."]), by="web") == "none"
    assert followed(rule("home", "staging", exportTo=["web"]), by="web") == "home"
    assert followed(rule("home", "staging", exportTo=["web"]), by="staging") == "none"
    assert followed(rule("mesh", "istio-system", exportTo=["."]), by="web") == "none"


def test_clients_of_the_root_namespace_follow_the_services_own_first() -> None:
    assert followed(rule("mesh", "istio-system"), rule("home", "staging"), by="istio-system") == "home"
    private = rule("private", "istio-system", exportTo=["."])
    assert followed(private, rule("home", "staging"), by="istio-system") == "private"


def test_rules_for_one_host_are_merged() -> None:
    one = rule("one", "staging", subsets=[subset("v1")], trafficPolicy=None)
    two = rule("two", "staging", 2, subsets=[{**subset("v1"), "trafficPolicy": {}}, subset("v2")])
    three = rule("three", "staging", 3)
    found = DestinationRules([three, two, one]).for_client("staging", HOST, home="staging")
    assert found
    assert found["spec"]["subsets"] == [subset("v1"), subset("v2")], "the oldest's come first, and are kept"
    assert found["spec"]["trafficPolicy"] == {"of": "two"}, "the first that there is"


def test_rules_that_reach_others_are_not_merged_and_the_last_counts() -> None:
    private = rule("private", "staging", exportTo=["."], subsets=[subset("v1")])
    public = rule("public", "staging", 2, exportTo=["*"], subsets=[subset("v2")])
    found = DestinationRules([private, public]).for_client("staging", HOST, home="staging")
    assert found
    assert found["metadata"]["name"] == "public"
    assert found["spec"]["subsets"] == [subset("v2")]
