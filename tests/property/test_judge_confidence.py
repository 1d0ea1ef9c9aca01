"""The evidence against a bound is a fair game at the bound, and a losing one wherever the bound is right."""

from __future__ import annotations

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.expectations.confidence import decide, interval, log_wealth
from chaos.values.answers import Answer

counts = st.integers(0, 3000)
bounds = st.floats(0.001, 0.999)


@given(good=counts, bad=counts, bound=bounds, part=st.floats(0, 1))
def test_wealth_is_expected_not_to_grow(good: int, bad: int, bound: float, part: float) -> None:
    """Exactly, for every state: E[next | now] <= now for any share up to the bound, with equality at it."""
    now = log_wealth(good, bad, bound)
    won = math.exp(log_wealth(good + 1, bad, bound) - now)
    lost = math.exp(log_wealth(good, bad + 1, bound) - now)
    share = bound * part
    assert share * won + (1 - share) * lost <= 1 + 1e-6
    assert math.isclose(bound * won + (1 - bound) * lost, 1, rel_tol=1e-6)


@given(bound=bounds)
def test_it_starts_at_one(bound: float) -> None:
    assert math.isclose(log_wealth(0, 0, bound), 0, abs_tol=1e-9)


@given(good=st.integers(1, 3000), bad=counts, low=bounds, high=bounds)
def test_evidence_sinks_as_the_bound_rises(good: int, bad: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert log_wealth(good, bad, low) >= log_wealth(good, bad, high) - 1e-9


@given(good=counts, bad=counts, bound=bounds, confidence=st.floats(0.5, 0.9999))
def test_a_decision_is_what_all_bettors_together_say(good: int, bad: int, bound: float, confidence: float) -> None:
    """Also where the richest of them alone does not tell."""
    limit = math.log(2 / (1 - confidence))
    answer = decide(good, good + bad, bound, confidence=confidence)
    assert (answer is Answer.HOLDS) == (log_wealth(good, bad, bound) >= limit)
    if answer is not Answer.HOLDS:
        assert (answer is Answer.VIOLATED) == (log_wealth(bad, good, 1 - bound) >= limit)


@given(good=counts, bad=counts, bound=bounds, confidence=st.floats(0.5, 0.9999))
def test_never_both_ways(good: int, bad: int, bound: float, confidence: float) -> None:
    answer = decide(good, good + bad, bound, confidence=confidence)
    if good + bad:
        share = good / (good + bad)
        assert answer is not Answer.HOLDS or share > bound
        assert answer is not Answer.VIOLATED or share < bound


@settings(max_examples=60)
@given(good=counts, bad=counts, confidence=st.floats(0.5, 0.9999))
def test_the_interval_holds_what_was_observed(good: int, bad: int, confidence: float) -> None:
    found = interval(good, good + bad, confidence=confidence)
    assert 0 <= found.low <= found.high <= 1
    if good + bad:
        assert found.low <= good / (good + bad) + 1e-9
        assert found.high >= good / (good + bad) - 1e-9


def test_a_bad_system_is_not_passed_by_looking_often() -> None:
    """At the bound, a look at every tenth event for 3,000 events: one-sided, so at most 5 % of 400 runs, and chance."""
    chance = random.Random(7)
    passed = 0
    for _ in range(400):
        good = 0
        for total in range(1, 3001):
            good += chance.random() < 0.95
            if total % 10 == 0 and decide(good, total, 0.95, confidence=0.9) is Answer.HOLDS:
                passed += 1
                break
    assert passed <= 36, "more have a chance of less than 1 in 1,000 at a true rate of 5 %"


def test_edges_are_answers_too() -> None:
    assert decide(10**6, 10**6, 1.0, confidence=0.95) is Answer.UNDECIDED
    assert decide(10**6 - 1, 10**6, 1.0, confidence=0.95) is Answer.VIOLATED
    assert decide(0, 5, 0.0, confidence=0.95) is Answer.HOLDS
    assert decide(0, 0, 0.0, confidence=0.95) is Answer.UNDECIDED


def test_a_clean_system_is_decided_soon() -> None:
    assert decide(620, 620, 0.99, confidence=1 - 0.05 / 6) is Answer.HOLDS
