"""A secret in every place that takes one, and a whole session: afterwards none of them is found anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from chaos.lab.state import LabState
from tests.e2e.experiments import chaosctl, harness_kubeconfig
from tests.support.back_ends import REPLICAS, BackEnd, prometheus, serving

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
USER, PASSWORD, TENANT, TOKEN = "canary-user", "canary pass/word", "canary-tenant", "canary-token"
EXPERIMENT = """\
experiment: secrets
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults:
  - abort: {percentage: 50, httpStatus: 503}
load:
  rate: 40
  requests:
    - path: /orders/1?access_token=canary-query
      headers:
        Authorization: "Bearer canary-bearer"
        Cookie: |-
          session=canary-cookie
    - method: POST
      path: /orders
      body: >
        {"password": "canary-body"}
profile: quick
steadyState:
  - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 85%}
recovery: {within: 10s}
limits: {baseline: 30s, fault: 30s}
confidence: 80%
"""
SUITE = """\
import os
from pydantic import SecretStr
from chaos import Harness, Request
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.model.prometheus import Prometheus
from chaos.model.settings import Settings

KUBECONFIG, CONTEXT = os.environ["TEST_KUBECONFIG"], os.environ["TEST_CONTEXT"]


def test_prometheus_wants_others(harness):
    secret = SecretStr(open("wrong").read())
    request = Request.post(
        f"/login?token={secret.get_secret_value()}", headers={"X-Key": secret.get_secret_value()}, body=secret.get_secret_value()
    )
    settings = Settings(namespaces=["staging"], prometheus=Prometheus(open("address").read(), bearer="file:wrong"))
    with Harness.connect(CONTEXT, kubeconfig=KUBECONFIG, settings=settings):
        pass


def test_the_api_wants_others():
    mesh = KubernetesMesh(KUBECONFIG, CONTEXT)
    mesh.delete_lease("nowhere", "nothing", uid="1")
"""
CANARIES = ("canary-", quote(PASSWORD, safe=""), PASSWORD)


@pytest.fixture
def repository(lab: LabState, tmp_path: Path) -> Iterator[Path]:
    """Somebody's repository, with a back end that wants a user and a tenant, and is late, slow and double."""
    back_end = BackEnd(
        prefix="/prometheus",
        basic=(USER, PASSWORD),
        headers={"X-Scope-OrgID": TENANT},
        missing=["/api/v1/targets", "/api/v1/rules"],
        lag=1,
        slow=0.1,
        copies=REPLICAS,
    )
    with serving(prometheus(lab.prometheus), back_end) as made:
        url = made.url.replace("http://", f"http://{USER}:{quote(PASSWORD, safe='')}@") + "?api_key=canary-parameter"
        entry = lab.entry.replace("http://", "http://canary-visitor:canary-welcome@")
        (tmp_path / "chaos.toml").write_text(
            f'namespaces = ["staging"]\nentry = "{entry}"\n[prometheus]\nurl = "{url}"\n'
            'headers = {X-Scope-OrgID = "file:tenant", X-Reader = "env:READER", X-Writer = "canary-writer"}\n'
        )
        (tmp_path / "wrong").write_text(TOKEN)
        (tmp_path / "tenant").write_text(f"{TENANT}\n")
        (tmp_path / "address").write_text(made.url)
        (tmp_path / "experiments").mkdir()
        (tmp_path / "experiments" / "secrets.yaml").write_text(EXPERIMENT)
        (tmp_path / "test_suite.py").write_text(SUITE)
        yield tmp_path


def environment(lab: LabState, repository: Path) -> dict[str, str]:
    """With a token of the cluster in a file that ends in a newline, and variables that only the harness needs."""
    config = json.loads(harness_kubeconfig(lab).read_text())
    (user,) = config["users"]
    (repository / "token").write_text(f"{user['user'].pop('token')}\n")
    user["user"]["tokenFile"] = str(repository / "token")
    (repository / "kubeconfig").write_text(json.dumps(config))
    found = {**os.environ, "PYTHONPATH": str(ROOT), "TEST_KUBECONFIG": str(repository / "kubeconfig")}
    return {
        **found,
        "TEST_CONTEXT": lab.context,
        "READER": "canary-reader",
        "CHAOS_PROMETHEUS_HEADERS": f"X-Other={TOKEN}",
    }


def seen_by_others(process: psutil.Process) -> str:
    """The command lines of a process and of all that it has started, and the environments of these."""
    found = []
    for one in (process, *process.children(recursive=True)):
        try:
            found.append(" ".join(one.cmdline()))
            found += [] if one == process else [f"{name}={value}" for name, value in one.environ().items()]
        except psutil.Error:
            continue  # it has ended
    return "\n".join(found)


def test_no_secret_is_found_anywhere(lab: LabState, repository: Path) -> None:
    given, before = environment(lab, repository), set(repository.rglob("*"))
    cluster = (repository / "token").read_text().strip()
    options = ["--chaos-context", lab.context, "--chaos-kubeconfig", str(repository / "kubeconfig")]
    command = [
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:locust", "-vv", "--showlocals", "--full-trace",
        "-o", "log_level=DEBUG", "-rA", "--alluredir", "allure", "--junitxml", "junit.xml", "experiments", "test_suite.py", *options,
    ]  # fmt: skip
    seen: list[str] = []
    with (repository / "out.txt").open("w") as out:
        session = subprocess.Popen(command, cwd=repository, stdout=out, stderr=subprocess.STDOUT, env=given)
        while session.poll() is None:
            seen.append(seen_by_others(psutil.Process(session.pid)))
            time.sleep(0.5)
    told = (repository / "out.txt").read_text()
    assert "1 passed" in told, told
    assert "2 failed" in told
    assert "denies access: status 401" in told
    listed = "\n".join(seen)
    assert "chaos.adapters.locust_driver" in listed
    assert "chaos.safety.watchdog_process" in listed
    for command in (["config"], ["config", "--json"], ["plan", "experiments", "--json", "--context", lab.context]):
        done = chaosctl(*command, cwd=repository, environment={**given, "KUBECONFIG": str(repository / "kubeconfig")})
        assert done.returncode == 0, done.stderr
        listed += done.stdout + done.stderr
    written = [path for path in repository.rglob("*") if path.is_file() and path not in before]
    assert {"record.json", "environment.properties", "junit.xml", "timeline.png"} <= {path.name for path in written}
    texts = {path.name: path.read_bytes().decode(errors="replace") for path in written} | {"listed": listed}
    for canary in (*CANARIES, cluster):
        for name, text in texts.items():
            at = text.find(canary)
            assert at < 0, (name, text[max(0, at - 300) : at + 100])
