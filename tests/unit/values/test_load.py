"""Latencies of a second: one way to take a quantile of them, for pictures and tables alike."""

from __future__ import annotations

import pytest

from chaos.values.load import LoadCell, LoadSecond


def second(*cells: dict[float, int]) -> LoadSecond:
    told = tuple(LoadCell(request="r", status=200, latencies=latencies) for latencies in cells)
    return LoadSecond(at=0.0, intended=0, sent=0, cells=told)


@pytest.mark.parametrize(
    ("cells", "share", "found"),
    [
        ([{1.0: 99, 500.0: 1}], 0.99, 1.0),
        ([{1.0: 98, 500.0: 2}], 0.99, 500.0),
        ([{1.0: 7, 500.0: 93}], 0.07, 1.0),
        ([{1.0: 1}, {3.0: 1}, {2.0: 1}], 0.5, 2.0),
        ([{1.0: 1, 2.0: 1}], 0.5, 1.0),
        ([{1.0: 1}, {9.0: 3}], 1.0, 9.0),
        ([{5.0: 1}], 0.99, 5.0),
        ([{0.0: 2}], 0.5, 0.0),
        ([], 0.99, None),
        ([{}], 0.99, None),
    ],
)
def test_a_quantile_is_the_latency_that_so_many_answers_did_not_exceed(
    cells: list[dict[float, int]], share: float, found: float | None
) -> None:
    assert second(*cells).quantile(share) == found
