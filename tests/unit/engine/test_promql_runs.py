"""Whole runs with a PromQL comparison: true, false, and without data."""

from __future__ import annotations

import pytest

from chaos.model.verdict import Outcome, ReasonCode
from chaos.testing.shop import Shop
from tests.support.shop_runs import reasons, run

COMPARISON = "sum(rate(orders_total[10s])) > 1"
EXPECTED = f"{{title: orders come, promql: '{COMPARISON}'}}"


def test_one_that_is_always_true_of_the_data_passes() -> None:
    assert run(Shop(), EXPECTED).passed


@pytest.mark.parametrize(
    ("seconds", "missing", "outcome", "code"),
    [
        (0, True, Outcome.INCONCLUSIVE, ReasonCode.NO_DATA),
        (0, False, Outcome.INCONCLUSIVE, ReasonCode.NOT_STEADY_BEFORE),
        (20, True, Outcome.INCONCLUSIVE, ReasonCode.NO_DATA),
        (20, False, Outcome.FAILED, ReasonCode.EXPECTATION_VIOLATED),
    ],
    ids=["no data before", "false before", "no data during the fault", "false during the fault"],
)
def test_missing_data_are_no_violation(seconds: float, missing: bool, outcome: Outcome, code: ReasonCode) -> None:
    shop = Shop()
    spoilt = shop.metrics.unknown if missing else shop.metrics.untrue
    shop.clock.later(seconds, lambda: spoilt.add(COMPARISON))
    verdict = run(shop, EXPECTED)
    assert verdict.outcome is outcome
    assert code in reasons(verdict), verdict.reasons
    hints = [reason.hint or "" for reason in verdict.reasons if reason.code is ReasonCode.NO_DATA]
    assert all("or vector(0)" in hint for hint in hints)


def test_a_green_verdict_repeats_that_the_comparison_is_true_without_its_data() -> None:
    shop = Shop()
    shop.metrics.untrue.add("errors_total{}")
    verdict = run(shop, "{title: few errors, promql: '(sum(rate(errors_total[1s])) or vector(0)) < 5'}")
    assert verdict.passed, verdict.reasons
    (told,) = verdict.unshown
    assert told.startswith("few errors: errors_total{} had no data when the run was planned"), told
