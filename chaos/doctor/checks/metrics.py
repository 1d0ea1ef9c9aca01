"""Does Prometheus answer, with what decisions need?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos import judge
from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, warning
from chaos.errors import MetricsError
from chaos.values.questions import Edges, End, ProxyMemory

_RECENT: Final = 300.0
_CLOCKS: Final = 30.0
"""Seconds that two clocks may differ."""


def metrics_are_there(examined: Examined) -> Iterator[Finding]:
    """It answers, has Istio's counters with their labels, and samples of the last minutes."""
    metrics = examined.metrics
    try:
        held, now = metrics.held(), metrics.now()
        newest = [
            series.samples[-1][0]
            for name in examined.namespaces
            for series in metrics.samples(Edges(namespace=name, end=End.SERVICE), seconds=_RECENT)
            if series.samples
        ]
        scraped = held.requests or any(
            metrics.samples(ProxyMemory(namespace=name), seconds=_RECENT) for name in examined.namespaces
        )
    except MetricsError as failed:
        yield error(
            f"Prometheus does not answer as expected: {failed.message}",
            cause="its address, the network between, or the credentials",
            hint=failed.hint or "docs/how-to/managed-prometheus.md",
        )
        return
    if not held.requests:
        yield _nobody_counted(scraped=scraped)
        return
    for one in judge.lacking((), held):
        yield error(one.message, cause="a relabelling of Prometheus, or a Telemetry resource", hint=one.hint)
    away = abs(now - examined.mesh.server_time())
    if away > _CLOCKS:
        yield warning(
            f"the clocks of Prometheus and of the API server differ by {away:.0f} s",
            cause="a machine without time synchronisation",
            hint="synchronise it, since events of both are compared",
        )
    if newest:
        yield ok(
            f"Prometheus has counted requests in {', '.join(examined.namespaces)}, the latest sample is {max(0.0, now - max(newest)):.0f} s old"
        )
    else:
        yield warning(
            f"no requests to {', '.join(examined.namespaces)} were counted in the last five minutes",
            cause="nobody called, or the proxies are not scraped any more",
            hint="send some requests through a proxy of the mesh, and look again",
        )


def _nobody_counted(*, scraped: bool) -> Finding:
    """No request was ever counted: proxies that tell their memory are scraped, and had none yet."""
    if scraped:
        return warning(
            "Prometheus scrapes the proxies, and none has counted a request yet",
            cause="nobody called since they started",
            hint="send a request into the mesh, and look again",
        )
    return error(
        "Prometheus has no istio_requests_total at all",
        cause="it does not scrape the proxies",
        hint="look at Prometheus' targets: proxies are scraped at port 15020 (annotation prometheus.io/scrape) or 15090 (a PodMonitor)",
    )
