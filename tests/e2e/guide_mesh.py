"""A mesh to apply an operations guide's resilience manifests to, the manifests, and what its sidecars and Prometheus say.

The names are Bookinfo's; the figures of the manifests are the guide's. Who answers badly or late does so by itself: a fault
of the mesh is injected before these policies act, and would show nothing of them.
"""

from __future__ import annotations

import json

from chaos.lab.state import LabState
from tests.e2e.experiments import query
from tests.support import loopback

WORKLOAD = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {app}, version: {version}, kind: {kind}}}}}
  template:
    metadata:
      labels: {{app: {app}, version: {version}, kind: {kind}}}
      annotations: {{lab.istio-chaos.dev/behaviour: '{behaviour}'}}
    spec:
      containers: [{{name: app, image: app, ports: [{{containerPort: 9080}}, {{containerPort: 9081}}]}}]
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {app}}}
spec:
  selector: {{app: {app}}}
  ports: [{{name: http, port: 9080}}, {{name: grpc, port: 9081}}]
"""
GOOD = """\
{routes: [
  {path: /slow, latency: 20s},
  {path: /1.5s, latency: 1500ms},
  {path: /3.5s, latency: 3500ms},
  {path: /late-failure, latency: 500ms, status: 500},
  {path: /failing, status: 500},
  {path: /unsteady, errors: {share: 50%, status: 503}},
  {path: /conflict, status: 409},
  {path: /missing, status: 404},
  {path: /books.Store/Slow, latency: 20s},
  {path: /*}]}"""
BROKEN = "{routes: [{path: /*, status: 500}]}"

DESTINATION_RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec:
  host: {host}
  trafficPolicy:
    connectionPool:
      tcp: {{maxConnections: 100}}
      http: {{h2UpgradePolicy: DEFAULT, http1MaxPendingRequests: 100, http2MaxRequests: 1000}}
    outlierDetection: {{consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s, maxEjectionPercent: 50}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
  - {{name: v3, labels: {{version: v3}}}}
"""
RESILIENCE_RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: productpage}
spec:
  host: productpage
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 200, connectTimeout: 5s}
      http: {http1MaxPendingRequests: 100, http2MaxRequests: 500, maxRequestsPerConnection: 10, maxRetries: 3}
    outlierDetection:
      consecutive5xxErrors: 5
      interval: 10s
      baseEjectionTime: 30s
      maxEjectionPercent: 50
      minHealthPercent: 0
    loadBalancer: {simple: LEAST_REQUEST}
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy:
      connectionPool:
        http: {http2MaxRequests: 1000}
"""
RESILIENCE_ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: productpage}
spec:
  hosts: [productpage]
  http:
  - route:
    - destination: {host: productpage, subset: v1}
    timeout: 3s
    retries: {attempts: 2, perTryTimeout: 1s, retryOn: "5xx,reset,connect-failure"}
    fault:
      delay: {percentage: {value: 1.0}, fixedDelay: 2s}
"""
"""As the guide has it, with a fault on the route whose time-out and retries it is about."""
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {host}}}
spec:
  hosts: [{host}]
  http:
  - route:
    - destination: {{host: {host}}}
    timeout: 3s
    retries: {{attempts: 3, perTryTimeout: 1s, retryOn: "{on}"}}
"""
RETRY_ON = "5xx,reset,connect-failure,retriable-4xx"
HEADER_ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: recommendation-svc}
spec:
  hosts: [recommendation-svc]
  http:
  - match: [{headers: {x-test-user: {exact: "true"}}}]
    route: [{destination: {host: recommendation-svc, subset: v3}}]
  - match: [{headers: {x-canary: {exact: "true"}}}]
    route: [{destination: {host: recommendation-svc, subset: v2}}]
  - route: [{destination: {host: recommendation-svc, subset: v1}}]
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: "5xx,reset,connect-failure,retriable-4xx"}
"""
AB_TEST = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: recommendation-svc}
spec:
  hosts: [recommendation-svc]
  http:
  - match:
    - headers: {x-user-tier: {exact: "vip"}}
    route:
    - destination: {host: recommendation-svc, subset: v2}
    timeout: 2s
    retries: {attempts: 1, perTryTimeout: 1s}
  - route:
    - destination: {host: recommendation-svc, subset: v1}
    timeout: 5s
    retries: {attempts: 3, perTryTimeout: 2s}
"""


SERVICE_ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [{host}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {good}}}}}, {{address: 127.0.0.1, ports: {{http: {bad}}}}}]
"""


IN_TURN = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: in-turn}}
spec: {{host: {host}, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}}}
"""


def workload(app: str, *, version: str = "v1", good: int = 0, broken: int = 0) -> str:
    """A Deployment for its good pods, and one for those that answer every request with 500."""
    parts = []
    for kind, number, behaviour in (("good", good, GOOD), ("broken", broken, BROKEN)):
        if number:
            text = " ".join(behaviour.split())
            parts.append(
                WORKLOAD.format(
                    name=f"{app}-{version}-{kind}", app=app, version=version, kind=kind, replicas=number, behaviour=text
                )
            )
    return "".join(parts)


MESH = "".join(
    (
        *(SERVICE.format(app=app) for app in ("productpage", "reviews", "ratings", "details", "recommendation-svc")),
        workload("productpage", good=1), workload("reviews", good=3, broken=1), workload("ratings", good=1, broken=3),
        workload("details", broken=1), workload("recommendation-svc", good=1),
        workload("recommendation-svc", version="v2", good=1), workload("recommendation-svc", version="v3", good=1),
        workload("sleep", good=1),
    )
)  # fmt: skip


def counted(lab: LabState, reporter: str, service: str, more: str = "") -> float:
    """Requests to a service so far, as its callers or it itself reported them to Prometheus."""
    found = query(lab, f'sum(istio_requests_total{{reporter="{reporter}",destination_service_name="{service}"{more}}})')
    return float(found[0]["value"][1]) if found else 0.0


def flagged(lab: LabState, service: str, flag: str) -> float:
    """Those that their callers reported with a response flag."""
    return counted(lab, "source", service, f',response_flags=~"(.*,)?{flag}(,.*)?"')


def admin(proxy: str, path: str) -> str:
    """What ``pilot-agent request GET`` prints in a sidecar."""
    return loopback.get(f"{proxy.replace(':15001', ':15000')}/{path}").text


def has_route(proxy: str, name: str, text: str) -> bool:
    """Whether a sidecar has the routes of the VirtualService of this name, by something that one of them says."""
    dump = json.loads(admin(proxy, "config_dump?resource=dynamic_route_configs"))
    return any(
        f"/virtual-service/{name}" in said and text in said
        for config in dump["configs"]
        for host in config["route_config"]["virtual_hosts"]
        for said in map(json.dumps, host["routes"])
    )


def has_pool(proxy: str, service: str, connections: int, *, port: int = 9080) -> bool:
    """Whether a sidecar holds a service's connections to this number."""
    cluster = f"outbound|{port}||{service}.default.svc.cluster.local"
    return f"{cluster}::default_priority::max_connections::{connections}\n" in admin(proxy, "clusters")


def host_stats(proxy: str, cluster: str) -> dict[str, dict[str, str]]:
    """What a sidecar knows of each endpoint of a cluster."""
    found: dict[str, dict[str, str]] = {}
    lines = (line for line in admin(proxy, "clusters").splitlines() if line.count("::") == 3)
    for name, host, key, value in (line.split("::", 3) for line in lines):
        if name == cluster and ":" in host:
            found.setdefault(host, {})[key] = value
    return found


def tries(lab: LabState, service: str, status: int) -> tuple[float, float]:
    """Requests that ended so at their callers, and at the service."""
    code = f',response_code="{status}"'
    return counted(lab, "source", service, code), counted(lab, "destination", service, code)


def total(proxy: str, service: str, what: str, *, port: int = 9080) -> int:
    """A number that a sidecar knows of each of a service's pods, over all of them."""
    known = host_stats(proxy, f"outbound|{port}||{service}.default.svc.cluster.local")
    return sum(int(one[what]) for one in known.values())


def ejected(proxy: str, service: str) -> int:
    """How many of a service's pods a sidecar has ejected."""
    known = host_stats(proxy, f"outbound|9080||{service}.default.svc.cluster.local")
    return sum("/failed_outlier_check" in one["health_flags"] for one in known.values())
