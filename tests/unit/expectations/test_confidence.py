from __future__ import annotations

import random

import pytest

from chaos.expectations.confidence import decide, interval
from chaos.values.answers import Answer


def test_without_events_nothing_is_decided() -> None:
    assert decide(0, 0, 0.99, confidence=0.95) is Answer.UNDECIDED
    found = interval(0, 0, confidence=0.95)
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(("bound", "most"), [(0.99, 720), (0.95, 145), (0.5, 20)])
def test_a_system_without_bad_events_is_decided_soon(bound: float, most: int) -> None:
    assert decide(most, most, bound, confidence=1 - 0.05 / 9) is Answer.HOLDS


def test_a_broken_system_is_decided_at_once() -> None:
    assert decide(0, 10, 0.99, confidence=0.999) is Answer.VIOLATED
    assert decide(50, 100, 0.95, confidence=0.999) is Answer.VIOLATED


@pytest.mark.parametrize(("good", "total"), [(0, 50), (50, 50), (990, 1000), (300, 1000), (3, 1000), (99_000, 100_000)])
def test_the_interval_is_what_decide_leaves_open(good: int, total: int) -> None:
    found = interval(good, total, confidence=0.95)
    assert 0 <= found.low <= good / total <= found.high <= 1
    for bound in (0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.95, 0.985, 0.99, 0.995):
        answer = decide(good, total, bound, confidence=0.95)
        if bound < found.low - 1e-6:
            assert answer is Answer.HOLDS
        elif bound > found.high + 1e-6:
            assert answer is Answer.VIOLATED
        elif found.low + 1e-6 < bound < found.high - 1e-6:
            assert answer is Answer.UNDECIDED


def test_more_confidence_takes_more_events() -> None:
    narrow, wide = interval(900, 1000, confidence=0.9), interval(900, 1000, confidence=0.999)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("share", [0.99, 0.9, 0.5, 0.05])
def test_looking_at_every_event_does_not_cheat(share: float) -> None:
    """A system exactly at the bound is decided wrongly in at most 10 % of runs, however often it is looked at.

    400 runs of 1,500 looks: at a true rate of 10 %, more than 61 wrong ones have a chance of less than 1 in 1,000.
    """
    chance = random.Random(f"peeking {share}")
    wrong = 0
    for _ in range(400):
        good = 0
        for total in range(1, 1501):
            good += chance.random() < share
            if total % 5 == 0 and decide(good, total, share, confidence=0.9) is not Answer.UNDECIDED:
                wrong += 1
                break
    assert wrong <= 61


def test_a_system_that_is_good_enough_is_found_so() -> None:
    chance = random.Random("power")
    good = sum(chance.random() < 0.998 for _ in range(4000))
    assert decide(good, 4000, 0.99, confidence=0.99) is Answer.HOLDS
