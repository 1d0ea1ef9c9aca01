"""Prometheus through its HTTP API: raw samples, its own clock, its real scrape interval."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median_high
from typing import TYPE_CHECKING, Any, Final, assert_never

from chaos.adapters.prometheus_session import PAGE, PROXY_HINT, NoData, session_of
from chaos.errors import InputError, MetricsError
from chaos.model.prometheus import Prometheus
from chaos.values.held import LABELS, Held
from chaos.values.promql import read_comparison
from chaos.values.quantities import parse_duration
from chaos.values.questions import (
    COMPARED,
    FALSE,
    LEAST,
    MOST,
    NO_DATA,
    TRUE,
    WAITS,
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
from chaos.values.secrets import redacted
from chaos.values.series import Series

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect

_TIMEOUT: Final = 15
"""Seconds. Decisions wait for quick answers only, so a slow Prometheus may take its time."""
_SIDES: Final = {Side.CALLERS: 'reporter=~"source|waypoint"', Side.CALLED: 'reporter="destination"'}
_ENDS: Final = {End.CALLER: "source_workload_namespace", End.SERVICE: "destination_service_namespace"}
_ISTIOD: Final = 'pod=~"istiod.*"'
"""Every process has a processor time; istiod's is known by the pod that scrape configurations for Kubernetes name."""
_RULES: Final = "/api/v1/rules?type=alert"
_LIMIT: Final = re.compile(r"too many|limit|exceed", re.IGNORECASE)
_PROXY_MARKS: Final = ("/stats/prometheus", ":15090", ":15020")


