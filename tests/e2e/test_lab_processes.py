"""Services of the user's as processes on the lab: led through their sidecars, kept like containers, ended with the lab."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chaos.lab import commands
from chaos.lab.processes import start_time
from chaos.lab.state import LabState
from tests.e2e.callers import kubectl
from tests.e2e.experiments import chaosctl, configured, on, query, quick
from tests.e2e.own_services import door, stateful_set, workload
from tests.support import loopback
from tests.support.kubectl import needs_kubectl
from tests.support.labs import own_lab
from tests.support.scope import survive_only
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, needs_kubectl]
SERVICE = """\
import http.server, json, os, subprocess, sys, urllib.error, urllib.request

below = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(1000)"])

class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/socket":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: upgrade\\r\\n\\r\\nhere")
            self.close_connection = True
            return
        if self.path == "/end":
            print("ends now", flush=True)
            os._exit(3)
        said, status = {"pod": os.environ["HOSTNAME"], "below": below.pid}, 200
        for url in filter(None, os.environ.get("CALLS", "").split()):
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    said[url] = json.load(answer)
            except urllib.error.URLError as error:
                said[url], status = str(error), 502
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

print("serves", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Answers).serve_forever()
"""
STRICT = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""
ABORT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: stock}
spec:
  hosts: [stock]
  http: [{fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: stock}}]}]
"""
STOCK = "http://stock.default.svc.cluster.local"
POD = "http://web-1.web"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "app.py").write_text(SERVICE)
    documents = [
        workload("order", calls=f"{STOCK} {POD}"),
        workload("stock", replicas=2),
        stateful_set("web", replicas=2),
        door({"/": "order"}),
        STRICT,
    ]
    (folder / "all.yaml").write_text("---\n".join(documents))
    process = {"process": {"command": [sys.executable, "app.py"]}}
    (folder / "behaviours.yaml").write_text(json.dumps({"order": process, "stock": process, "web": process}))
    with own_lab(
        tmp_path_factory.mktemp("labs"),
        "own",
        manifests=[folder / "all.yaml"],
        behaviours=folder / "behaviours.yaml",
    ) as made:
        yield made


def test_a_process_calls_through_its_sidecar_and_is_called_through_it(lab: LabState, tmp_path: Path) -> None:
    answers = [loopback.get(lab.entry) for _ in range(20)]
    assert {one.status_code for one in answers} == {200}
    assert len({one.json()[STOCK]["pod"] for one in answers}) == 2, "both replicas answer"
    assert {one.json()[POD]["pod"] for one in answers} == {"web-1"}, "a pod that is asked by its name"
    counted = 'istio_requests_total{{source_workload="order",destination_workload="stock",reporter="{}",connection_security_policy=~"{}"}}'
    until(lambda: query(lab, counted.format("source", ".*")), "counted at the caller")
    until(lambda: query(lab, counted.format("destination", "mutual_tls")), "counted at the called, over mutual TLS")
    (tmp_path / "abort.yaml").write_text(ABORT)
    kubectl(lab, "apply", "-f", str(tmp_path / "abort.yaml"))
    until(lambda: "418" in loopback.get(lab.entry).text, "the caller feels the fault")
    kubectl(lab, "delete", "-f", str(tmp_path / "abort.yaml"))
    until(lambda: loopback.get(lab.entry).status_code == 200, "the fault is gone")


def test_a_web_socket_passes_the_sidecars(lab: LabState) -> None:
    at = httpx.URL(lab.entry)
    with socket.create_connection((at.host, at.port), timeout=5) as made:
        made.sendall(b"GET /socket HTTP/1.1\r\nhost: order\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        said = b"".join(iter(lambda: made.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 101 ")
    assert said.endswith(b"here")


@survive_only
def test_a_run_finds_that_errors_are_passed_on(lab: LabState, tmp_path: Path) -> None:
    asked = {"namespace": "default", "service": "stock", "callers": "{app: order}", "answers": "order"}
    folder = configured(tmp_path, 'namespaces = ["default"]\n')
    done = chaosctl("run", quick(tmp_path, **asked), *on(lab), "--report-dir", tmp_path, "--json", cwd=folder)
    (verdict,) = json.loads(done.stdout)
    assert verdict["outcome"] == "failed", verdict["reasons"]
    assert [one["code"] for one in verdict["reasons"]] == ["expectation-violated"]


def test_a_process_is_kept_like_a_container(lab: LabState) -> None:
    for _ in range(2):  # the first restart is at once
        until(lambda: loopback.get(lab.entry).status_code == 200, "it answers")
        assert loopback.get(f"{lab.entry}/end").status_code == 503
    shown = until(
        lambda: [row for row in kubectl(lab, "get", "pods").splitlines() if "CrashLoopBackOff" in row], "it waits"
    )
    assert shown[0].split()[1:4] == ["1/2", "CrashLoopBackOff", "1"]
    assert until(lambda: loopback.get(lab.entry).status_code == 503, "nobody is called")
    assert "ends now" in kubectl(lab, "logs", "deployment/order", "-c", "app", "--previous")
    kubectl(lab, "scale", "deployment/order", "--replicas=2")
    until(lambda: loopback.get(lab.entry).status_code == 200, "a new replica answers")
    assert commands.status("own").healthy, "what the user's process does is no fault of the lab"


def test_processes_end_with_the_lab_that_is_killed(lab: LabState) -> None:
    answer = loopback.get(lab.entry).json()
    below = [answer["below"], answer[STOCK]["below"]]
    assert all(start_time(one) is not None for one in below)
    os.kill(lab.pid, signal.SIGKILL)
    until(lambda: all(start_time(one) is None for one in below), "all that they started is gone", within=5)
