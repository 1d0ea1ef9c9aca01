"""Broken variants of a shop on the lab, from real Envoys and a real Prometheus, and their healthy twins.

Each run has a lane: a namespace with a shop of its own (its name stands for ``LANE``). A variant is what the load asks the shop
for, since its stand-ins behave by their paths, and a policy or alert rule that is there for the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from chaos.judge import judge
from chaos.lab.state import LabState
from chaos.model.verdict import Verdict
from chaos.reporting.record import read_record
from tests.e2e.experiments import chaosctl, configured, harness_kubeconfig, on
from tests.support import loopback
from tests.support.defects.experiment import LATE, MOST, VIOLATED, expecting
from tests.support.defects.variants import Defect
from tests.support.labs import own_lab

WORKLOAD: Final = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: LANE}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: APP, kind: NAME}}
  template:
    metadata: {labels: {app: APP, kind: NAME}}
    spec: {containers: [{name: app, image: app, ports: [{containerPort: 8080}, {containerPort: 50051}]}]}
"""
SERVICE: Final = """\
---
apiVersion: v1
kind: Service
metadata: {name: APP, namespace: LANE}
spec: {selector: {app: APP}, ports: [{name: http, port: 8080}, {name: grpc, port: 50051}]}
"""
ENTRY: Final = """\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: LANE}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [LANE.test]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: LANE}
spec:
  hosts: [LANE.test]
  gateways: [shop]
  http:
  - match: [{uri: {prefix: /catalog/}}]
    route: [{destination: {host: catalog, port: {number: 8080}}}]
  - match: [{uri: {prefix: /carts/}}]
    route: [{destination: {host: carts, port: {number: 8080}}}]
  - match: [{uri: {prefix: /retried/}}]
    rewrite: {uri: /}
    retries: {attempts: 3, retryOn: 5xx}
    route: [{destination: {host: orders, port: {number: 8080}}}]
  - retries: {attempts: 0}
    route: [{destination: {host: orders, port: {number: 8080}}}]
"""
POLICY: Final = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: SERVICE, namespace: LANE}
spec: {host: SERVICE, trafficPolicy: {POLICY}}
"""
RULE: Final = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: orders, namespace: LANE}
spec:
  groups:
  - name: LANE
    rules:
    - alert: LANE fails
      expr: |
        sum(rate(istio_requests_total{
          reporter="source", destination_service="orders.LANE.svc.cluster.local", response_code="CODE"}[WINDOW])) > 1
"""
BEHAVIOURS: Final = """\
stock: {routes: [{path: "/*", latency: 2ms, payload: {stock: 7}}]}
catalog:
  routes:
  - {path: "/catalog/alone/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s, fallback: {stock: unknown}}]}
  - {path: "/catalog/tied/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s, failure: 503}]}
  - {path: "/catalog/quote/{method}", calls: [{url: "grpc://orders:50051/shop.Orders/{method}", fallback: {quote: none}}]}
  - {path: "/*"}
orders:
  routes:
  - {path: "/borne/{id}", payload: {order: {id: "{id}"}}, calls: [
      {url: "http://stock:8080/{id}", timeout: 10s, fallback: {degraded: true}}]}
  - {path: "/mute/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s, fallback: {}}]}
  - {path: "/swapped/{id}", payload: {order: {id: "{id}"}}, calls: [
      {url: "http://stock:8080/{id}", timeout: 10s, fallback: {order: {id: "7"}}}]}
  - {path: "/naive/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s}, {url: "http://catalog:8080/{id}"}]}
  - {path: "/prompt/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 1s, fallback: {degraded: true}}]}
  - {path: "/patient/{id}", calls: [{url: "http://stock:8080/{id}", fallback: {degraded: true}}]}
  - {path: "/stubborn/{id}", calls: [
      {url: "http://stock:8080/{id}", timeout: 10s, retries: 8, fallback: {degraded: true}}]}
  - {path: "/again/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s, retries: 1}]}
  - {path: /shop.Orders/Borne, calls: [
      {url: "grpc://stock:50051/shop.Stock/Get", timeout: 10s, fallback: {degraded: true}}]}
  - {path: /shop.Orders/Naive, calls: [{url: "grpc://stock:50051/shop.Stock/Get", timeout: 10s}]}
carts:
  routes:
  - {path: "/carts/{kind}/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s, fallback: {degraded: true}}]}
worse:
  routes:
  - {path: "/carts/mixed/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s}]}
  - {path: "/carts/borne/{id}", calls: [{url: "http://stock:8080/{id}", timeout: 10s, fallback: {degraded: true}}]}
"""
"""A time-out that a busy machine may miss is a defect that nobody meant, so only ``/prompt`` has a short one."""
WORKLOADS: Final = (
    ("stock", "stock", 1),
    ("catalog", "catalog", 1),
    ("orders", "orders", 1),
    ("carts", "carts", 2),
    ("worse", "carts", 1),
)
"""Name, Service and replicas."""
EXPERIMENT: Final = """\
experiment: LANE
target: {namespace: LANE, service: stock}
faults: [{FAULT}]
load: {host: LANE.test, rate: 30, requests: [REQUESTS]}
profile: quick
observe: {atLeast: OBSERVE}
steadyState: [{title: expected, EXPECTED}]
recovery: {within: 20s}
limits: {baseline: 60s, fault: 60s}
confidence: 90%
"""
DECLARED: Final[Mapping[str, str]] = {"fault": "abort: {percentage: 50, httpStatus: 503}", "observe": "3s"}
DOWN: Final = "abort: {percentage: 100, httpStatus: 503}"
NEARLY_ALL: Final = "abort: {percentage: 95, httpStatus: 503}"
SLOW: Final = "delay: {percentage: 50, fixedDelay: 4s}"
NO_GRPC: Final = "abort: {percentage: 50, grpcStatus: UNAVAILABLE}"
ANSWERED: Final = 'good: {status: "<500"}, atLeast: 85%'
ALERT: Final = "alert: LANE fails, firesWithin: 15s"
REFUSING: Final = "breaker: orders, flags: UH, opensWithin: 10s, atMost: 5%"


