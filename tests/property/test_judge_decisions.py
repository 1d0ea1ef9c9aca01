"""What a look decided, which ended a phase, is what the verdict says, at once and from the record."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.judge import judge
from chaos.model.history import PhaseName
from chaos.model.verdict import ReasonCode, Verdict
from chaos.ports import Listener, Progress
from chaos.reporting.record import read_record
from chaos.testing.shop import Shop
from chaos.testing.traffic import Times
from chaos.values.answers import Answer, ExpectationResult
from tests.support.scope import EVERY

FORM = """\
experiment: orders
profile: {profile}
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{{{fault}}}]
load: {{rate: {rate}, requests: [{{path: /orders/42}}]}}
steadyState: [{expected}]
guardrails: [{guardrail}]
recovery: {{within: 20s}}
limits: {{baseline: 90s, fault: 90s}}
"""
EXPECTED = (
    'service: order-svc, good: {status: "<500"}, atLeast: 90%',
    'service: order-svc, good: {status: "<500"}, atLeast: 95%, duringFault: baseline - 10%',
    "service: order-svc, good: {within: 500ms}, atLeast: 90%",
    'service: order-svc, per: replica, good: {status: "<500"}, atLeast: 90%',
    'from: client, good: {status: "<500", within: 300ms}, atLeast: 90%',
    "attempts: inventory-svc, atMost: 1.5",
    "attempts: inventory-svc, per: order-svc, atMost: 1.5",
    "attempts: inventory-svc, atMost: baseline * 2",
    "attempts: order-svc, caller: gateway, atMost: 2",
    "throughput: catalog-svc, atLeast: 70%, duringFault: 50%",
    "unaffected: [catalog-svc], margin: 5%",
    "service: order-svc, flags: [URX, UO], atMost: 10%",
    "breaker: order-svc, opensWithin: 10s",
    "fallback: {jsonPath: {degraded: true}}, atLeast: 10%, atMost: 5%",
    "metric: request-rate, service: inventory-svc",
    "promql: sum(up) >= 3",
    "alert: OrdersDegraded, firesWithin: 10s",
)
GUARDRAILS = (
    "",
    '{title: stop, service: order-svc, good: {status: "<500"}, atLeast: 60%}',
    "{title: stop, promql: sum(up) >= 3}",
)
PHASES: Mapping[PhaseName, str] = {
    PhaseName.BASELINE: "baseline", PhaseName.OBSERVE: "fault", PhaseName.RECOVER: "recovery"
}  # fmt: skip


class LastLooks(Listener):
    """What the last look at each phase said."""

    def __init__(self) -> None:
        self.said: dict[str, Mapping[str, Answer]] = {}

    def progress(self, progress: Progress) -> None:
        if phase := PHASES.get(progress.phase):
            self.said[phase] = {one.title: one.answer for one in progress.expectations}


def some_shop(chance: random.Random) -> Shop:
    """Chance decides about each order; errors come in bursts, and the metrics are slow, rare and not all at once."""
    shop = Shop(
        seed=chance.randrange(10**6),
        replicas=chance.choice([1, 2]),
        bears=chance.choice([0.5, 0.9, 0.97, 1.0]),
        degrades=chance.choice([0.0, 0.5]),
        tries=chance.choice([1, 2, 3]),
        retries=chance.choice([0, 2]),
        tail=(chance.choice([0.0, 0.05]), 400.0),
        spreads=chance.choice([0.0, 0.03]),
        unfilled=chance.choice([0.0, 0.2]),
        heals=chance.choice([0.0, 5.0]),
        breaker=chance.choice([Times(None), Times(3, 2)]),
        scrape_interval=chance.choice([1, 1, 2, 5]),
    )
    shop.traffic.staggered = chance.random() < 0.5
    shop.clock.hangs = chance.choice([0.0, 0.0, 0.3, 3.0])
    bursts, at = chance.choice([0.0, 0.1, 0.5]), 0.0
    while bursts and at < 400:
        at += chance.expovariate(1 / 8)
        shop.clock.later(at, partial(setattr, shop.traffic, "broken", bursts))
        at += chance.choice([0.5, 1.0, 3.0])
        shop.clock.later(at, partial(setattr, shop.traffic, "broken", 0.0))
    for _ in range(chance.choice([0, 0, 2])):
        shop.clock.later(chance.uniform(5, 100), partial(shop.stall, chance.choice([0.5, 1.5])))
    return shop


def some_experiment(chance: random.Random) -> str:
    lines = ", ".join(f"{{title: e{n}, {one}}}" for n, one in enumerate(chance.sample(EXPECTED, 2)))
    return FORM.format(
        profile=chance.choice(["quick", "quick", "default"]),
        fault="abort: {percentage: 50, httpStatus: 503}",
        rate=chance.choice([20, 40]),
        expected=lines,
        guardrail=chance.choice(GUARDRAILS),
    )


def results(verdict: Verdict) -> Mapping[str, tuple[ExpectationResult, ...]]:
    recovered = verdict.recovery.expectations if verdict.recovery is not None else ()
    return {"baseline": verdict.baseline, "fault": verdict.fault, "recovery": recovered}


def is_later(result: ExpectationResult) -> bool:
    """Whether it may have come after the last look: what is violated by all samples, or bad until the fault was gone."""
    return result.answer is Answer.VIOLATED or "in the fault's last seconds" in result.observed


@pytest.mark.parametrize("seed", range(300 if EVERY else 6))
def test_a_phase_is_judged_by_the_look_that_ended_it(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    shop, looks = some_shop(chance), LastLooks()
    result = shop.harness(report_dir=str(tmp_path), listeners=[looks]).run(parse_experiment(some_experiment(chance)))
    assert ReasonCode.BROKEN not in {reason.code for reason in result.verdict.reasons}
    told = results(result.verdict)
    tripped = any(event.kind == "guardrail" for event in result.history.events)
    assert tripped == any(one.answer is Answer.VIOLATED for one in result.verdict.guardrails)
    for one in result.history.decisions:
        if one.phase not in looks.said:  # a guardrail stopped the fault before its phase
            continue
        answers = {result.title: result.answer for result in told[one.phase]}
        later = {result.title: result.answer for result in told[one.phase] if is_later(result)}
        assert answers == {**looks.said[one.phase], **later}, one.phase
    assert result.folder is not None
    assert judge(read_record(result.folder / "record.json").history) == judge(result.history) == result.verdict
