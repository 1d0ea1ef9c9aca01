from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.injection.strategy import choose
from chaos.injection.warnings import warnings
from chaos.model.plan import Injection
from tests.support.situations import experiment, service, situation, virtual_service

HOST = "inventory-svc.staging.svc.cluster.local"
EXPIRES = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_name_of_the_target_that_another_virtual_service_has_is_not_hit() -> None:
    at_80 = service("inventory-svc")
    at_80["spec"]["ports"][0]["port"] = 80
    older = virtual_service("older", hosts=["inventory-svc.staging"], exportTo=["."], created="2025-01-01T00:00:00Z")
    there = situation(older, services=[at_80, service("order-svc")])
    made = choose(experiment(), there, run="r1", expires=EXPIRES)
    assert isinstance(made, Injection)
    told = {one.code: one.message for one in warnings(experiment(), there, made, host=HOST)}
    assert "requests to inventory-svc.staging do not feel the fault" in told["names-not-hit"]
    plain = situation(services=[at_80, service("order-svc")])
    assert "names-not-hit" not in {one.code for one in warnings(experiment(), plain, made, host=HOST)}


@pytest.mark.parametrize(
    ("namespace", "told"), [("staging", "outlierDetection"), ("istio-system", "outlierDetection"), ("shop", None)]
)
def test_policies_are_those_of_the_rule_that_callers_follow(namespace: str, told: str | None) -> None:
    rule = {
        "metadata": {"name": "inventory", "namespace": namespace},
        "spec": {"host": HOST, "subsets": [{"name": "v1", "trafficPolicy": {"outlierDetection": {"interval": "1s"}}}]},
    }
    there = situation(destination_rules=[rule])
    made = choose(experiment(), there, run="r1", expires=EXPIRES)
    assert isinstance(made, Injection)
    found = {one.code: one.message for one in warnings(experiment(), there, made, host=HOST)}
    assert found.get("hop-policies-not-tested", "").partition(" of ")[0] == (told or "")


@pytest.mark.parametrize(
    ("namespace", "leads_to", "told"),
    [("staging", "inventory-svc", True), ("edge", HOST, True), ("edge", "inventory-svc", False)],
)
def test_a_gateway_that_leads_to_the_target_by_any_name_is_told(namespace: str, leads_to: str, *, told: bool) -> None:
    vs = split("shop.example.com", leads_to, gateways=["public"], ns=namespace)
    there = situation(vs)
    made = choose(experiment(), there, run="r1", expires=EXPIRES)
    assert isinstance(made, Injection)
    found = [one.message for one in warnings(experiment(), there, made, host=HOST) if one.code == "gateway-not-hit"]
    assert found == ([f"requests that enter through public do not feel the fault: {_WHY}"] if told else [])


_WHY = "a VirtualService of the mesh does not apply at a gateway"


def split(host: str, *parts: str, **spec: Any) -> dict[str, Any]:
    route = [{"destination": {"host": part}, "weight": 100 // len(parts)} for part in parts]
    return virtual_service(host.partition(".")[0], hosts=[host], http=[{"route": route}], **spec)


@pytest.mark.parametrize(
    ("vs", "told"),
    [
        (split("shop.example.com", "order-svc", "order-canary", gateways=["public"]), {"split-not-claimed"}),
        (split("shop.example.com", "order-svc", gateways=["public"]), set()),
        (split("order-svc", "order-svc", "order-canary"), set()),
        (split("stock", "inventory-svc", "inventory-canary"), {"called-by-another-name"}),
        (split("*.staging.svc.cluster.local", "order-svc", "order-canary"), set()),
    ],
)
def test_what_is_counted_at_a_part_of_a_split_is_told(vs: dict[str, Any], told: set[str]) -> None:
    there = situation(vs)
    made = choose(experiment(), situation(), run="r1", expires=EXPIRES)
    assert isinstance(made, Injection)
    found = {one.code for one in warnings(experiment(), there, made, host=HOST)}
    assert found & {"split-not-claimed", "called-by-another-name"} == told
