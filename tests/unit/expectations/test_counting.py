from __future__ import annotations

from chaos.expectations.counting import Count, Counter, count
from chaos.values.series import Series

SOURCE = ("job", "one")


def series(*samples: tuple[float, float]) -> Series:
    return Series(labels={"job": "job", "instance": "one"}, samples=samples)


def counted(one: Series, start: float, end: float, *scrapes: float, interval: float = 1.0) -> Count:
    return count(
        Counter.of(one),
        start,
        end,
        scrapes={SOURCE: sorted({*scrapes, *(at for at, _ in one.samples)})},
        interval=interval,
    )


def test_from_the_first_sample_inside_to_the_last() -> None:
    one = series((1, 10), (2, 15), (3, 21), (4, 30))
    assert counted(one, 1.5, 3.5) == Count(6)
    assert counted(one, 1, 4) == Count(20)
    assert counted(one, 0.5, 9) == Count(20)


def test_too_few_samples_count_nothing() -> None:
    one = series((1, 10), (2, 15))
    assert counted(one, 1.5, 1.9) == Count(0)
    assert counted(one, 1.5, 2.5) == Count(0), (
        "what was counted before the window's first sample is not sure to be inside"
    )
    assert counted(series(), 0, 9) == Count(0)


def test_a_newborn_counts_from_zero_if_its_process_was_seen_without_it() -> None:
    born = series((3, 7), (4, 9))
    assert counted(born, 1.5, 5, 1, 2, 3, 4) == Count(9), "scraped at 2 without the series"
    assert counted(born, 2.5, 5, 1, 2, 3, 4) == Count(2), "its 7 may have happened before the window"
    assert counted(born, 1.0, 5) == Count(9), "two whole intervals passed before it was born"


def test_a_reset_counts_on_and_says_that_some_may_be_missing() -> None:
    assert counted(series((1, 10), (2, 15), (3, 2), (4, 5)), 1, 4) == Count(10, lower_bound=True)


def test_a_vanished_series_counts_to_its_last_sample() -> None:
    assert counted(series((1, 0), (2, 5)), 1, 9) == Count(5)


def test_a_sample_that_was_seen_is_not_taken_twice() -> None:
    growing = Counter.of(series((1, 10), (2, 15)))
    assert list(growing.add(((1, 10), (2, 15), (3, 21)))) == [3]
    assert (growing.times, growing.values) == ([1, 2, 3], [10, 15, 21])
    assert growing.changes == [1, 2]
