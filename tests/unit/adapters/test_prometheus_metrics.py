"""How questions are put in PromQL; the answers are tested against a real Prometheus."""

from __future__ import annotations

import re

import pytest

from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.istio.metrics import BUCKETS_MS
from chaos.values.questions import (
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
