"""A measured share is told with the digits that it carries, and never claims more than was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.expectations.bound import Bound
from chaos.expectations.confidence import interval
from chaos.values.answers import Interval
from chaos.values.quantities import format_confidence, format_number, format_share, measured_share


@pytest.mark.parametrize(
    ("share", "low", "high", "told"),
    [
        (8 / 15, 0.2134, 0.8351, "53% (21% to 84%)"),
        (0.97, 0.951, 0.9897, "97.0% (95.1% to 99.0%)"),
        (0.99612, 0.99051, 0.99874, "99.61% (99.05% to 99.88%)"),
        (1.0, 0.98927, 1.0, "100% (98.9% to 100%)"),
        (0.0, 0.0, 0.29, "0% (0% to 29%)"),
        (0.9999991, 0.9999989, 0.9999995, "99.9999% (99.9998% to 100.0000%)"),
        (0.5, 0.5, 0.5, "50.0000% (50.0000% to 50.0000%)"),
    ],
)
def test_two_digits_of_the_interval_count(share: float, low: float, high: float, told: str) -> None:
    assert Interval(low=low, high=high, confidence=0.99).around(share) == told


def test_a_bound_that_is_excluded_looks_excluded() -> None:
    found = Interval(low=0.951, high=0.9897, confidence=0.99)
    assert found.around(0.97, bound=0.99) == "97.00% (95.10% to 98.97%)"


@given(good=st.integers(0, 5000), bad=st.integers(0, 5000), bound=st.integers(100, 9999))
def test_more_is_never_claimed_than_was_measured(good: int, bad: int, bound: int) -> None:
    if not good + bad:
        return
    found = interval(good, good + bad, confidence=0.99)
    told = measured_share(good / (good + bad), found.low, found.high, bound=bound / 10_000)
    share, low, high = (float(one.removesuffix("%")) / 100 for one in told)
    assert low - 1e-9 <= found.low <= found.high <= high + 1e-9
    assert low - 1e-9 <= share <= high + 1e-9
    if good and bad:
        assert 0 < share < 1, "one good or bad event is seen in the share"


def test_declared_shares_stay_as_they_were_written() -> None:
    assert [format_share(share) for share in (0.99, 0.9953, 0.999999, 1.0)] == ["99%", "99.53%", "99.9999%", "100%"]


def test_a_confidence_is_told_by_what_it_leaves() -> None:
    assert [format_confidence(one) for one in (0.95, 0.994444, 0.99375, 0.9999167)] == [
        "95%", "99.44%", "99.37%", "99.9916%",
    ]  # fmt: skip


def test_a_relative_bound_says_what_it_came_to() -> None:
    assert Bound(share=0.005, relative=True).resolved(0.98874) == "baseline - 0.5% (here 98.87%)"
    assert Bound(share=0.99).resolved(0.99) == "99%"


def test_large_numbers_have_no_exponent() -> None:
    assert [format_number(one, 2) for one in (123.4, 0.01234, 25.0, 0.0)] == ["120", "0.012", "25", "0"]
    assert [format_number(one) for one in (1234567.0, 268435456, 0.1)] == ["1234567", "268435456", "0.1"]
    assert [format_number(one) for one in (float("inf"), float("nan"))] == ["inf", "nan"]
