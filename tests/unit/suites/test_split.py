"""The exact test of a split: what it lets pass, what it finds, and how many requests it takes."""

from __future__ import annotations

import random

import pytest

from chaos_suites.split import disagreement, requests_for

GUIDE = {"v1": 90, "v2": 10}


def drawn(weights: dict[str, int], times: int, rng: random.Random) -> dict[str, int]:
    seen = rng.choices(list(weights), weights=list(weights.values()), k=times)
    return {version: seen.count(version) for version in weights}


def test_right_splits_pass_and_those_that_are_off_by_the_precision_hardly_do() -> None:
    rng, times = random.Random(1), requests_for(GUIDE, 0.05)
    assert not any(disagreement(drawn(GUIDE, times, rng), GUIDE) for _ in range(100))
    missed = sum(not disagreement(drawn({"v1": 85, "v2": 15}, times, rng), GUIDE) for _ in range(100))
    assert missed <= 5


@pytest.mark.parametrize(
    ("seen", "weights"),
    [
        ({"v1": 999, "v2": 1}, {"v1": 100, "v2": 0}),
        ({"v1": 1000}, {"v1": 90, "v2": 10}),
        ({"v1": 900, "v2": 99, "v3": 1}, {"v1": 90, "v2": 10}),
        ({"unknown": 1000}, {"v1": 90, "v2": 10}),
        ({"v1": 333, "v2": 333, "v3": 334}, {"v1": 50, "v2": 25, "v3": 25}),
    ],
)
def test_what_surely_is_another_split_is_named(seen: dict[str, int], weights: dict[str, int]) -> None:
    assert "and its weight is" in disagreement(seen, weights)


def test_all_or_nothing_is_exact() -> None:
    assert disagreement({"v1": 50}, {"v1": 100, "v2": 0}) == ""
