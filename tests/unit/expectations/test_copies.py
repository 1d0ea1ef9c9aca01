"""Of several series for the same requests one counts, whoever made the others."""

from __future__ import annotations

import pytest

from chaos.expectations.evidence import Evidence
from chaos.istio.metrics import process_of
from chaos.values.questions import Requests
from chaos.values.series import Series

ASKED = Requests(host="order-svc.staging.svc.cluster.local")
PROXY = {
    "job": "pods",
    "instance": "10.0.0.1:15020",
    "pod": "a-1",
    "reporter": "source",
    "source_workload_namespace": "staging",
}


def series(*times: float, **labels: str) -> Series:
    return Series(labels={**PROXY, **labels}, samples=tuple((at, 1.0) for at in times))


def counted(*answers: list[Series]) -> list[str]:
    """Which series count, by their label ``id``, after some answers."""
    evidence = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    for answer in answers:
        evidence.add(ASKED, answer)
    return sorted(one.labels["id"] for one in evidence.counters(ASKED))


OTHER = {"job": "envoy-stats", "instance": "10.0.0.1:15090"}


def test_the_scraper_with_the_most_samples_is_taken_and_kept() -> None:
    few, many = series(1, 4, id="few"), series(*range(1, 5), id="many", **OTHER)
    assert counted([few, many]) == ["many"]
    later = series(*range(5, 9), id="few later", response_code="503")
    assert counted([few, many], [later, few]) == ["many"]


def test_a_process_is_known_by_its_pod_or_by_its_address() -> None:
    assert counted([series(1, 2, id="one"), series(1.3, 2.3, id="two", **OTHER, pod="a-2")]) == ["one", "two"]
    bare = [
        Series(labels={"id": name, "job": job, "instance": f"10.0.0.1:{port}"}, samples=((1.0, 1.0), (2.0, 1.0)))
        for name, job, port in (("a", "x", 15020), ("b", "y", 15090), ("c", "y", 9000))
    ]
    assert counted(bare) == ["a", "c"]
    assert process_of({"response_code": "200"}) == ""


def test_series_of_unknown_processes_all_count() -> None:
    assert counted([Series(labels={"id": name}, samples=((1.0, 1.0),)) for name in "ab"]) == ["a", "b"]


def test_a_label_of_the_requests_makes_no_copy() -> None:
    assert counted([series(1, 2, 3, id=name, request_method=name) for name in ("GET", "POST")]) == ["GET", "POST"]


def test_a_newborn_twin_of_another_replica_waits_for_a_sample_that_tells() -> None:
    def scraped(until: int, since: int, name: str) -> list[Series]:
        ours, theirs = list(range(since, until)), [at + 0.4 for at in range(since, until)]
        return [series(*theirs, id=f"b{name}", team="b"), series(*ours, id=f"a{name}", team="a")]

    assert counted(scraped(3, 1, ""), scraped(4, 1, "") + scraped(4, 3, " FI")) == ["a", "a FI"]
    assert counted(scraped(3, 1, ""), scraped(4, 1, "") + scraped(4, 3, " FI"), scraped(5, 3, " FI")) == ["a", "a FI"]


def test_what_a_process_counts_after_a_pause_counts() -> None:
    assert counted([series(1, 2, id="before")], [series(60, 61, id="after", response_code="503")]) == [
        "after",
        "before",
    ]


@pytest.mark.parametrize("own", ["source", "destination"])
def test_pods_of_the_same_name_in_two_namespaces_are_two(own: str) -> None:
    labels = {"reporter": own, "pod": "web-0"}
    assert process_of({**labels, f"{own}_workload_namespace": "a"}) != process_of(
        {**labels, f"{own}_workload_namespace": "b"}
    )
