"""The experiment that somebody would write to find a defect, and its run on a shop in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop
from tests.support.defects.variants import Moment, Variant

FORM: Final = """\
experiment: orders
profile: {profile}
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{{{fault}}}]
load: {{rate: {rate}, requests: [{requests}]}}
steadyState: [{{title: expected, {expected}}}]
guardrails: [{guardrail}]
recovery: {{within: {within}}}
"""
ANSWERED: Final = 'service: order-svc, good: {status: "<500"}, atLeast: '
IN_TIME: Final = "service: order-svc, good: {within: 1s}, atLeast: 95%"
WHOLE: Final = 'from: client, good: {status: 2xx, jsonPath: {order.id: "42"}}, atLeast: 95%'
WHOLE_ALWAYS: Final = WHOLE.replace("95%", "99%")
DEGRADED: Final = "fallback: {jsonPath: {degraded: true}}, atLeast: 20%"
BREAKER: Final = "breaker: order-svc, opensWithin: 10s"
EJECTION: Final = "ejection: order-svc, within: 15s"
ALERT: Final = "alert: OrdersDegraded, firesWithin: 10s"
TWO_PATHS: Final = "{path: /orders/42, weight: 3}, {path: /carts/7}"
MOST: Final = "abort: {percentage: 80, httpStatus: 503}"
FOR_A_WHILE: Final = {"profile": "default"}
"""What a phase of some seconds does not see."""
DELAY: Final = "delay: {percentage: 50, fixedDelay: 3s}"
DECLARED: Final[Mapping[str, str]] = {
    "profile": "quick",
    "fault": "abort: {percentage: 50, httpStatus: 503}",
    "rate": "40",
    "requests": "{path: /orders/42}",
    "expected": ANSWERED + "95%",
    "guardrail": "",
    "within": "20s",
}
VIOLATED, LATE = ReasonCode.EXPECTATION_VIOLATED, ReasonCode.NOT_RECOVERED
EARLY_END: Final = (
    ReasonCode.TOO_FEW_FAULTED,
    ReasonCode.UNDECIDED_DURING_FAULT,
    ReasonCode.FAULT_NOT_SEEN,
    ReasonCode.NO_TRAFFIC,
)
"""Reasons that come with one that ended the run at once."""


def expecting(text: str, **declared: str) -> dict[str, str]:
    """What differs from ``DECLARED``: the expectation, and other things."""
    return {"expected": text, **declared}


def run(declared: Mapping[str, str], variant: Variant, *, seed: int | None = None) -> Verdict:
    """The verdict on a shop; with a seed, chance decides about each order, and when what comes again and again comes."""
    shop = Shop(seed=seed, **variant.shop)
    offset = Random(seed).uniform(0, 30) if seed is not None else 0.0

    def change(traffic: Mapping[str, Any]) -> None:
        shop.traffic.catch_up()
        for name, value in traffic.items():
            assert hasattr(shop.traffic, name)
            setattr(shop.traffic, name, value)

    def begin(since: Moment) -> None:
        for one in variant.later:
            if one.since == since:
                shop.clock.later(one.seconds, partial(change, one.traffic))

    def after(name: str, since: Moment) -> None:
        write = getattr(shop.mesh, name)

        def writing(*arguments: Any, **options: Any) -> Any:
            if not options.get("dry_run"):
                shop.mesh.distribution = variant.distribution if since == "restore" else variant.arrival
                begin(since)
            return write(*arguments, **options)

        setattr(shop.mesh, name, writing)

    begin("start")
    shop.clock.sleep(10 + offset)
    after("create_virtual_service", "fault")
    after("delete_virtual_service", "restore")
    with TemporaryDirectory() as folder:
        text = declared.get("file", FORM).format(**{**DECLARED, **declared})
        return shop.harness(report_dir=folder).run(parse_experiment(text)).verdict
