"""Samples as they come: late, more than once, at other intervals than were said. Each twin with a defect is red, each healthy one green."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.history import Mark
from chaos.model.verdict import ReasonCode
from chaos.ports import Result
from chaos.testing.shop import Shop
from chaos.testing.storage import FEDERATED, REPLICAS, TWO_JOBS, Copy

EXPERIMENT = """\
experiment: orders-survive-inventory
profile: quick
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults: [{abort: {percentage: 50, httpStatus: 503}}]
load: {rate: 40, requests: [{path: /orders/42}]}
steadyState:
- {title: orders are answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}
- {title: orders are quick, service: order-svc, good: {within: 1s}, atLeast: 90%}
recovery: {within: 30s}
"""
UNKNOWN = (Copy({"team": "a"}), Copy({"team": "b"}, shift=0.4))
"""A pair whose replica label has a name of somebody's own."""
WAYS = {"replicas": REPLICAS, "two jobs": TWO_JOBS, "federated": FEDERATED, "a label of its own": UNKNOWN}


def run(shop: Shop, tmp_path: object, text: str = EXPERIMENT) -> Result:
    return shop.harness(report_dir=str(tmp_path)).run(parse_experiment(text))


@pytest.mark.parametrize("copies", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("bears", [1.0, 0.0])
def test_copies_count_once(copies: Sequence[Copy], bears: float, tmp_path: object) -> None:
    plain, doubled = Shop(bears=bears), Shop(bears=bears)
    doubled.metrics.storage.copies = copies
    one, two = (run(shop, tmp_path) for shop in (plain, doubled))
    assert [reason.code for reason in two.verdict.reasons] == [reason.code for reason in one.verdict.reasons]
    assert two.verdict.passed == (bears == 1.0)
    for alone, both in zip(one.verdict.results, two.verdict.results, strict=True):
        assert abs(both.tally.total - alone.tally.total) < 0.2 * alone.tally.total + 50, (alone, both)
    assert one.verdict.proof
    assert two.verdict.proof
    assert two.verdict.proof.counted < 1.3 * one.verdict.proof.counted


def test_a_label_of_the_requests_own_is_no_copy(tmp_path: object) -> None:
    shop = Shop()
    shop.metrics.storage.copies = (Copy({"request_method": "GET"}), Copy({"request_method": "POST"}))
    result = run(shop, tmp_path)
    (answered, *_) = result.verdict.baseline
    window = result.history.marks[Mark.BASELINE_UNTIL] - result.history.marks[Mark.BASELINE_FROM]
    assert answered.tally.total > 1.6 * 40 * (window - 2), "both are counted"


@pytest.mark.parametrize("seconds", [15.0, 60.0])
@pytest.mark.parametrize("interval", [1.0, 5.0])
@pytest.mark.parametrize(("bears", "code"), [(1.0, ReasonCode.ALL_HELD), (0.0, ReasonCode.EXPECTATION_VIOLATED)])
def test_samples_that_come_late_are_waited_for(
    bears: float, code: ReasonCode, seconds: float, interval: float, tmp_path: object
) -> None:
    shop = Shop(bears=bears, scrape_interval=interval)
    shop.metrics.storage.lag = seconds
    result = run(shop, tmp_path)
    assert {reason.code for reason in result.verdict.reasons} == {code}, result.verdict.reasons
    assert result.history.environment.lag == pytest.approx(seconds, abs=interval)