@dataclass(frozen=True)
class Asked:
    """What the load asks for, and the manifest that is applied for the run."""

    paths: Sequence[str]
    applied: str = ""


def asked(*paths: str) -> Asked:
    return Asked(paths)


def limited(path: str, pool: int) -> Asked:
    """A pool of the gateway for ``orders`` that takes so many requests, and as many that wait."""
    policy = f"connectionPool: {{tcp: {{maxConnections: {pool}}}, http: {{http1MaxPendingRequests: {pool}}}}}"
    return Asked([path], POLICY.replace("SERVICE", "orders").replace("POLICY", policy))


def ejecting(path: str, service: str, *, errors: int = 5, out: str = "2s") -> Asked:
    """A replica of the service is ejected after so many errors in a row, for so long, and longer each time."""
    policy = f"outlierDetection: {{consecutive5xxErrors: {errors}, interval: 1s, baseEjectionTime: {out}, maxEjectionPercent: 100}}"
    return Asked([path], POLICY.replace("SERVICE", service).replace("POLICY", policy))


def alerting(*, code: str = "500", window: str = "5s") -> Asked:
    return Asked(["/naive/42"], RULE.replace("CODE", code).replace("WINDOW", window))


DEFECTS: Final[Mapping[str, Defect[Asked]]] = {
    # during the fault
    "hard dependency": Defect(VIOLATED, asked("/naive/42"), asked("/borne/42"), expecting(f"service: orders, {ANSWERED}")),
    "no time-out": Defect(
        VIOLATED, asked("/patient/42"), asked("/prompt/42"),
        expecting("service: orders, good: {within: 2.5s}, atLeast: 85%", fault=SLOW),
    ),
    "somebody else's data": Defect(
        VIOLATED, asked("/swapped/42"), asked("/borne/42"),
        expecting('from: client, good: {status: 2xx, jsonPath: {order.id: "42"}}, atLeast: 85%'),
    ),
    "fallback that never shows": Defect(
        VIOLATED, asked("/mute/42"), asked("/borne/42"), expecting("fallback: {jsonPath: {degraded: true}}, atLeast: 20%, atMost: 5%")
    ),
    "unbounded retries": Defect(
        VIOLATED, asked("/stubborn/42"), asked("/again/42"),
        expecting("attempts: stock, per: orders, atMost: 2, duringFault: 4", fault=NEARLY_ALL),
    ),
    "retries of two layers": Defect(
        VIOLATED, asked("/retried/again/42"), asked("/again/42"),
        expecting("attempts: stock, atMost: 2, duringFault: 4", fault=NEARLY_ALL),
    ),
    "retries used up": Defect(
        VIOLATED, asked("/retried/naive/42"), asked("/retried/borne/42"),
        expecting("service: orders, flags: [URX, UT], atMost: 2%, duringFault: at most 5%", fault=MOST),
    ),
    "error of gRPC behind a good answer": Defect(
        VIOLATED, asked("/catalog/quote/Naive"), asked("/catalog/quote/Borne"),
        expecting("service: orders, good: {grpc: OK}, atLeast: 85%", fault=NO_GRPC),
    ),
    "one bad replica of three": Defect(
        VIOLATED, asked("/carts/mixed/42"), asked("/carts/borne/42"),
        expecting(f"service: carts, {ANSWERED}, per: replica"), names="worse-",
    ),
    "bad replica that is not ejected": Defect(
        VIOLATED, ejecting("/carts/mixed/42", "carts", errors=1000), ejecting("/carts/mixed/42", "carts"),
        expecting("ejection: carts, within: 10s", fault=MOST, observe="16s"),
    ),
    "breaker that never opens": Defect(
        VIOLATED, limited("/patient/42", 1000), limited("/patient/42", 5),
        expecting("breaker: orders, opensWithin: 10s, atMost: 5%", fault=SLOW),
    ),
    "cascade to others": Defect(
        VIOLATED, asked("/borne/42", "/catalog/tied/42"), asked("/borne/42", "/catalog/alone/42"),
        expecting("unaffected: [catalog], margin: 5%"), names="catalog",
    ),
    "alert that never fires": Defect(VIOLATED, alerting(code="503"), alerting(), expecting(ALERT, fault=DOWN)),
    # after the fault
    "replica that stays ejected": Defect(
        LATE, ejecting("/carts/mixed/42", "carts", out="300s"), ejecting("/carts/mixed/42", "carts"),
        expecting("ejection: carts, within: 10s", fault=MOST, observe="16s"),
    ),
    "breaker that never closes": Defect(
        LATE, ejecting("/naive/42", "orders", errors=60, out="300s"), ejecting("/naive/42", "orders", errors=60),
        expecting(REFUSING, fault=DOWN),
    ),
    "pool that does not refill": Defect(
        LATE, ejecting("/naive/42", "orders", errors=60, out="300s"), ejecting("/naive/42", "orders", errors=60),
        expecting("throughput: catalog, atLeast: 70%", fault=DOWN),
    ),
    "alert that does not resolve": Defect(LATE, alerting(window="5m"), alerting(), expecting(ALERT, fault=DOWN)),
}  # fmt: skip


