"""gRPC through the lab's real sidecars: routing, faults, and an experiment that aborts with a status of gRPC."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from chaos.lab.state import LabState
from chaos.lab.workloads.grpc import text_of
from tests.e2e.experiments import chaosctl, configured, on, quick
from tests.e2e.kinds import whole
from tests.support import loopback
from tests.support.labs import own_lab
from tests.support.scope import survive_only
from tests.support.waiting import until

pytestmark = pytest.mark.lab
NAMESPACE = "shelf"
METHOD = "/shelf.Prices/Get"
AUTHORITY = f"prices.{NAMESPACE}:50051"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shelf, labels: {{app: {app}}}}}
spec:
  selector: {{matchLabels: {{app: {app}, version: {version}}}}}
  template:
    metadata: {{labels: {{app: {app}, version: {version}}}}}
    spec: {{containers: [{{name: app, image: example/app, ports: [{{containerPort: {port}}}]}}]}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shelf}}
spec: {{selector: {{app: {name}}}, ports: [{{name: {port_name}, port: {port}}}]}}
"""
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shelf, namespace: shelf}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry, namespace: shelf}
spec:
  hosts: ["*"]
  gateways: [shelf]
  http: [{route: [{destination: {host: front}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: prices, namespace: shelf}
spec: {host: prices, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""
BEHAVIOURS = """\
front:
  routes:
    - path: /item
      calls: [{url: "grpc://prices:50051/shelf.Prices/Get", timeout: 2s, take: [version], fallback: {price: unknown}}]
    - path: /strict
      calls: [{url: "grpc://prices:50051/shelf.Prices/Get", failure: 502}]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    folder = tmp_path_factory.mktemp("shelf")
    documents = [
        DEPLOYMENT.format(name="front", app="front", version="v1", port=8080),
        DEPLOYMENT.format(name="prices-v1", app="prices", version="v1", port=50051),
        DEPLOYMENT.format(name="prices-v2", app="prices", version="v2", port=50051),
        SERVICE.format(name="front", port_name="http", port=8080),
        SERVICE.format(name="prices", port_name="grpc", port=50051),
        GATEWAY,
    ]
    (folder / "shelf.yaml").write_text("---\n".join(documents))
    (folder / "behaviours.yaml").write_text(BEHAVIOURS)
    with own_lab(
        tmp_path_factory.mktemp("labs"),
        "shelf",
        manifests=[folder / "shelf.yaml"],
        behaviours=folder / "behaviours.yaml",
    ) as made:
        yield made


@pytest.fixture
def channel(lab: LabState) -> Iterator[grpc.Channel]:
    """What the application ``front`` has, with the sidecar in place of iptables."""
    pods = loopback.get(f"{lab.api}/api/v1/namespaces/{NAMESPACE}/pods", params={"labelSelector": "app=front"}).json()
    options = [("grpc.default_authority", AUTHORITY), ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(f"{pods['items'][0]['status']['podIP']}:15001", options=options) as made:
        yield made


def ask(channel: grpc.Channel, **metadata: str) -> tuple[str, str]:
    """The status's name, and the version that answered or the error's words."""
    try:
        message = channel.unary_unary(METHOD)(b"", metadata=tuple(metadata.items()), timeout=10)
    except grpc._channel._InactiveRpcError as error:
        return error.code().name, str(error.details())
    return "OK", json.loads(text_of(message))["version"]


def route(lab: LabState, *http: dict[str, object]) -> None:
    """Puts this VirtualService for ``prices`` in the place of the one before."""
    path = f"{lab.api}/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
    loopback.delete(f"{path}/prices")
    if http:
        obj = {"metadata": {"name": "prices"}, "spec": {"hosts": ["prices"], "http": [*http]}}
        made = loopback.post(path, json=whole(path, obj))
        assert made.status_code == 201, made.text


def to(subset: str, **more: object) -> dict[str, object]:
    return {"route": [{"destination": {"host": "prices", "subset": subset}}], **more}


def test_calls_are_routed_by_metadata_and_balanced_one_by_one(lab: LabState, channel: grpc.Channel) -> None:
    until(lambda: {ask(channel) for _ in range(20)} == {("OK", "v1"), ("OK", "v2")})
    route(lab, to("v2", match=[{"headers": {"x-canary": {"exact": "true"}}}]), to("v1"))
    until(lambda: {ask(channel) for _ in range(10)} == {("OK", "v1")})
    assert Counter(ask(channel, **{"x-canary": "true"}) for _ in range(20)) == {("OK", "v2"): 20}
    route(lab)


@pytest.mark.parametrize(
    ("abort", "expected"),
    [
        ({"grpcStatus": "RESOURCE_EXHAUSTED"}, "RESOURCE_EXHAUSTED"),
        ({"httpStatus": 503}, "UNAVAILABLE"),
        ({"httpStatus": 500}, "UNKNOWN"),
    ],
)
def test_an_abort_reaches_the_client_as_a_status_of_grpc(
    lab: LabState, channel: grpc.Channel, abort: dict[str, object], expected: str
) -> None:
    route(lab, to("v1", fault={"abort": {**abort, "percentage": {"value": 100}}}))
    until(lambda: ask(channel) == (expected, "fault filter abort"))
    route(lab)
    until(lambda: ask(channel)[0] == "OK")


def test_a_status_for_grpc_only_looks_like_success_to_plain_http(lab: LabState, channel: grpc.Channel) -> None:
    route(lab, to("v1", fault={"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 100}}}))
    until(lambda: ask(channel)[0] == "UNAVAILABLE")
    pods = loopback.get(f"{lab.api}/api/v1/namespaces/{NAMESPACE}/pods", params={"labelSelector": "app=front"}).json()
    with loopback.Client(proxy=f"http://{pods['items'][0]['status']['podIP']}:15001") as plain:
        answer = plain.get(f"http://{AUTHORITY}/anything")
    assert (answer.status_code, answer.text) == (200, "fault filter abort")
    route(lab)
    until(lambda: ask(channel)[0] == "OK")


def test_a_service_without_instances_is_unavailable(lab: LabState, channel: grpc.Channel) -> None:
    route(lab, to("v3"))
    until(lambda: ask(channel)[0] == "UNAVAILABLE")
    route(lab)
    until(lambda: ask(channel)[0] == "OK")


def test_a_caller_answers_for_what_it_called(lab: LabState, channel: grpc.Channel) -> None:
    assert loopback.get(f"{lab.entry}/item").json()["version"] in ("v1", "v2")
    route(lab, to("v1", fault={"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 100}}}))
    until(lambda: ask(channel)[0] == "UNAVAILABLE")
    item, strict = loopback.get(f"{lab.entry}/item"), loopback.get(f"{lab.entry}/strict")
    assert (item.status_code, item.json()["price"]) == (200, "unknown")
    assert item.json()["calls"][0]["grpcStatus"] == "UNAVAILABLE"
    assert strict.status_code == 502
    route(lab)
    until(lambda: ask(channel)[0] == "OK")


def test_calls_are_counted_as_grpc(lab: LabState, channel: grpc.Channel) -> None:
    query = (
        f'sum by (grpc_response_status, response_code, reporter) (istio_requests_total{{request_protocol="grpc",'
        f'destination_service="prices.{NAMESPACE}.svc.cluster.local",grpc_response_status="0"}})'
    )

    def counted() -> dict[str, float]:
        found = loopback.get(f"{lab.prometheus}/api/v1/query", params={"query": query}).json()["data"]["result"]
        assert {one["metric"]["response_code"] for one in found} <= {"200"}
        return {one["metric"]["reporter"]: float(one["value"][1]) for one in found}

    assert all(ask(channel)[0] == "OK" for _ in range(10))
    until(lambda: counted().get("source", 0) >= 10 and len(set(counted().values())) == 1)


ALLOWED = f'namespaces = ["{NAMESPACE}"]\n'
EXPERIMENT = {
    "namespace": NAMESPACE,
    "service": "prices",
    "callers": "{app: front}",
    "fault": "abort: {percentage: 50, grpcStatus: UNAVAILABLE}",
    "path": "/item",
    "answers": "front",
}


def test_an_experiment_aborts_calls_with_a_status_of_grpc(lab: LabState, tmp_path: Path) -> None:
    experiment = quick(tmp_path, **EXPERIMENT)
    done = chaosctl("run", *on(lab), "--report-dir", tmp_path, "--json", experiment, cwd=configured(tmp_path, ALLOWED))
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["outcome"] == "passed"
    assert verdict["proof"]["targets"][0]["shares"][0]["proven"]


@survive_only
@pytest.mark.parametrize(("path", "outcome"), [("/item", "passed"), ("/strict", "failed")])
def test_a_template_of_the_library_speaks_grpc(lab: LabState, tmp_path: Path, path: str, outcome: str) -> None:
    given = {
        "namespace": NAMESPACE,
        "service": "prices",
        "caller": "front",
        "path": path,
        "protocol": "grpc",
        "atLeast": "95%",
    }
    declared = {"experiment": "front-without-prices", "uses": "dependency-down", "with": given, "profile": "quick"}
    (tmp_path / "experiment.yaml").write_text(json.dumps({**declared, "confidence": "80%"}))
    done = chaosctl("run", "experiment.yaml", *on(lab), "--json", cwd=configured(tmp_path, ALLOWED), within=300)
    (verdict,) = json.loads(done.stdout)
    assert verdict["outcome"] == outcome, verdict["reasons"]
