"""Errors that come in bursts weigh as much as the independent ones that they are worth, and never more than they are."""

from __future__ import annotations

import random
import statistics

from hypothesis import given
from hypothesis import strategies as st

from chaos.expectations.confidence import decide, interval, log_wealth
from chaos.expectations.dependence import design_effect
from chaos.values.answers import Answer

counts = st.integers(0, 5000)
batches = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda x: (x[0], x[0] + x[1])), max_size=60)
CONFIDENCE = 1 - 0.05 / 11
PUBLISHED = {
    (97, 100): (0.841016, 0.998802), (90, 100): (0.739654, 0.974810), (50, 100): (0.316070, 0.683930),
    (650, 650): (0.992925, 1.0), (647, 650): (0.982449, 0.999827), (585, 650): (0.860592, 0.932411),
    (2400, 2400): (0.998521, 1.0), (2388, 2400): (0.989379, 0.998406), (2160, 2400): (0.880247, 0.917934),
    (10000, 10000): (0.999683, 1.0), (9950, 10000): (0.992387, 0.997021), (5000, 10000): (0.483786, 0.516214),
}  # fmt: skip
"""Confidence sequences of 95 % by confseq 0.0.9, ``bernoulli_confidence_interval(good, total, 0.05, t_opt=1000)``."""


@given(good=counts, bad=counts, bound=st.floats(0.001, 0.999), effect=st.floats(1, 500))
def test_scaled_evidence_keeps_the_guarantee_for_independent_events(
    good: int, bad: int, bound: float, effect: float
) -> None:
    """Jensen's inequality: so it exceeds a limit only where the evidence itself does."""
    assert log_wealth(good / effect, bad / effect, bound) <= log_wealth(good, bad, bound) / effect + 1e-6


@given(found=batches)
def test_an_effect_is_at_least_one_and_at_most_all_events(found: list[tuple[int, int]]) -> None:
    effect = design_effect([one for one in found if one[1]])
    assert 1 <= effect <= max(1, sum(total for _, total in found))


def phase(bad: float, length: int, chance: random.Random, *, seconds: int = 60, rate: int = 80) -> list[bool]:
    """Which of a phase's requests fail: a share of them, in stretches of so many."""
    found: list[bool] = []
    while len(found) < seconds * rate:
        found += [False] * round(chance.expovariate(bad / (1 - bad) / length)) + [True] * length
    start = chance.randrange(length)
    return found[start : start + seconds * rate]


def in_batches(failed: list[bool], *, rate: int = 80) -> list[tuple[int, int]]:
    cut = [failed[at : at + 2 * rate] for at in range(0, len(failed), 2 * rate)]
    return [(len(part) - sum(part), len(part)) for part in cut]


def test_few_batches_that_are_equally_bad_prove_little_and_many_prove_much() -> None:
    """36 bad events in each of them came alone, or all at once: one batch is taken for one burst, seven for single events."""
    effects = [design_effect([(1164, 1200)] * n) for n in range(1, 8)]
    assert [round(one, 1) for one in effects] == [36, 18, 7.2, 3.6, 2.1, 1.4, 1]


def test_events_that_come_evenly_are_independent_also_where_half_of_them_are_bad() -> None:
    """So one attempt for each request is told from more, the sooner the longer it lasts."""
    assert {design_effect([(40, 80)] * n) for n in range(12, 400)} == {1.0}


def test_independent_errors_are_worth_almost_as_much_as_they_are() -> None:
    chance = random.Random(1)
    effects = [design_effect(in_batches(phase(0.03, 1, chance))) for _ in range(300)]
    assert statistics.median(effects) < 1.4


def test_errors_in_clusters_are_worth_about_one_each() -> None:
    chance = random.Random(2)
    effects = [design_effect(in_batches(phase(0.05, 50, chance))) for _ in range(300)]
    assert 30 < statistics.median(effects) < 80


def test_a_bad_system_whose_errors_come_in_clusters_is_not_passed_by_looking_often() -> None:
    """97 % where 99 % is asked for, in clusters of 50: a minute shows some of them to almost everybody."""
    chance = random.Random(3)
    passed = 0
    for _ in range(200):
        every = in_batches(phase(0.03, 50, chance))
        for end in range(15, len(every) + 1):
            good, total = (sum(column) for column in zip(*every[:end], strict=True))
            effect = design_effect(every[:end])
            if good < total and decide(good / effect, total / effect, 0.99, confidence=CONFIDENCE) is Answer.HOLDS:
                passed += 1
                break
    assert passed <= 4


def test_the_intervals_are_those_of_a_published_implementation_but_for_where_the_stakes_are() -> None:
    """Both are mixtures of bets on a share; theirs is a beta distribution's, tuned to 1,000 events."""
    for (good, total), (low, high) in PUBLISHED.items():
        ours = interval(good, total, confidence=0.95)
        assert max(low, ours.low) <= good / total <= min(high, ours.high)
        assert 0.35 < (ours.high - ours.low) / (high - low) < 1.4, (good, total)
