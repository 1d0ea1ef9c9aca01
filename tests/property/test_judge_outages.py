"""Wherever an outage lies around the restore, and however rarely it is seen: the range that is told of the recovery is true."""

from __future__ import annotations

import random
from functools import partial
from math import floor
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.history import Mark
from chaos.model.verdict import ReasonCode
from chaos.testing.shop import Shop
from chaos.values.answers import Answer
from tests.support.scope import EVERY

BOUND = 0.95
FORM = """\
experiment: orders
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{{abort: {{percentage: 50, httpStatus: 503}}}}]
load: {{rate: 40, requests: [{{path: /orders/42}}]}}
steadyState: [{{title: expected, {expected}, atLeast: 95%}}]
recovery: {{within: {within}s, stayGood: 20s}}
"""
EXPECTED = ('service: order-svc, good: {status: "<500"}', 'from: client, good: {status: "<500"}')


def outage(shop: Shop, leaves: float, begins: float, lasts: float) -> None:
    """The fault leaves the proxies so many seconds after the restore; and from so many on no order is taken for a while."""
    write = shop.mesh.delete_virtual_service

    def change(share: float) -> None:
        shop.traffic.catch_up()
        shop.traffic.broken = share

    def writing(*arguments: Any, **options: Any) -> Any:
        if not options.get("dry_run"):
            shop.mesh.distribution = leaves
            shop.clock.later(begins, partial(change, 1.0))
            shop.clock.later(begins + lasts, partial(change, 0.0))
        return write(*arguments, **options)

    setattr(shop.mesh, "delete_virtual_service", writing)  # noqa: B010 - a method of this one object


@pytest.mark.parametrize("seed", range(300 if EVERY else 4))
def test_the_recovery_that_is_told_is_true(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    interval, within = chance.randint(1, 15), chance.randint(15, 40)
    shop = Shop(seed=seed, scrape_interval=interval)
    shop.traffic.staggered = chance.random() < 0.5
    shop.mesh.answers_exec = chance.random() < 0.7
    leaves = chance.choice([0.0, chance.uniform(0, 15)])
    begins, lasts = leaves + chance.choice([0.0, 0.0, chance.uniform(0, 10)]), 1.2 * within * chance.random()
    outage(shop, leaves, begins, lasts)
    shop.clock.sleep(chance.uniform(0, 15))
    text = FORM.format(expected=chance.choice(EXPECTED), within=within)
    result = shop.harness(report_dir=str(tmp_path)).run(parse_experiment(text))
    removal, recovery, marks = result.verdict.removal, result.verdict.recovery, result.history.marks
    reasons = {reason.code for reason in result.verdict.reasons}
    assert removal is not None
    assert removal.seconds is not None
    assert recovery is not None
    # The shop happens in whole seconds: one is bad if the outage lasts at its end.
    first, last = (floor(marks[Mark.RESTORE_SENT] + at) for at in (begins, begins + lasts))
    gone = marks[Mark.RESTORED] + removal.seconds
    true = max(0.0, last - gone) if last > first else 0.0
    if shop.mesh.answers_exec:
        assert ReasonCode.UNDECIDED_DURING_FAULT not in reasons, "what comes after the fault is not blamed on its time"
    in_doubt = (1 - BOUND) * interval  # so much of a scrape interval may be bad by the bound
    if recovery.answer is Answer.HOLDS:
        assert recovery.seconds is not None
        assert recovery.seconds - recovery.uncertainty <= true <= recovery.seconds + in_doubt
        assert true <= within + in_doubt
    if recovery.answer is Answer.VIOLATED:
        assert true > within
