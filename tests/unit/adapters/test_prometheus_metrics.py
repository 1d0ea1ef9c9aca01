"""How questions are put in PromQL; the answers are tested against a real Prometheus."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.errors import MetricsError
from chaos.istio.metrics import BUCKETS_MS
from chaos.values.questions import (
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
    Rejections,
    Requests,
    Side,
)
from tests.support.back_ends import BackEnd, serving, stored

HOST = "order-svc.staging.svc.cluster.local"
METRICS = PrometheusMetrics("http://127.0.0.1:9090")


@pytest.mark.parametrize(("question", "wording"), [
    (Requests(host=HOST), f'istio_requests_total{{reporter=~"source|waypoint",destination_service="{HOST}"}}'),
    (Requests(host=HOST, side=Side.CALLED), f'istio_requests_total{{reporter="destination",destination_service="{HOST}"}}'),
    (Durations(host=HOST), f'istio_request_duration_milliseconds_count{{reporter=~"source|waypoint",destination_service="{HOST}"}}'),
    (Edges(namespace="shop", end=End.CALLER), 'istio_requests_total{reporter=~"source|waypoint",source_workload_namespace="shop"}'),
    (Edges(namespace="shop", end=End.SERVICE), 'istio_requests_total{reporter=~"source|waypoint",destination_service_namespace="shop"}'),
    (Comparison(promql="sum(up) > 3"), "sum(up) > 3"),
    (Pushes(), 'pilot_xds_pushes{type!~".*err"}'),
    (Convergence(), "pilot_proxy_convergence_time_bucket"),
    (ProcessorTime(), 'process_cpu_seconds_total{pod=~"istiod.*"}'),
    (ProxyMemory(namespace="shop"), 'envoy_server_memory_allocated{namespace="shop"}'),
    (Rejections(), "pilot_total_xds_rejects"),
])  # fmt: skip
def test_counters_are_asked_for_raw(question: Question, wording: str) -> None:
    assert METRICS.wording(question) == wording


@pytest.mark.parametrize(("bound", "written"), [
    (0.5, ["0.5"]), (1000, ["1000", "1000.0"]), (300000, ["300000", "300000.0"]),
    (1800000, ["1800000", "1800000.0", "1.8e+06"]), (3600000, ["3600000", "3.6e+06"]),
])  # fmt: skip
def test_a_bucket_is_found_however_its_bound_is_written(bound: float, written: list[str]) -> None:
    found = re.search(r'_bucket\{.*le=~"([^"]*)"', METRICS.wording(Durations(host=HOST, within=bound)))
    assert found is not None
    pattern = found[1].replace("\\\\", "\\")  # as PromQL reads the string
    for form in written:
        assert re.fullmatch(pattern, form), (pattern, form)
    for other in BUCKETS_MS:
        if other != bound:
            assert not re.fullmatch(pattern, f"{other:g}")


def data(found: Any) -> bytes:
    """An answer in whose data everything is this, whatever was asked for."""
    told = {"resultType": "vector", "result": found, "activeTargets": found, "groups": found}
    return json.dumps({"status": "success", "data": told}).encode()


@pytest.mark.parametrize("answer", [
    b"", b"<html>", b"null", b"[]", b"1", b"{}", b'{"data": null}', b'{"data": []}', b'{"status"', b"[" * 100_000, b"\xe4", gzip.compress(b"{}", mtime=0),
    data(None), data("x"), data([1]), data([{}]), data([{"metric": {"le": "x"}, "value": [1, "x"], "values": [[1, "x"]], "rules": [{}]}]),
])  # fmt: skip
def test_what_is_no_data_is_told_whatever_was_asked(answer: bytes) -> None:
    with serving(stored(), BackEnd(answer=answer)) as made:
        metrics = PrometheusMetrics(made.url)
        questions = (Requests(host=HOST), Alerts(name="x"), Comparison(promql="up > 0"))
        asked = [lambda one=one: metrics.samples(one, seconds=60, at=1.0) for one in questions]
        told = [
            error
            for ask in (metrics.now, metrics.version, metrics.scrape_interval, metrics.held, *asked)
            if (error := error_of(ask))
        ]
    assert told
    for error in told:
        assert f"what answers at {made.url} is no data of Prometheus" in str(error)
        assert error.__cause__ is None


def test_an_alert_waits_as_long_as_the_soonest_of_its_rules() -> None:
    rules = [
        {"name": name, "state": "inactive", "health": "ok", "duration": waits}
        for name, waits in (("Slow", 300), ("Other", 5), ("Slow", 60))
    ]
    with serving(stored(), BackEnd(answer=data([{"rules": rules}]))) as made:
        (series,) = PrometheusMetrics(made.url).samples(Alerts(name="Slow"), seconds=60, at=1.0)
    assert series.labels == {"alertname": "Slow", "for": "60"}


def error_of(ask: Callable[[], object]) -> MetricsError | None:
    """None where some part of the answer could be read: an empty list of targets is one."""
    try:
        ask()
    except MetricsError as error:
        return error
    return None
