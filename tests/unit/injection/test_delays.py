"""A delay that breaks nothing of what is expected is warned of, and only such a one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.injection.delays import delays_unseen
from tests.support.situations import situation, virtual_service

FORM = """\
experiment: orders
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}{more}}}
faults: [{{{fault}}}]
load: {{rate: 40, requests: [{{path: /orders/42}}]{load}}}
steadyState: [{{title: a, {expected}}}]
recovery: {{within: 30s}}
"""
DELAY = "delay: {percentage: 50, fixedDelay: 3s}"
ANSWERED = 'service: order-svc, good: {status: "<500"}, atLeast: 95%'
IN_TIME = "service: order-svc, good: {within: 1s}, atLeast: 95%"
LATE = "service: order-svc, good: {within: 5s}, atLeast: 95%"


def warned(
    expected: str, *, fault: str = DELAY, load: str = "", more: str = "", routes: Sequence[dict[str, Any]] = ()
) -> list[str]:
    experiment = parse_experiment(FORM.format(fault=fault, load=load, more=more, expected=expected))
    found = list(delays_unseen(experiment, situation(*routes)))
    assert all(one.weakens for one in found)
    return [one.message for one in found]


@pytest.mark.parametrize(
    "expected",
    [
        ANSWERED,
        'from: client, good: {status: "<500"}, atLeast: 95%',
        'from: client, good: {status: 2xx, jsonPath: {order.id: "42"}}, atLeast: 95%',
        "service: order-svc, good: {grpc: OK}, atLeast: 95%",
        'service: order-svc, per: replica, good: {status: "<500"}, atLeast: 95%',
        "service: order-svc, flags: UT, atMost: 1%",
        "throughput: order-svc",
        "attempts: inventory-svc, per: order-svc, atMost: 2",
        "unaffected: [catalog-svc]",
        "metric: request-rate, service: order-svc",
        "metric: istiod-cpu",
    ],
)
def test_where_nothing_looks_at_times_it_is_told(expected: str) -> None:
    (message,) = warned(expected)
    assert message.startswith("the fault holds requests back for 3s, and no expectation is about how long answers take")
    assert not warned(expected, fault="abort: {percentage: 50, httpStatus: 503}")


@pytest.mark.parametrize(
    "expected",
    [
        IN_TIME,
        f"{ANSWERED}}}, {{title: b, {IN_TIME}",
        "metric: latency, service: order-svc",
        "unaffected: [catalog-svc], good: {within: 1s}",
        "fallback: {jsonPath: {degraded: true}}, atLeast: 20%",
        "breaker: order-svc, opensWithin: 10s",
        "service: order-svc, flags: UT, atMost: 1%, duringFault: at least 20%",
        "alert: OrdersSlow",
        "promql: 'orders_slow < 5'",
    ],
)
def test_what_may_notice_it_is_not_warned_of(expected: str) -> None:
    assert not warned(expected)


def test_a_delay_that_is_shorter_than_what_is_expected_may_add_up() -> None:
    (message,) = warned(LATE)
    assert "no expectation wants answers within less than 5s" in message
    assert not warned(LATE, more=", callsPerRequest: 2")


def vs(host: str, **route: Any) -> dict[str, Any]:
    return virtual_service("v", hosts=[host], http=[{"route": [{"destination": {"host": host}}], **route}])


@pytest.mark.parametrize(
    ("load", "routes", "told"),
    [
        (", timeout: 2s", [], False),
        (", timeout: 4s", [], True),
        ("", [vs("order-svc", timeout="2s")], False),
        ("", [vs("order-svc", timeout="4s")], True),
        ("", [vs("order-svc", timeout="0s")], True),
        ("", [vs("order-svc", retries={"attempts": 2, "perTryTimeout": "1s"})], False),
        ("", [vs("inventory-svc", timeout="2s")], True),
        ("", [vs("other.elsewhere.svc.cluster.local", timeout="2s")], True),
    ],
)
def test_a_known_time_out_on_the_way_makes_it_an_error(load: str, routes: list[dict[str, Any]], *, told: bool) -> None:
    assert bool(warned(ANSWERED, load=load, routes=routes)) is told
