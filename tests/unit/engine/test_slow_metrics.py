"""Metrics that answer slowly, in part, or only after a while: the run never waits for them, and believes only whole answers."""

from __future__ import annotations

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.judge import judge
from chaos.model.verdict import Outcome, ReasonCode, Verdict
from chaos.reporting.record import read_record
from chaos.testing.shop import Shop

EXPERIMENT = """\
experiment: orders-survive-inventory
profile: quick
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults: [{abort: {percentage: 50, httpStatus: 503}}]
load: {rate: 40, requests: [{path: /orders/42}]}
steadyState: [{title: orders are answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}]
recovery: {within: 30s}
"""


def run(shop: Shop, tmp_path: object) -> Verdict:
    return shop.harness(report_dir=str(tmp_path)).run(parse_experiment(EXPERIMENT)).verdict


@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0])
def test_slow_answers_are_waited_for_by_nobody(seconds: float, tmp_path: object) -> None:
    shop = Shop()
    shop.clock.hangs = seconds
    began = shop.clock.now()
    verdict = run(shop, tmp_path)
    assert verdict.passed, verdict.reasons
    assert shop.clock.now() - began < 60 + 12 * seconds


def test_slow_answers_hide_no_violation(tmp_path: object) -> None:
    shop = Shop(bears=0.0)
    shop.clock.hangs = 4.0
    verdict = run(shop, tmp_path)
    assert [reason.code for reason in verdict.reasons] == [ReasonCode.EXPECTATION_VIOLATED]


@pytest.mark.parametrize(("seconds", "outcome"), [(5.0, Outcome.PASSED), (60.0, Outcome.INCONCLUSIVE)])
def test_answers_in_part_are_none(seconds: float, outcome: Outcome, tmp_path: object) -> None:
    shop = Shop()
    said = "Prometheus answered only in part: a store does not answer"
    shop.clock.later(6, lambda: setattr(shop.metrics, "lost", said))
    shop.clock.later(6 + seconds, lambda: setattr(shop.metrics, "lost", ""))
    result = shop.harness(report_dir=str(tmp_path)).run(parse_experiment(EXPERIMENT))
    assert result.verdict.outcome is outcome, result.verdict.reasons
    assert said in " ".join(event.sentence for event in result.history.events), "it is noted"
    assert any(said in reason.message for reason in result.verdict.reasons) == (outcome is Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("seed", [5, 12])
def test_a_violation_stays_one_whatever_comes_after_it(seed: int, tmp_path: object) -> None:
    """By these seeds the answers that come after the decision would leave it undecided."""
    shop = Shop(seed=seed, bears=0.72)
    shop.clock.hangs = 4.0
    result = shop.harness(report_dir=str(tmp_path)).run(parse_experiment(EXPERIMENT))
    assert [reason.code for reason in result.verdict.reasons] == [ReasonCode.EXPECTATION_VIOLATED]
    assert result.folder is not None
    assert judge(read_record(result.folder / "record.json").history) == judge(result.history) == result.verdict
