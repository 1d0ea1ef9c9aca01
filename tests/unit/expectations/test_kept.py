"""What is kept of times that are long past is what is found from scratch, also where a series goes on that seemed to have ended."""

from __future__ import annotations

from chaos.expectations.evidence import Evidence, Window
from chaos.values.questions import Requests
from chaos.values.series import Series

ORDERS = Requests(host="order-svc.staging.svc.cluster.local")


def told(replica: str, *seconds: int) -> Series:
    labels = {"job": "p", "instance": replica, "response_code": "200"}
    return Series(labels=labels, samples=tuple((float(at), 10.0 * at) for at in seconds))


def lower_bounds(evidence: Evidence) -> list[bool]:
    """Whether something may be missing in each of some windows, one after the other."""

    def missing(window: Window) -> bool:
        return any(count.lower_bound for _, count in evidence.counted(ORDERS, window))

    return list(evidence.each(missing, lambda place: Window(10.0, 40.0 + place), 12, key="missing"))


def test_a_series_that_goes_on_after_a_gap_had_not_ended() -> None:
    evidence, again = (Evidence(scrape_interval=1.0, histogram_lag=1.0) for _ in range(2))
    evidence.add(ORDERS, [told("a", *range(41)), told("b", *range(58))])
    assert lower_bounds(evidence)[-1]
    evidence.add(ORDERS, [told("a", 58, 59), told("b", 58, 59)])
    again.add(ORDERS, [told("a", *range(41), 58, 59), told("b", *range(60))])
    assert lower_bounds(evidence) == lower_bounds(again)
