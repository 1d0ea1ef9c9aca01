"""The demo shop on a running lab, as a user meets it: kubectl, curl, Prometheus, exec."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.lab import commands
from chaos.lab.state import LabState
from tests.support import loopback
from tests.support.kubectl import needs_kubectl, run_kubectl
from tests.support.waiting import until

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with loopback.Client(timeout=10) as made:
        yield made


def kubectl(lab: LabState, *words: str, stdin: str | None = None, check: bool = True) -> str:
    done = run_kubectl(lab.kubeconfig, *words, stdin=stdin)
    if check:
        assert done.returncode == 0, done.stderr
    return done.stdout if check else f"{done.returncode}: {done.stderr}"


def get(lab: LabState, *words: str) -> Any:
    return json.loads(kubectl(lab, "get", *words, "-o", "json"))


def query(client: httpx.Client, lab: LabState, promql: str) -> list[dict[str, Any]]:
    answer = client.get(f"{lab.prometheus}/api/v1/query", params={"query": promql})
    return list(answer.json()["data"]["result"])


@pytest.mark.parametrize("namespace", ["staging", "production"])
def test_every_path_of_the_shop_answers_in_both_namespaces(lab: LabState, client: httpx.Client, namespace: str) -> None:
    entry = lab.entries[namespace]
    for method, path, service in [
        ("GET", "/orders/42", "order-svc"),
        ("POST", "/orders", "order-svc"),
        ("GET", "/naive/orders/42", "order-naive"),
        ("GET", "/users/7", "user-svc"),
        ("GET", "/auth/check", "auth-svc"),
        ("GET", "/recommendations", "recommendation-svc"),
    ]:
        answer = client.request(method, f"{entry}{path}")
        assert answer.is_success, (path, answer.text)
        assert answer.json()["service"] == service
        assert answer.json()["namespace"] == namespace
    order = client.get(f"{entry}/orders/42").json()
    assert order["stock"] == 7
    assert order["calls"][0]["status"] == 200
    assert client.post(f"{entry}/orders").json()["payment"] == "authorised"
    assert client.get(f"{entry}/nothing").status_code == 404


def test_a_service_is_reached_by_its_name_through_a_sidecar(lab: LabState, client: httpx.Client) -> None:
    pods = client.get(f"{lab.api}/api/v1/namespaces/staging/pods?labelSelector=app=order-svc").json()["items"]
    proxy = f"http://{pods[0]['status']['podIP']}:15001"
    with loopback.Client(proxy=proxy) as beside:
        for host in (
            "inventory-svc",
            "inventory-svc.staging",
            "inventory-svc.staging.svc",
            "inventory-svc.staging.svc.cluster.local",
            "inventory-svc.production",
        ):
            answer = beside.get(f"http://{host}:8080/stock/check")
            assert answer.status_code == 200, host
            assert answer.json()["namespace"] == ("production" if host.endswith("production") else "staging")
        assert beside.get("http://unknown-svc:8080/").status_code in (404, 502)


def test_prometheus_counts_each_namespace_by_istios_names(lab: LabState, client: httpx.Client) -> None:
    for namespace in lab.namespaces:
        client.get(f"{lab.entries[namespace]}/orders/42")
        for reporter in ("source", "destination"):
            selector = (
                f'istio_requests_total{{reporter="{reporter}",source_workload="order-svc",'
                f'destination_service_name="inventory-svc",'
                f'destination_service_namespace="{namespace}",namespace="{namespace}",response_code="200"}}'
            )
            found = until(partial(query, client, lab, selector), within=5)
            metric = found[0]["metric"]
            assert metric["source_workload"] == "order-svc"
            assert metric["destination_service"] == f"inventory-svc.{namespace}.svc.cluster.local"
            assert metric["namespace"] == namespace
            assert metric["pod"].startswith("order-svc-" if reporter == "source" else "inventory-svc-")


def test_every_target_is_scraped_each_second(lab: LabState, client: httpx.Client) -> None:
    targets = client.get(f"{lab.prometheus}/api/v1/targets").json()["data"]["activeTargets"]
    assert {target["health"] for target in targets} == {"up"}
    assert {target["scrapeInterval"] for target in targets} == {"1s"}
    assert len([target for target in targets if target["labels"]["job"] == "istio-proxies"]) == 18


@needs_kubectl
def test_kubectl_sees_the_shop_as_it_is(lab: LabState) -> None:
    assert kubectl(lab, "config", "current-context").strip() == lab.context == "chaos-lab-shop"
    namespaces = {one["metadata"]["name"]: one["metadata"]["labels"] for one in get(lab, "namespaces")["items"]}
    assert {"staging", "production", "kube-system", "istio-system", "default"} <= set(namespaces)
    assert namespaces["production"]["env"] == "production"
    assert namespaces["staging"]["istio-injection"] == "enabled"
    for namespace in lab.namespaces:
        for deployment in get(lab, "deployments", "-n", namespace)["items"]:
            assert deployment["status"]["readyReplicas"] == 1, deployment["metadata"]["name"]
        for pod in get(lab, "pods", "-n", namespace)["items"]:
            assert pod["status"]["phase"] == "Running"
            assert any(container["name"] == "istio-proxy" for container in pod["spec"]["containers"])
        for endpoints in get(lab, "endpoints", "-n", namespace)["items"]:
            assert endpoints["subsets"][0]["addresses"], endpoints["metadata"]["name"]
    assert not [
        vs for vs in get(lab, "virtualservices", "-n", "staging")["items"] if vs["metadata"]["name"] == "inventory-svc"
    ]


@needs_kubectl
def test_exec_asks_the_pods_envoy_and_nothing_else(lab: LabState) -> None:
    (pod,) = get(lab, "pods", "-n", "staging", "-l", "app=order-svc")["items"]
    name = pod["metadata"]["name"]
    request = ("exec", "-n", "staging", name, "-c", "istio-proxy", "--")
    dump = json.loads(
        kubectl(lab, *request, "pilot-agent", "request", "GET", "config_dump?resource=dynamic_route_configs")
    )
    assert dump["configs"]
    assert "command terminated with exit code 127" in kubectl(lab, *request, "ls", check=False)
    assert "exit code 126" in kubectl(lab, *request, "pilot-agent", "proxy", check=False)
    other = ("exec", "-n", "staging", name, "-c", "app", "--", "sh")
    assert "commands in the container istio-proxy only" in kubectl(lab, *other, check=False)


@needs_kubectl
def test_a_deployment_is_created_scaled_and_deleted_at_run_time(lab: LabState, client: httpx.Client) -> None:
    manifest = """