class PrometheusMetrics:
    """The ``Metrics`` port. Each call is one attempt: at its next look, the engine asks again for what it missed.

    Args:
        prometheus: Prometheus' address, e.g. ``http://127.0.0.1:9090``, or that and the credentials for it.

    Raises:
        InputError: there is no address, or a credential is missing.
    """

    def __init__(self, prometheus: Prometheus | str) -> None:
        access = Prometheus(prometheus) if isinstance(prometheus, str) else prometheus
        if access.url is None:
            raise InputError(
                "expected the address of Prometheus", hint="for example http://prometheus.istio-system:9090"
            )
        self.url = str(access.url).rstrip("/")
        """Its address, without secrets."""
        self._session = session_of(access)
        self._opened: PrometheusConnect | None = None

    @property
    def _client(self) -> PrometheusConnect:
        if self._opened is None:
            from prometheus_api_client import PrometheusConnect
            from urllib3.util.retry import Retry

            self._opened = PrometheusConnect(
                url=self.url, retry=Retry(total=0), timeout=_TIMEOUT, session=self._session
            )
        return self._opened

    def _query(self, query: str, **parameters: float) -> Any:
        from prometheus_api_client import PrometheusApiClientException

        try:
            return self._client.custom_query(query, params=parameters)
        except PrometheusApiClientException as error:
            said = redacted(_detail(error))
            raise MetricsError(
                f"Prometheus at {self.url} can't answer {query!r}: {said}",
                hint="that is a limit of this back end: have it raised for this user or tenant"
                if _LIMIT.search(said)
                else None,
            ) from None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turns what the client raises into the port's error; without a cause, whose frames know what was sent."""
        from requests import RequestException
        from requests.exceptions import ContentDecodingError, JSONDecodeError

        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, RequestException) as error:
            if isinstance(error, RequestException) and not isinstance(error, ContentDecodingError | JSONDecodeError):
                raise self._unreachable(error) from None
            raise MetricsError(
                f"what answers at {self.url} is no data of Prometheus",
                hint=f"is this Prometheus' address, and does nothing in between change its answers? See {PAGE}",
            ) from None

    def _unreachable(self, error: Exception) -> MetricsError:
        from requests.exceptions import InvalidSchema, InvalidURL, ProxyError, SSLError

        if isinstance(error, InvalidSchema | InvalidURL | ProxyError):  # the address itself was looked at before
            return MetricsError(
                f"Prometheus at {self.url} can't be reached through the proxy before it", hint=PROXY_HINT
            )
        told = f"Prometheus at {self.url} does not answer: {type(error).__name__}"
        if isinstance(error, SSLError):
            found = re.search(r"\[SSL[^\]]*\] ([^(]+)", str(error))
            return MetricsError(
                f"{told}: {found[1].strip() if found else 'the other side ended the handshake'}",
                hint=f"trust its authority by ca, or give a client certificate by certificate and key ({PAGE})",
            )
        return MetricsError(told, hint="check the address, and that it can be reached from here (kubectl port-forward)")

    def now(self) -> float:
        """Prometheus' own clock, Unix seconds: when it evaluates, and not what: VictoriaMetrics' ``time()`` is a vector, and late."""
        with self._answering():
            found = self._query("time()")
            return float(found[0]["value"][0] if isinstance(found[0], dict) else found[0])

    def version(self) -> str:
        """Its version, as its own metric has it; empty where it does not scrape itself."""
        with self._answering():
            found = self._query("prometheus_build_info")
            return str(found[0]["metric"].get("version", "")) if found else ""

    def scrape_interval(self) -> float | None:
        """The usual scrape interval in seconds of the targets that look like Istio's proxies; others have nothing to do with it.

        ``None`` where targets are told to nobody, as by stores that scrape nothing themselves.
        """
        from prometheus_api_client import PrometheusApiClientException

        try:
            with self._answering():
                active = self._client.get_targets(state="active")["activeTargets"]
                intervals = [
                    parse_duration(t["scrapeInterval"]).total_seconds()
                    for t in active
                    if t.get("scrapeInterval") and any(mark in t.get("scrapeUrl", "") for mark in _PROXY_MARKS)
                ]
        except (NoData, PrometheusApiClientException):
            return None
        return median_high(intervals) if intervals else None

    def held(self) -> Held:
        """What there is of Istio's metrics, by two queries."""
        with self._answering():
            having = [
                f'label_replace(group(istio_requests_total{{{one}!=""}}), "has", "{one}", "", "")' for one in LABELS
            ]
            found = self._query(f"group(istio_requests_total) or {' or '.join(having)}")
            buckets = self._query("group by (le) (istio_request_duration_milliseconds_bucket)")
            bounds = {float(one["metric"].get("le", "inf").replace("+Inf", "inf")) for one in buckets}
            return Held(
                requests=bool(found),
                labels=frozenset(one["metric"]["has"] for one in found if "has" in one["metric"]),
                bounds=frozenset(filter(math.isfinite, bounds)),
            )

    def samples(self, question: Question, *, seconds: float, at: float | None = None) -> Sequence[Series]:
        """Raw samples of the ``seconds`` up to a moment of every series that answers a question; of a comparison, whether it is true."""
        with self._answering():
            if isinstance(question, Alerts):
                return self._alerts(question.name, self.now() if at is None else at)
            if isinstance(question, Comparison):
                return self._compared(question.promql, self.now() if at is None else at)
            moment = {} if at is None else {"time": at}
            found = self._query(f"{self.wording(question)}[{max(1, round(seconds))}s]", **moment)
            return [
                Series.model_construct(
                    labels=dict(item["metric"]),
                    samples=tuple((float(at), float(value)) for at, value in item["values"]),
                )
                for item in found
            ]

    def _alerts(self, name: str, at: float) -> Sequence[Series]:
        """By the states of all alert rules; of several with one name, one that fires counts, and the one that fires the soonest."""
        answer = self._session.get(f"{self.url}{_RULES}", timeout=_TIMEOUT, verify=self._session.verify)
        groups = answer.json()["data"]["groups"]
        fires: dict[str, bool] = {}
        waits: dict[str, float] = {}
        for rule in (rule for group in groups for rule in group["rules"]):
            found = rule["state"] == "firing"
            if found or (rule["name"] == name and rule.get("health") != "err"):
                fires[rule["name"]] = found or fires.get(rule["name"], False)
            if rule["name"] == name:
                waits[name] = min(float(rule.get("duration", 0)), waits.get(name, math.inf))
        labels = {one: {"alertname": one, **({WAITS: f"{waits[one]:g}"} if one in waits else {})} for one in fires}
        return [Series(labels=labels[one], samples=((at, float(value)),)) for one, value in fires.items()]

    def _compared(self, promql: str, at: float) -> Sequence[Series]:
        """Whether a comparison is true at a moment, and the values of its telling side; an empty result may be no data."""
        reading = read_comparison(promql)

        def ask(query: str) -> Any:
            return self._query(query, time=at)

        held = TRUE if ask(promql) else FALSE
        if held == FALSE and not any(all(map(ask, sides)) for sides in reading.needed):
            held = NO_DATA
        found = [Series(labels={}, samples=((at, held),))]
        if values := _values(ask(reading.shown)):
            shown = ((LEAST, min(values)), (MOST, max(values)))
            found += [Series(labels={COMPARED: which}, samples=((at, value),)) for which, value in shown]
        return found

    def wording(self, question: Question) -> str:
        """A question as a PromQL selector, or as the comparison that it is."""
        match question:
            case Requests(host=host, side=side):
                return f'istio_requests_total{{{_SIDES[side]},destination_service="{host}"}}'
            case Durations(host=host, within=within, side=side):
                suffix, bucket = ("count", "") if within is None else ("bucket", f',le=~"{_le(within)}"')
                labels = f'{_SIDES[side]},destination_service="{host}"{bucket}'
                return f"istio_request_duration_milliseconds_{suffix}{{{labels}}}"
            case Edges(namespace=namespace, end=end):
                return f'istio_requests_total{{{_SIDES[Side.CALLERS]},{_ENDS[end]}="{namespace}"}}'
            case Comparison(promql=promql):
                return promql
            case Alerts():
                return _RULES
            case Rejections():
                return "pilot_total_xds_rejects"
            case Pushes():
                return 'pilot_xds_pushes{type!~".*err"}'
            case Convergence():
                return "pilot_proxy_convergence_time_bucket"
            case ProcessorTime():
                return f"process_cpu_seconds_total{{{_ISTIOD}}}"
            case ProxyMemory(namespace=namespace):
                return f'envoy_server_memory_allocated{{namespace="{namespace}"}}'
        assert_never(question)


def _values(result: Any) -> Sequence[float]:
    """The numbers of an instant vector or a scalar; what is no number is left out, since JSON has none for it."""
    items = [one["value"] if isinstance(one, dict) else result for one in result]
    return [value for _, text in items if math.isfinite(value := float(text))]


def _le(bound: float) -> str:
    """A regex of a bucket's bound as it may be written: Prometheus 3 turns 1000 into 1000.0 and 3600000 into 3.6e+06."""
    plain = str(int(bound)) if bound == int(bound) else repr(bound)
    forms = f"{plain}(.0)?" if bound == int(bound) else plain
    if bound >= 1e6:
        forms += f"|{bound:.6g}"
    return forms.replace(".", "\\\\.").replace("+", "\\\\+")


def _detail(error: Exception) -> str:
    """What Prometheus said, out of the client's wrapping."""
    text = str(error)
    start, end = text.find("{"), text.rfind("}")
    try:
        return str(json.loads(text[start : end + 1])["error"])
    except (ValueError, KeyError):
        return text[:200]
