"""What a locustfile says of an answer counts: what it takes for a failure was green before."""

from __future__ import annotations

import pytest

from chaos.expectations.client import ClientExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.values.load import LoadCell, LoadSecond

WINDOW = Window(0.0, 10.0)


@pytest.mark.parametrize(
    ("good", "status", "judged", "counts"),
    [
        (Good(status="<500"), 200, False, False),
        (Good(within="1s"), 200, False, False),
        (Good(within="1s"), 503, True, True),
        (Good(status="2xx"), 503, True, False),
        (Good(status="2xx"), 200, None, True),
        (Good(within="1s"), 200, True, True),
    ],
)
def test_the_locustfile_decides_unless_a_status_is_declared(
    good: Good, status: int, judged: bool | None, counts: bool
) -> None:
    evidence = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    cell = LoadCell(request="orders", status=status, judged=judged, latencies={20.0: 5})
    evidence.load.add([LoadSecond(at=1.0, intended=5, sent=5, cells=(cell,))])
    one = ClientExpectation("orders are right", good=good, at_least="99%")
    found = one.tally(evidence, WINDOW, "staging")
    assert (found.good, found.total) == (5 * counts, 5)
    told = f"{status} with failure()" if judged is False else str(status)
    assert one.statuses(evidence, WINDOW, "staging") == {told: 5}
