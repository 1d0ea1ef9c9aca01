"""Requests of one hop, as clusters store them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaos.expectations.evidence import Evidence
from chaos.testing.shop import Shop
from chaos.testing.storage import FEDERATED, REPLICAS, TWO_JOBS, Copy
from chaos.values.questions import Requests
from chaos_suites.counting import so_far

QUESTION = Requests(host="inventory-svc.staging.svc.cluster.local")


@pytest.mark.parametrize(
    "copies", [(Copy({}),), REPLICAS, TWO_JOBS, FEDERATED], ids=["once", "pair", "jobs", "federated"]
)
def test_a_proxy_that_is_stored_twice_counts_once(copies: Sequence[Copy]) -> None:
    """Else the mesh seems to count twice as many requests as were sent, and somebody else to call."""
    shop = Shop(others=5.0)
    shop.metrics.storage.copies = copies
    evidence = Evidence(scrape_interval=1, histogram_lag=0)
    counts = []
    for _ in range(2):
        shop.clock.sleep(10)
        counts.append(so_far(shop.metrics, evidence, QUESTION, "order-svc", ["response_code"]))
    assert (counts[1] - counts[0]).total() == pytest.approx(50, abs=6)