@contextmanager
def lab_of(lanes: Sequence[str], folder: Path) -> Iterator[LabState]:
    """A lab with a shop in each lane."""
    manifests, behaviours = folder / "shops.yaml", folder / "behaviours.yaml"
    manifests.write_text("".join(_shop(lane) for lane in lanes))
    behaviours.write_text(BEHAVIOURS)
    with own_lab(folder, "defects", manifests=[manifests], behaviours=behaviours) as lab:
        harness_kubeconfig(lab)  # before several threads ask for it
        yield lab


def run(lab: LabState, lane: str, declared: Mapping[str, str], variant: Asked, folder: Path) -> Verdict:
    """The verdict on a variant, by the command that a user types; its record is in the folder."""
    requests = ", ".join(f"{{path: {path}}}" for path in variant.paths)
    text = EXPERIMENT.replace("REQUESTS", requests)
    for name, value in {**DECLARED, **declared}.items():
        text = text.replace(name.upper(), value)
    configured(folder, f'namespaces = ["{lane}"]\n')
    file = folder / "experiment.yaml"
    file.write_text(text.replace("LANE", lane))
    with _applied(lab, lane, variant.applied):
        done = chaosctl("run", file, *on(lab), "--report-dir", folder, cwd=folder)
    records = list(folder.glob("runs/*"))
    assert len(records) == 1, done.stdout + done.stderr
    return judge(read_record(records[0]).history)


def _shop(lane: str) -> str:
    workloads = [
        WORKLOAD.replace("NAME", name).replace("APP", app).replace("REPLICAS", str(replicas))
        for name, app, replicas in WORKLOADS
    ]
    services = [SERVICE.replace("APP", app) for app in dict.fromkeys(app for _, app, _ in WORKLOADS)]
    return "".join([*workloads, *services, ENTRY]).replace("LANE", lane)


@contextmanager
def _applied(lab: LabState, lane: str, manifest: str) -> Iterator[None]:
    """With the object of a manifest, if there is one."""
    if not manifest:
        yield
        return
    obj = YAML(typ="safe").load(manifest.replace("LANE", lane))
    path = f"{lab.api}/apis/{obj['apiVersion']}/namespaces/{lane}/{obj['kind'].lower()}s"
    made = loopback.post(path, json=obj)
    assert made.status_code == 201, made.text
    try:
        yield
    finally:
        loopback.delete(f"{path}/{obj['metadata']['name']}")
