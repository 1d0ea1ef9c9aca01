"""The control plane's metrics, and alert rules in Prometheus, as an operations guide has them."""

from __future__ import annotations

import math
import subprocess

import pytest

from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.lab.state import LabState
from chaos.values.questions import Alerts
from tests.support import loopback
from tests.support.kubectl import needs_kubectl, run_kubectl
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, needs_kubectl]

# The guide's rules, with shorter ranges: it waits for minutes.
ALERTS = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: istio-alerts
  namespace: istio-system
spec:
  groups:
  - name: istio.rules
    rules:
    - alert: IstioHighErrorRate
      expr: |
        sum(rate(istio_requests_total{response_code=~"5.*"}[5s])) by (destination_service_name, namespace)
        / sum(rate(istio_requests_total[5s])) by (destination_service_name, namespace) > 0.05
      for: 1s
      labels: {severity: critical}
      annotations: {summary: "errors of {{ $labels.destination_service_name }}"}
    - alert: IstiodDown
      expr: absent(up{job="istiod"} == 1)
      for: 1s
      labels: {severity: critical}
"""
FAULT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inventory-svc, namespace: staging}
spec:
  hosts: [inventory-svc]
  http:
  - fault: {abort: {percentage: {value: 100}, httpStatus: 503}}
    route:
    - destination: {host: inventory-svc}
"""

TORN = """\
apiVersion: v1
kind: Secret
metadata: {name: torn, namespace: staging}
data: {tls.crt: bm9uZQ==, tls.key: bm9uZQ==}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: torn, namespace: staging}
spec:
  selector: {gateway: shop-staging}
  servers:
  - port: {number: 8444, name: https, protocol: HTTPS}
    hosts: [torn.example]
    tls: {mode: SIMPLE, credentialName: torn}
"""


def kubectl(lab: LabState, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return run_kubectl(lab.kubeconfig, *arguments, context=lab.context, stdin=stdin)


def value(lab: LabState, query: str) -> float:
    answer = loopback.get(f"{lab.prometheus}/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else math.nan


def firing(lab: LabState) -> dict[str, dict[str, str]]:
    alerts = loopback.get(f"{lab.prometheus}/api/v1/alerts").json()["data"]["alerts"]
    return {one["labels"]["alertname"]: one["labels"] for one in alerts if one["state"] == "firing"}


def alert(lab: LabState, name: str) -> float | None:
    """What a run is told of an alert: 1 while it fires, 0 while it does not, nothing without a rule."""
    found = PrometheusMetrics(lab.prometheus).samples(Alerts(name=name), seconds=5)
    return next((one.samples[0][1] for one in found if one.labels["alertname"] == name), None)


def test_the_metrics_that_the_guide_watches_are_there_and_in_their_ranges(lab: LabState) -> None:
    until(lambda: value(lab, "sum(pilot_xds_pushes_total)") > 0)
    assert value(lab, "sum(pilot_xds_pushes)") > 0
    assert value(lab, 'pilot_xds{job="istiod"}') == 18
    assert value(lab, "sum(pilot_total_xds_rejects)") == 0
    assert value(lab, "histogram_quantile(0.99, sum(pilot_proxy_convergence_time_bucket) by (le))") < 10
    assert 0 < value(lab, "max(envoy_server_memory_allocated)") < 200e6
    assert value(lab, 'process_cpu_seconds_total{job="istiod"}') > 0


def test_what_a_proxy_rejects_is_counted(lab: LabState) -> None:
    """A certificate that is none passes the API; the gateway's Envoy does not take it."""
    before = value(lab, 'pilot_total_xds_rejects{type="sds"}')
    assert kubectl(lab, "apply", "-f", "-", stdin=TORN).returncode == 0
    until(lambda: value(lab, 'pilot_total_xds_rejects{type="sds"}') >= before + 1)
    assert kubectl(lab, "delete", "-f", "-", stdin=TORN).returncode == 0


def test_a_fault_makes_the_right_alert_fire_and_its_end_resolves_it(lab: LabState) -> None:
    applied = kubectl(lab, "apply", "-f", "-", stdin=ALERTS)
    assert applied.returncode == 0, applied.stderr
    pods = loopback.get(f"{lab.api}/api/v1/namespaces/staging/pods?labelSelector=app=order-svc").json()
    with loopback.Client(proxy=f"http://{pods['items'][0]['status']['podIP']}:15001") as client:

        def asked() -> set[int]:
            return {client.get("http://inventory-svc:8080/stock/1").status_code for _ in range(10)}

        until(lambda: asked() == {200} and alert(lab, "IstioHighErrorRate") == 0.0)
        assert alert(lab, "Unheard") is None
        kubectl(lab, "apply", "-f", "-", stdin=FAULT)
        until(lambda: asked() == {503} and "IstioHighErrorRate" in firing(lab), within=40)
        assert alert(lab, "IstioHighErrorRate") == 1.0
        assert firing(lab)["IstioHighErrorRate"]["destination_service_name"] == "inventory-svc"
        kubectl(lab, "delete", "vs", "inventory-svc", "-n", "staging")
        until(lambda: asked() == {200} and "IstioHighErrorRate" not in firing(lab), within=40)


def test_a_control_plane_that_is_down_is_told(lab: LabState) -> None:
    applied = kubectl(lab, "apply", "-f", "-", stdin=ALERTS)
    assert applied.returncode == 0, applied.stderr
    post = f"{lab.api}/lab/control-plane"
    loopback.post(post, json={"power": "down"})
    until(lambda: "IstiodDown" in firing(lab), within=40)
    loopback.post(post, json={"power": "up"})
    until(lambda: "IstiodDown" not in firing(lab), within=40)
    assert kubectl(lab, "delete", "prometheusrule", "istio-alerts", "-n", "istio-system").returncode == 0
    rules = f"{lab.prometheus}/api/v1/rules"
    until(lambda: loopback.get(rules).json()["data"]["groups"] == [])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("rate(x[5s]", "parse"), ("sum(", "parse")],
)
def test_rules_that_prometheus_would_not_take_are_refused(lab: LabState, wrong: str, told: str) -> None:
    text = ALERTS.replace('absent(up{job="istiod"} == 1)', wrong)
    done = kubectl(lab, "apply", "-f", "-", stdin=text)
    assert done.returncode == 1
    assert told in done.stderr