apiVersion: v1
kind: Service
metadata: {name: greeter, namespace: staging}
spec: {selector: {app: greeter}, ports: [{name: http, port: 80, targetPort: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: greeter, namespace: staging}
spec:
  replicas: 1
  selector: {matchLabels: {app: greeter}}
  template:
    metadata: {labels: {app: greeter}}
    spec: {containers: [{name: app, image: any, ports: [{containerPort: 9000}]}]}
"""
    kubectl(lab, "apply", "-f", "-", stdin=manifest)

    def addresses() -> list[str]:
        subsets = get(lab, "endpoints", "greeter", "-n", "staging").get("subsets") or [{}]
        return [address["ip"] for address in subsets[0].get("addresses", [])]

    try:
        until(addresses, within=5)
        (order,) = get(lab, "pods", "-n", "staging", "-l", "app=order-svc")["items"]
        with loopback.Client(proxy=f"http://{order['status']['podIP']}:15001") as beside:
            until(lambda: beside.get("http://greeter/hello").status_code == 200, within=5)
            assert beside.get("http://greeter/hello").json()["service"] == "greeter"
            kubectl(lab, "scale", "deployment", "greeter", "-n", "staging", "--replicas=2")
            until(lambda: len(addresses()) == 2, within=5)
            until(lambda: len({beside.get("http://greeter/").json()["pod"] for _ in range(8)}) == 2, within=5)
    finally:
        kubectl(lab, "delete", "-f", "-", stdin=manifest)
    assert get(lab, "pods", "-n", "staging", "-l", "app=greeter")["items"] == []
    until(lambda: not [part for part in commands.status("shop").parts if "greeter" in part.name], within=5)


@needs_kubectl
def test_a_pod_whose_port_is_taken_says_so(lab: LabState) -> None:
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        port = everywhere.getsockname()[1]
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "late", "namespace": "staging"},
            "spec": {"containers": [{"name": "app", "image": "any", "ports": [{"containerPort": port}]}]},
        }
        kubectl(lab, "apply", "-f", "-", stdin=json.dumps(manifest))
        try:
            pod = until(
                lambda: (p := get(lab, "pod", "late", "-n", "staging"))["status"].get("message") and p, within=5
            )
            assert pod["status"]["phase"] == "Failed"
            assert (
                f"port in use: pod staging/late can't listen on {pod['status']['podIP']}:{port}"
                in (pod["status"]["message"])
            )
        finally:
            kubectl(lab, "delete", "pod", "late", "-n", "staging")


def test_the_control_plane_can_be_slowed_stopped_and_resumed(lab: LabState) -> None:
    try:
        assert commands.control_plane("shop", delay=3)["delay_seconds"] == 3
        assert commands.control_plane("shop", power="down")["pushing"] == 0
        part = next(part for part in commands.status("shop").parts if part.name == "control plane")
        assert "pushing: 0.0" in part.detail
        assert commands.control_plane("shop", power="up")["pushing"] == 1
    finally:
        commands.control_plane("shop", delay=0)


def test_a_killed_envoy_shows_in_the_status_with_the_reason(lab: LabState, client: httpx.Client) -> None:
    part = next(part for part in commands.status("shop").parts if part.name.startswith("envoy staging/user-svc"))
    assert part.pid is not None
    os.kill(part.pid, signal.SIGKILL)
    found = until(lambda: None if (s := commands.status("shop")).healthy else s, within=5)
    dead = [other for other in found.parts if not other.alive]
    assert [other.name for other in dead] == [part.name]
    assert "killed by SIGKILL" in dead[0].detail
    assert found.detail == f"failed: {part.name}"

    # Kubernetes is told as well, and a new pod makes it whole again.
    name = part.name.removeprefix("envoy staging/")
    pod = client.get(f"{lab.api}/api/v1/namespaces/staging/pods/{name}").json()
    statuses = {status["name"]: status["state"] for status in pod["status"]["containerStatuses"]}
    assert "killed by SIGKILL" in statuses["istio-proxy"]["terminated"]["message"]
    client.delete(f"{lab.api}/api/v1/namespaces/staging/pods/{name}")
    until(lambda: commands.status("shop").healthy, within=5)
    until(lambda: client.get(f"{lab.entry}/users/1").status_code == 200, within=5)


def test_the_folder_holds_what_was_promised(lab: LabState) -> None:
    assert json.loads(Path(lab.directory, "state.json").read_text())["pid"] == lab.pid
    assert set(lab.public()) == {"kubeconfig", "context", "prometheus", "entry", "namespaces", "pid"}
