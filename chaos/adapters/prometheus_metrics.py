"""Prometheus through its HTTP API: raw samples, its own clock, its real scrape interval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from chaos.errors import InputError, MetricsError
from chaos.values.quantities import parse_duration
from chaos.values.series import Series

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect

_TIMEOUT: Final = 5
_FALLBACK_INTERVAL: Final = 15.0
"""Seconds; the interval of Istio's sample addon."""
_PROXY_MARKS: Final = ("/stats/prometheus", ":15090", ":15020")


class PrometheusMetrics:
    """The ``Metrics`` port. One attempt a call: the engine asks again at its next tick and notes what it missed.

    Args:
        url: Prometheus' address, e.g. ``http://127.0.0.1:9090``.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"expected the address of Prometheus as a URL, got {url!r}",
                hint="for example http://prometheus.istio-system:9090",
            )
        self.url = url.rstrip("/")
        self._opened: PrometheusConnect | None = None

    @property
    def _client(self) -> PrometheusConnect:
        if self._opened is None:
            from prometheus_api_client import PrometheusConnect
            from urllib3.util.retry import Retry

            self._opened = PrometheusConnect(url=self.url, retry=Retry(total=0), timeout=_TIMEOUT)
        return self._opened

    def _query(self, query: str) -> Any:
        from prometheus_api_client import PrometheusApiClientException
        from requests import RequestException

        try:
            return self._client.custom_query(query)
        except PrometheusApiClientException as error:
            raise MetricsError(f"Prometheus at {self.url} can't answer {query!r}: {_detail(error)}") from error
        except (RequestException, ValueError, KeyError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> MetricsError:
        return MetricsError(
            f"Prometheus at {self.url} does not answer: {type(error).__name__}",
            hint="is the address right, and can it be reached from here (kubectl port-forward)?",
        )

    def now(self) -> float:
        """Prometheus' own clock, Unix seconds."""
        return float(self._query("time()")[1])

    def version(self) -> str:
        """Its version, as its own metric has it; empty where it does not scrape itself."""
        found = self._query("prometheus_build_info")
        return str(found[0]["metric"].get("version", "")) if found else ""

    def scrape_interval(self) -> float:
        """The longest scrape interval in seconds among the targets that look like Istio's proxies, or among all."""
        from prometheus_api_client import PrometheusApiClientException
        from requests import RequestException

        try:
            active = self._client.get_targets(state="active")["activeTargets"]
        except (PrometheusApiClientException, RequestException, ValueError, KeyError) as error:
            raise self._unreachable(error) from error
        proxies = [t for t in active if any(mark in t.get("scrapeUrl", "") for mark in _PROXY_MARKS)]
        intervals = [
            parse_duration(t["scrapeInterval"]).total_seconds() for t in proxies or active if t.get("scrapeInterval")
        ]
        return max(intervals, default=_FALLBACK_INTERVAL)

    def samples(self, selector: str, *, seconds: float) -> Sequence[Series]:
        """Raw samples of the last ``seconds`` of every series that a selector names."""
        found = self._query(f"{selector}[{max(1, round(seconds))}s]")
        return [
            Series.model_construct(
                labels=dict(item["metric"]),
                samples=tuple((float(at), float(value)) for at, value in item["values"]),
            )
            for item in found
        ]

    def holds(self, comparison: str) -> bool:
        """Whether a PromQL comparison has a result now."""
        return bool(self._query(comparison))


def _detail(error: Exception) -> str:
    """What Prometheus said, out of the client's wrapping."""
    text = str(error)
    start, end = text.find("{"), text.rfind("}")
    try:
        return str(json.loads(text[start : end + 1])["error"])
    except (ValueError, KeyError):
        return text[:200]
