"""What a locustfile says of an answer counts: what it takes for a failure was green before."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.expectations.client import ClientExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.testing.shop import Shop
from chaos.values.load import LoadCell, LoadSecond
from tests.support.plugin_sessions import GOOD

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


@pytest.mark.parametrize(("load", "told"), [
    ("locustfile: mine.py", "the load got no answer that Locust counts (what its tasks raised is in load.log"),
    ("requests: [{path: /orders/42}]", "no event was counted for 'answered'"),
])  # fmt: skip
def test_a_locustfile_of_which_nothing_is_counted_is_told(load: str, told: str, tmp_path: Path) -> None:
    text = GOOD.format(name="silent").replace("requests: [{path: /orders/42}]", load)
    shop = Shop()
    told_until = int(shop.clock.now())

    def poll() -> list[LoadSecond]:
        nonlocal told_until
        seconds = range(told_until, told_until := int(shop.clock.now()))
        return [LoadSecond(at=float(at), intended=0, sent=0) for at in seconds]

    shop.load.start, shop.load.poll = lambda: None, poll  # type: ignore[method-assign]  # its tasks raise before they send
    (reason, *_) = shop.harness(report_dir=tmp_path).run(parse_experiment(text)).verdict.reasons
    assert reason.code == "no-traffic"
    assert told in reason.message
    assert ("Locust counts" in reason.message) == load.startswith("locustfile")
