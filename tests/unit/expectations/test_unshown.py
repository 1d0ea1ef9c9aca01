"""What the mesh can't show of an expectation is refused by the plan, and what it may not show is a warning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.istio.workloads import Workload
from chaos.model.scene import unshown
from chaos.values.remarks import Refusal, Warn
from tests.support.situations import EXPERIMENT, service, situation

SOLID = "percentage: 100, httpStatus: 503"
HALF = "percentage: 50, httpStatus: 503"
GROWS = "percentage: 100, httpStatus: 503}\n    stages:\n      - {for: 9s, percentage: 50}\n      - {for: 9s"
ORDERS = Workload("order-svc", "staging", {"app": "order-svc"}, proxied=("order-1", "order-2"))
STOCK = Workload("inventory-svc", "staging", {"app": "inventory-svc"}, proxied=("stock-1", "stock-2"))
OPENS = "{title: t, breaker: inventory-svc, opensWithin: 5s}"
SHED = "{title: t, service: inventory-svc, flags: UO, atMost: 1%, duringFault: at least 5%}"
OUT = "{title: t, ejection: order-svc, within: 5s}"
FEW = "{title: t, attempts: inventory-svc, per: order-svc, atMost: 1.9}"
EACH = "{title: t, service: order-svc, per: replica, good: {status: '<500'}, atLeast: 9%}"
POOL: dict[str, Any] = {"trafficPolicy": {"connectionPool": {}}}
DETECTION: dict[str, Any] = {"subsets": [{"name": "v1", "trafficPolicy": {"outlierDetection": {}}}]}
AT_A_PORT: dict[str, Any] = {"trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "outlierDetection": {}}]}}


def rule(host: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": host, "namespace": "staging"}, "spec": {"host": host, **spec}}


def bare(workload: Workload, *, pods: int = 2) -> Workload:
    return Workload(workload.name, workload.namespace, workload.labels, bare=workload.proxied[:pods])


def told(
    expected: str,
    *workloads: Workload,
    fault: str = HALF,
    rules: Sequence[Any] = (),
    calling: Sequence[tuple[str, str]] = (),
) -> set[str]:
    """The rules of its refusals, and the codes of its warnings."""
    services = [service(name) for name in ("inventory-svc", "order-svc")]
    for one in services:
        one["spec"]["selector"] = {"app": one["metadata"]["name"]}
    there = situation(
        services=services, workloads=workloads or (ORDERS, STOCK), destination_rules=rules, calling=calling
    )
    text = EXPERIMENT.replace(HALF, fault).replace("steadyState:\n", f"steadyState:\n  - {expected}\n")
    found = unshown(parse_experiment(text), there)
    return {one.rule if isinstance(one, Refusal) else f"warning: {one.code}" for one in found}


@pytest.mark.parametrize(("expected", "fault", "remarks"), [
    (OPENS, SOLID, {"hop-not-reached", "warning: policy-not-set"}), (OPENS, HALF, {"warning: hop-not-reached", "warning: policy-not-set"}),
    (SHED, SOLID, {"hop-not-reached"}), (SHED, HALF, {"warning: hop-not-reached"}), (SHED, GROWS, {"warning: hop-not-reached"}),
    (SHED.replace("least", "most"), SOLID, set()),
    (SHED.replace("inventory", "order"), SOLID, set()), (SHED.replace("inventory-svc", "shop/inventory-svc"), SOLID, set()),
    (OUT.replace("order", "inventory"), SOLID, {"hop-not-reached", "warning: policy-not-set"}),
])  # fmt: skip
def test_a_fault_never_reaches_the_policies_of_its_own_hop(expected: str, fault: str, remarks: set[str]) -> None:
    assert told(expected, fault=fault) == remarks


def test_others_who_call_the_target_may_reach_them() -> None:
    assert told(SHED, fault=SOLID, calling=[("staging", "order-svc")]) == {"hop-not-reached"}
    assert told(SHED, fault=SOLID, calling=[("staging", "order-svc"), ("shop", "web")]) == {"warning: hop-not-reached"}


@pytest.mark.parametrize(("expected", "workloads", "remarks"), [
    (FEW, (ORDERS, STOCK), set()), (FEW, (ORDERS, bare(STOCK)), {"counted-by-nobody"}),
    (FEW, (bare(ORDERS), STOCK), {"counted-by-nobody"}), (FEW, (ORDERS,), set()),
    (EACH, (bare(ORDERS),), {"counted-by-nobody"}), (EACH, (ORDERS,), set()),
    (OUT, (bare(ORDERS),), {"counted-by-nobody", "warning: policy-not-set"}), (OUT, (ORDERS,), {"warning: policy-not-set"}),
    (OUT, (Workload("order-svc", "staging", {"app": "order-svc"}, proxied=("o-1",)),), {"one-replica", "warning: policy-not-set"}),
])  # fmt: skip
def test_what_a_services_own_proxies_count_needs_proxies(
    expected: str, workloads: tuple[Workload, ...], remarks: set[str]
) -> None:
    assert told(expected, *workloads) == remarks


@pytest.mark.parametrize("caller", ["order-svc", "shop/anybody", "order-scv"])
@pytest.mark.parametrize("expected", [
    "{title: t, service: inventory-svc, good: {status: 2xx}, atLeast: 9%",
    "{title: t, service: inventory-svc, per: replica, good: {status: 2xx}, atLeast: 9%",
    "{title: t, service: inventory-svc, flags: UT, atMost: 1%", "{title: t, attempts: inventory-svc, atMost: 1.9",
    "{title: t, breaker: order-svc, flags: UT, opensWithin: 5s",
])  # fmt: skip
def test_a_caller_is_one_of_the_workloads(expected: str, caller: str) -> None:
    found = told(f"{expected}, caller: {caller}}}")
    assert found == ({"warning: caller-not-found"} if caller == "order-scv" else set())


@pytest.mark.parametrize(("expected", "fault", "warned"), [
    (FEW, HALF, False), (FEW.replace("1.9", "2"), HALF, True), (FEW.replace("1.9", "1.5, duringFault: 3"), HALF, True),
    (FEW.replace("1.9", "1.5, duringFault: baseline * 3"), HALF, True), (FEW.replace("1.9", "50"), SOLID, False), (FEW.replace("1.9", "50"), GROWS, False),
    (FEW.replace("inventory", "payment").replace("1.9", "3"), HALF, False),
])  # fmt: skip
def test_a_fault_may_be_too_weak_to_show_a_storm_of_retries(expected: str, fault: str, *, warned: bool) -> None:
    assert ("warning: storm-hardly-shows" in told(expected, fault=fault)) is warned


LATE = "percentage: 1, httpStatus: 503}\n    delay: {percentage: 50, fixedDelay: 3s"
UNAVAILABLE = HALF.replace("httpStatus: 503", "grpcStatus: UNAVAILABLE")
_OWN = "{title: t, service: inventory-svc, good: {status: '<500'}, atLeast: 90%}"


@pytest.mark.parametrize(
    ("expected", "fault", "refused"),
    [
        (_OWN, HALF, True),
        (_OWN.replace("90%", "90%, duringFault: 51%"), HALF, True),
        (_OWN.replace("90%", "90%, duringFault: 49%"), HALF, False),
        (_OWN.replace("90%", "90%, duringFault: baseline - 40%"), HALF, True),
        (_OWN.replace("90%", "90%, duringFault: baseline - 60%"), HALF, False),
        (_OWN.replace("<500", "<600"), HALF, False),
        (_OWN.replace("90%", "90%, per: replica"), HALF, False),
        (_OWN.replace("90%", "90%, caller: order-svc"), HALF, True),
        (_OWN.replace("90%", "90%, caller: shop/web"), HALF, False),
        (_OWN.replace("status: '<500'", "grpc: OK"), HALF, False),
        (_OWN.replace("status: '<500'", "grpc: OK"), UNAVAILABLE, True),
        (_OWN, UNAVAILABLE, True),
        (_OWN.replace("status: '<500'", "grpc: OK|UNAVAILABLE"), UNAVAILABLE, False),
        ("{title: t, throughput: inventory-svc}", HALF, False),
        ("{title: t, throughput: inventory-svc, duringFault: 60%}", HALF, True),
        ("{title: t, throughput: inventory-svc, duringFault: 60%, caller: order-svc}", HALF, True),
        ("{title: t, throughput: inventory-svc, duringFault: 50%}", HALF, False),
        ("{title: t, throughput: order-svc, duringFault: 60%}", HALF, False),
        (_OWN.replace("inventory", "order"), HALF, False),
        (_OWN, LATE, False),
        (_OWN.replace("status: '<500'", "within: 1s"), LATE, True),
        (_OWN.replace("status: '<500'", "within: 5s"), LATE, False),
        (_OWN, GROWS, True),
    ],
)
def test_what_the_fault_alone_violates_is_refused(expected: str, fault: str, *, refused: bool) -> None:
    assert ("target-is-affected" in told(expected, fault=fault)) is refused


def test_others_who_call_the_target_may_get_enough_good_answers() -> None:
    assert "target-is-affected" not in told(_OWN, calling=[("staging", "order-svc"), ("shop", "web")])


def test_a_caller_that_is_hit_gets_too_few_good_answers_whoever_else_calls() -> None:
    calling = [("staging", "order-svc"), ("shop", "web")]
    assert "target-is-affected" in told(_OWN.replace("90%", "90%, caller: order-svc"), calling=calling)


def test_the_names_of_workloads_are_told() -> None:
    there = situation(workloads=(ORDERS, STOCK))
    line = "{title: t, service: order-svc, caller: order-scv, good: {status: 2xx}, atLeast: 9%}"
    (found,) = unshown(parse_experiment(EXPERIMENT.replace("steadyState:\n", f"steadyState:\n  - {line}\n")), there)
    assert isinstance(found, Warn)
    assert "the workloads there are inventory-svc, order-svc," in found.message
    assert found.message.endswith("did you mean 'order-svc'?")


@pytest.mark.parametrize(("good", "fault", "codes"), [
    ('status: "<500"', "percentage: 50, httpStatus: 429", ["error-is-good"]), ('status: "<500"', HALF, []),
    ("status: 2xx", "percentage: 50, httpStatus: 429", []), ("within: 1s", "percentage: 50, httpStatus: 404", ["error-is-good"]),
    ("grpc: OK", "percentage: 50, httpStatus: 429", []),
])  # fmt: skip
def test_an_answer_of_the_fault_that_is_good_is_told(good: str, fault: str, codes: list[str]) -> None:
    line = f"{{title: t, service: order-svc, good: {{{good}}}, atLeast: 9%}}"
    text = EXPERIMENT.replace(HALF, fault).replace("steadyState:\n", f"steadyState:\n  - {line}\n")
    found = unshown(parse_experiment(text), situation(workloads=(ORDERS, STOCK)))
    assert [one.code for one in found if isinstance(one, Warn) and one.message.startswith("t: ")] == codes


@pytest.mark.parametrize(("expected", "spec", "remarks"), [
    (OPENS, POOL, set()), (OPENS, DETECTION, {"warning: policy-not-set"}), (OUT, DETECTION, set()), (OUT, AT_A_PORT, set()),
    (OUT, POOL, {"warning: policy-not-set"}), (OPENS.replace("opens", "flags: UH, opens"), DETECTION, set()),
])  # fmt: skip
def test_a_breaker_is_there_where_a_rule_sets_one(expected: str, spec: dict[str, Any], remarks: set[str]) -> None:
    assert told(expected.replace("inventory-svc", "order-svc"), rules=[rule("order-svc", **spec)]) == remarks
