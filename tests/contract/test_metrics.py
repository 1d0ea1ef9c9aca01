"""What every ``Metrics`` has to do: Prometheus on the lab, and those of the shop in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.expectations.evidence import Evidence
from chaos.istio.metrics import caller_of, server_of
from chaos.lab.state import LabState
from chaos.model.prometheus import Prometheus
from chaos.ports import Metrics
from chaos.testing.shop import Shop
from chaos.values.held import LABELS
from chaos.values.questions import (
    COMPARED,
    FALSE,
    LEAST,
    MOST,
    NO_DATA,
    TRUE,
    Alerts,
    Comparison,
    Convergence,
    Durations,
    Edges,
    End,
    ProcessorTime,
    ProxyMemory,
    Pushes,
    Question,
    Requests,
    Side,
)
from tests.support import loopback
from tests.support.back_ends import (
    FEDERATED,
    REPLICAS,
    TWO_JOBS,
    Copy,
    back_ends,
    given_access,
    prometheus,
    serving,
)
from tests.support.waiting import until

HOST = "order-svc.staging.svc.cluster.local"
REQUESTS = 30
HOLDS, DOES_NOT, UNKNOWN = "sum(up) > 0", "sum(up) < 1", "nobody_counts_this > 1"


@dataclass
class Mesh:
    """Its metrics, after ``REQUESTS`` were counted at least; ``pause`` lets time go on."""

    metrics: Metrics
    pause: Callable[[float], None]


def on_the_lab_are_requests(lab: LabState) -> None:
    metrics = PrometheusMetrics(lab.prometheus)
    if not total(metrics, Durations(host=HOST)):
        for number in range(REQUESTS):
            loopback.get(f"{lab.entry}/orders/{number}")
    until(lambda: total(metrics, Durations(host=HOST)) >= REQUESTS, "the requests are counted")


def on_the_lab(request: pytest.FixtureRequest) -> Mesh:
    lab: LabState = request.getfixturevalue("lab")
    metrics = PrometheusMetrics(lab.prometheus)
    on_the_lab_are_requests(lab)

    def pause(seconds: float) -> None:
        end = metrics.now() + seconds
        until(lambda: metrics.now() > end)

    return Mesh(metrics, pause)


def in_memory(request: pytest.FixtureRequest) -> Mesh:
    shop = Shop()
    shop.traffic.rate = REQUESTS
    shop.metrics.untrue.add(DOES_NOT)
    shop.metrics.unknown.add(UNKNOWN)
    shop.clock.sleep(3)
    return Mesh(shop.metrics, shop.clock.sleep)


def total(metrics: Metrics, question: Question) -> float:
    return sum(series.samples[-1][1] for series in metrics.samples(question, seconds=60))


@pytest.fixture(scope="module", params=[pytest.param(on_the_lab, marks=pytest.mark.lab), in_memory])
def mesh(request: pytest.FixtureRequest) -> Mesh:
    found: Mesh = request.param(request)
    return found


@pytest.fixture
def metrics(mesh: Mesh) -> Metrics:
    return mesh.metrics


def test_its_clock_goes_on_and_its_scrapes_are_known(mesh: Mesh, metrics: Metrics) -> None:
    before = metrics.now()
    mesh.pause(1.5)
    assert before + 1 < metrics.now() < before + 60
    assert metrics.scrape_interval() == 1.0
    assert isinstance(metrics.version(), str)


def test_requests_are_counted_by_caller_status_and_flags(metrics: Metrics) -> None:
    found = metrics.samples(Requests(host=HOST), seconds=60)
    assert sum(series.samples[-1][1] for series in found) >= REQUESTS
    for series in found:
        assert {
            "source_workload",
            "source_workload_namespace",
            "response_code",
            "response_flags",
        } <= series.labels.keys()
        assert series.labels["reporter"] in ("source", "waypoint")


def test_edges_are_found_by_either_end(metrics: Metrics) -> None:
    for end in End:
        found = metrics.samples(Edges(namespace="staging", end=end), seconds=60)
        calls = {(one.labels["source_workload"], one.labels["destination_service"]) for one in found}
        assert ("order-svc", "inventory-svc.staging.svc.cluster.local") in calls
        assert ("staging/order-svc", "staging/inventory-svc") in {
            (caller_of(one.labels), server_of(one.labels)) for one in found
        }
        assert {one.labels["reporter"] for one in found} <= {"source", "waypoint"}
        assert list(metrics.samples(Edges(namespace="nowhere", end=end), seconds=60)) == []


@pytest.mark.parametrize(
    "question", [Pushes(), Convergence(), ProcessorTime(), ProxyMemory(namespace="staging")], ids=str
)
def test_istiod_and_the_proxies_tell_of_themselves(metrics: Metrics, question: Question) -> None:
    found = metrics.samples(question, seconds=60)
    assert found
    for series in found:
        assert {"pod", "instance"} <= series.labels.keys()
        assert (isinstance(question, Convergence) and float(series.labels["le"]) > 0) or "le" not in series.labels
    if isinstance(question, ProxyMemory):
        assert all(1e6 < series.samples[-1][1] < 200e6 for series in found), "in bytes"
        assert not metrics.samples(ProxyMemory(namespace="nowhere"), seconds=60)


def test_an_alert_without_a_rule_has_no_series(metrics: Metrics) -> None:
    found = metrics.samples(Alerts(name="NobodyHasThisRule"), seconds=60)
    assert "NobodyHasThisRule" not in {one.labels["alertname"] for one in found}


def test_samples_are_raw_in_the_order_of_time_and_of_the_last_seconds(mesh: Mesh, metrics: Metrics) -> None:
    mesh.pause(3)
    (first, *_) = metrics.samples(Requests(host=HOST), seconds=60)
    assert all(one[0] < two[0] and one[1] <= two[1] for one, two in pairwise(first.samples))
    since = metrics.now() - 10
    for series in metrics.samples(Requests(host=HOST), seconds=10):
        assert all(at > since - 1 for at, _ in series.samples)


def test_durations_within_a_bound_are_a_part_of_all(metrics: Metrics) -> None:
    quick, every, slow = (total(metrics, Durations(host=HOST, within=bound)) for bound in (0.5, None, 10_000))
    assert 0 <= quick < every <= slow, "others may send requests meanwhile"


def test_what_was_never_counted_has_no_series(metrics: Metrics) -> None:
    for question in (
        Requests(host="nobody.staging.svc.cluster.local"),
        Durations(host="nobody", within=1000),
    ):
        assert list(metrics.samples(question, seconds=60)) == []
    assert total(metrics, Requests(host=HOST, side=Side.CALLED)) >= 0


@pytest.mark.parametrize(("promql", "held"), [(HOLDS, TRUE), (DOES_NOT, FALSE), (UNKNOWN, NO_DATA)])
def test_a_comparison_has_one_sample_of_now(metrics: Metrics, promql: str, held: float) -> None:
    found = metrics.samples(Comparison(promql=promql), seconds=60)
    (((at, value),),) = [series.samples for series in found if not series.labels]
    assert (value, abs(at - metrics.now()) < 5) == (held, True)


@pytest.mark.lab
def test_prometheus_tells_the_range_of_what_was_compared(lab: LabState) -> None:
    metrics = PrometheusMetrics(lab.prometheus)

    def compared(promql: str) -> dict[str, float]:
        found = metrics.samples(Comparison(promql=promql), seconds=60)
        return {series.labels[COMPARED]: series.samples[0][1] for series in found if series.labels}

    assert compared("up > 7") == {LEAST: 1.0, MOST: 1.0}, "it is false, and says by which values"
    assert compared("2 < time() - time() + sum(up)")[LEAST] > 2
    assert compared(UNKNOWN) == {}


def test_what_there_is_of_istios_metrics_is_known(metrics: Metrics) -> None:
    held = metrics.held()
    assert held.requests
    assert held.labels == set(LABELS)
    assert {0.5, 1000, 10_000} <= held.bounds


@pytest.mark.lab
def test_what_a_prometheus_lacks_is_known(lab: LabState) -> None:
    on_the_lab_are_requests(lab)
    with serving(prometheus(lab.prometheus)) as made:
        metrics = PrometheusMetrics(made.url)
        for label in LABELS:
            made.back_end.without_labels = [label]
            assert set(LABELS) - metrics.held().labels == {label}
        made.back_end.without_labels, made.back_end.without_buckets = [], ["1000", "1000.0"]
        assert 500 in metrics.held().bounds
        assert 1000 not in metrics.held().bounds
        made.back_end.without_metrics = ["istio_requests_total"]
        assert not metrics.held().requests


@pytest.mark.lab
@pytest.mark.parametrize("copies", [REPLICAS, TWO_JOBS, FEDERATED])
def test_copies_of_a_real_prometheus_count_once(lab: LabState, copies: tuple[Copy, ...]) -> None:
    on_the_lab_are_requests(lab)
    found = []
    with serving(prometheus(lab.prometheus)) as made:
        metrics = PrometheusMetrics(made.url)
        at = metrics.now()
        for made.back_end.copies in ((), copies):
            evidence = Evidence(scrape_interval=1.0, histogram_lag=5.0)
            for question in (Requests(host=HOST), Durations(host=HOST), Durations(host=HOST, within=1000)):
                evidence.add(question, metrics.samples(question, seconds=60, at=at))
            found.append([len(evidence.counters(one)) for one, _ in evidence.answered()])
    assert all(found[0])
    assert found[1] == found[0]


def test_a_question_can_be_told(metrics: Metrics) -> None:
    told = {
        metrics.wording(one) for one in (Requests(host=HOST), Durations(host=HOST), Durations(host=HOST, within=1000))
    }
    assert len(told) == 3
    assert all(HOST in text for text in told)


@pytest.mark.lab
def test_each_back_end_answers_as_the_prometheus_behind_it(
    lab: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Requests(host=HOST), Edges(namespace="staging", end=End.CALLER)
    direct = PrometheusMetrics(lab.prometheus)
    at = direct.now() - 1
    for name, access in given_access(tmp_path, monkeypatch).items():
        with serving(prometheus(lab.prometheus), back_ends()[name]) as made:
            metrics = PrometheusMetrics(Prometheus(made.url, **access))
            assert abs(metrics.now() - direct.now()) < 5, name
            for question in asked:
                expected, found = (one.samples(question, seconds=30, at=at) for one in (direct, metrics))
                assert sorted(found, key=str) == sorted(expected, key=str), name
            assert metrics.samples(Comparison(promql=HOLDS), seconds=60)[0].samples[0][1] == TRUE, name
