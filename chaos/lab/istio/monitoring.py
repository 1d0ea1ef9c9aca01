"""The control plane's own metrics, under istiod's names (istiod ``pilot/pkg/xds/monitoring.go``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UntypedMetricFamily

CONVERGENCE_BUCKETS: Final = (0.1, 0.5, 1, 3, 5, 10, 20, 30)
"""Seconds; istiod's."""
_TYPES: Final = {"clusters": "cds", "routes": "rds", "listeners": "lds", "secrets": "sds"}


class Counted(Protocol):
    """Whose numbers are told."""

    def pushed(self) -> Mapping[str, int]:
        """Answers with something new so far, by kind."""

    def rejected(self) -> Mapping[str, int]:
        """What proxies did not take so far, by kind."""

    def stats(self) -> Mapping[str, Any]:
        """Settings and counters."""


class Monitoring:
    """One registry, so that several control planes can live in a process (as in tests)."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._convergence = Histogram(
            "pilot_proxy_convergence_time",
            "Seconds between a change and the moment when a proxy has all of it.",
            buckets=CONVERGENCE_BUCKETS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def watch(self, counted: Counted) -> None:
        """Tells this control plane's numbers from now on."""
        self._registry.register(_Numbers(counted))

    def converged(self, seconds: float) -> None:
        """One proxy has a change."""
        self._convergence.observe(seconds)

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)


class _Numbers:
    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        pushes = self._counted.pushed()
        # istiod says pilot_xds_pushes; tools and guides that follow OpenMetrics look for the same with _total.
        plain = UntypedMetricFamily("pilot_xds_pushes", "Configurations sent to proxies.", labels=["type"])
        total = CounterMetricFamily("pilot_xds_pushes", "Configurations sent to proxies.", labels=["type"])
        for kind, count in pushes.items():
            plain.add_metric([_TYPES[kind]], count)
            total.add_metric([_TYPES[kind]], count)
        yield plain
        yield total
        rejects = UntypedMetricFamily(
            "pilot_total_xds_rejects", "Configurations that proxies rejected.", labels=["type"]
        )
        for kind, count in self._counted.rejected().items():
            rejects.add_metric([_TYPES[kind]], count)
        yield rejects
        stats = dict(self._counted.stats())
        proxies = GaugeMetricFamily("pilot_xds", "Proxies that are connected.", labels=["version"])
        proxies.add_metric(["lab"], stats.pop("proxies", 0))
        yield proxies
        build = GaugeMetricFamily("istio_build", "The control plane's version.", labels=["component", "tag"])
        build.add_metric(["pilot", "lab"], 1)
        yield build
        for key, value in stats.items():
            yield GaugeMetricFamily(f"lab_control_plane_{key}", key.replace("_", " "), value=float(value))
