"""Whole runs on the shop in memory that look at what the answers say: a broken shop is found out, its healthy twin passes."""

from __future__ import annotations

import pytest

from chaos.model.verdict import ReasonCode
from tests.unit.engine.world import World, codes

OWN = '- {title: everybody gets their own order, from: client, good: {status: 2xx, jsonPath: {order.id: "42"}}, atLeast: 90%}'
DEGRADED = "- {{title: orders degrade, fallback: {{{by}}}, atLeast: 20%, atMost: 5%}}"
MARKS = [
    "header: {x-stock: unknown}",
    "body: '\"degraded\": true'",
    "jsonPath: {stock: null}",
    "status: 2xx, jsonPath: {degraded: true}",
]


def test_answers_with_somebody_elses_data_are_found_out() -> None:
    _, healthy = World().run(more=OWN)
    assert healthy.passed, healthy.reasons
    history, verdict = World(mixes=1.0, degrades=0.0).run(more=OWN)
    assert codes(verdict) == {ReasonCode.EXPECTATION_VIOLATED}, "all statuses were fine"
    assert verdict.reasons[0].message.startswith(
        "'everybody gets their own order' was violated during the fault: expected at least 90% of the requests of the load with status 2xx"
    )
    assert {cell.matched for second in history.load for cell in second.cells} == {(), ('JSON order.id = "42"',)}


@pytest.mark.parametrize("by", MARKS)
def test_a_fallback_shows_with_the_fault_and_goes_with_it(by: str) -> None:
    _, verdict = World().run(more=DEGRADED.format(by=by))
    assert verdict.passed, verdict.reasons
    expected = {one.phase: one.expected for one in verdict.fault if one.title == "orders degrade"}
    assert expected["fault"].startswith("at least 20% of answers with ")


@pytest.mark.parametrize("by", MARKS)
def test_a_fallback_that_never_shows_is_found_out(by: str) -> None:
    _, verdict = World(degrades=0.0).run(more=DEGRADED.format(by=by))
    assert codes(verdict) == {ReasonCode.EXPECTATION_VIOLATED}
    assert verdict.reasons[0].message.startswith(
        "'orders degrade' was violated during the fault: expected at least 20% of answers with "
    )


def test_a_fallback_that_is_never_taken_back_is_found_out() -> None:
    _, verdict = World(sticks=1e9).run(more=DEGRADED.format(by=MARKS[0]))
    assert codes(verdict) == {ReasonCode.NOT_RECOVERED}
    told = "'orders degrade' was violated after the fault: expected at least 95% of answers other than those with header x-stock: unknown"
    assert told in verdict.reasons[0].message
    _, slow = World(sticks=12).run(more=DEGRADED.format(by=MARKS[0]))
    assert slow.passed, slow.reasons
    assert slow.recovery is not None
    assert slow.recovery.seconds == pytest.approx(12, abs=4)


def test_what_is_degraded_before_the_fault_is_not_steady() -> None:
    _, verdict = World().run(more=DEGRADED.format(by="header: {x-stock: live}"))
    assert codes(verdict) == {ReasonCode.NOT_STEADY_BEFORE}
