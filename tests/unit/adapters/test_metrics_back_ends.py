"""Prometheus' adapter against other back ends, as ``tests.support.back_ends`` imitates them."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.errors import MetricsError
from chaos.values.questions import Durations, Requests
from tests.support.back_ends import FEDERATED, REPLICAS, TWO_JOBS, Answer, BackEnd, Copy, serving, stored

HOST = "order-svc.staging.svc.cluster.local"
LABELS = {"job": "envoy-stats", "instance": "10.0.0.1", "source_workload": "order-svc"}


def test_lag_hides_what_is_young() -> None:
    now = time.time()
    with serving(stored((LABELS, [(now - 30, 1), (now - 10, 2)])), BackEnd(lag=20)) as made:
        (series,) = PrometheusMetrics(made.url).samples(Requests(host=HOST), seconds=60)
    assert [value for _, value in series.samples] == [1]


@pytest.mark.parametrize("copies", [REPLICAS, TWO_JOBS, FEDERATED])
def test_copies_are_series_of_their_own(copies: tuple[Copy, ...]) -> None:
    with serving(stored((LABELS, [(time.time() - 10, 1)])), BackEnd(copies=copies)) as made:
        found = PrometheusMetrics(made.url).samples(Requests(host=HOST), seconds=60)
    assert len({tuple(sorted(one.labels.items())) for one in found}) == 2
    assert all(one.labels["source_workload"] == "order-svc" for one in found)


def test_labels_and_buckets_that_are_missing_are_met_by_no_query() -> None:
    asked: list[str] = []
    upstream = stored(({**LABELS, "le": "1000"}, [(time.time() - 10, 1)]))

    def noted(path: str, given: Mapping[str, str]) -> Answer:
        asked.append(given["query"])
        return upstream(path, given)

    with serving(noted, BackEnd(without_labels=["destination_service"], without_buckets=["1000"])) as made:
        assert PrometheusMetrics(made.url).samples(Durations(host=HOST, within=1000), seconds=60) == []
    assert f'absent_destination_service="{HOST}"' in asked[0]


@pytest.mark.parametrize(
    "back_end", [BackEnd(warnings=["a store does not answer"]), BackEnd(partial_field=True, partial=True)]
)
def test_an_answer_in_part_is_none(back_end: BackEnd) -> None:
    upstream = stored((LABELS, [(time.time() - 10, 1)]))
    with serving(upstream, back_end) as made, pytest.raises(MetricsError, match=r"only in part: (a store|isPartial)"):
        PrometheusMetrics(made.url).samples(Requests(host=HOST), seconds=60)


def test_what_only_speaks_of_warnings_is_whole() -> None:
    labels = {**LABELS, "warnings": "none"}
    with serving(stored((labels, [(time.time() - 10, 1)])), BackEnd(partial_field=True)) as made:
        assert PrometheusMetrics(made.url).samples(Requests(host=HOST), seconds=60)


NOT_A_COUNTER = 'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "orders"'
OTHER_TYPES = "PromQL info: incompatible sample types encountered for binary operator"


@pytest.mark.parametrize("back_end", [BackEnd(warnings=[NOT_A_COUNTER]), BackEnd(infos=[NOT_A_COUNTER])])
def test_a_remark_on_a_query_that_read_all_samples_makes_no_answer_a_part(back_end: BackEnd) -> None:
    with serving(stored((LABELS, [(time.time() - 10, 1)])), back_end) as made:
        assert PrometheusMetrics(made.url).samples(Requests(host=HOST), seconds=60)


@pytest.mark.parametrize(
    "back_end",
    [
        BackEnd(warnings=[OTHER_TYPES]),
        BackEnd(infos=[OTHER_TYPES]),
        BackEnd(warnings=["PromQL warning: quantile value …"]),
    ],
)
def test_samples_that_a_query_could_not_use_decide_nothing_and_the_query_is_named(back_end: BackEnd) -> None:
    upstream = stored((LABELS, [(time.time() - 10, 1)]))
    with (
        serving(upstream, back_end) as made,
        pytest.raises(MetricsError, match=r"not use all samples .*: PromQL") as caught,
    ):
        PrometheusMetrics(made.url).samples(Requests(host=HOST), seconds=60)
    assert "correct the query" in str(caught.value.hint)
