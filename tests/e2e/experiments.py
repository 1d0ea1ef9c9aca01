"""Experiments that need few events, so that tests of how a run goes and ends are quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.lab.state import LabState
from chaos.manifests.rbac import NAME, rbac
from tests.support import loopback

QUICK = textwrap.dedent("""\
    experiment: {name}
    owner: tests
    target: {{namespace: {namespace}, service: {service}, callers: {callers}}}
    faults:
      - {fault}
    load:
      rate: 40
      requests: [{{path: {path}}}]
    profile: quick
    steadyState:
      - {{title: answered, service: {answers}, good: {{status: "<500"}}, atLeast: {at_least}}}
    recovery: {{within: 10s}}
    limits: {{baseline: {baseline}, fault: {limit}}}
    confidence: 80%
""")
BY_TEMPLATE = """\
experiment: orders-without-inventory
uses: dependency-down
with:
  {service: inventory-svc, caller: order-svc, workload: order-svc, path: /orders/42, atLeast: 95%, fallback: {jsonPath: {stock: unknown}}}
confidence: 80%
"""


def quick(tmp_path: Path, **changes: str) -> Path:
    """Writes an experiment; by default half of what order-svc asks of inventory-svc is aborted, which it bears."""
    values = {
        "name": "quick",
        "namespace": "staging",
        "service": "inventory-svc",
        "callers": "{app: order-svc}",
        "fault": "abort: {percentage: 50, httpStatus: 503}",
        "path": "/orders/1",
        "answers": "order-svc",
        "baseline": "30s",
        "limit": "30s",
        "at_least": "85%",
        **changes,
    }
    file = tmp_path / f"{values['name']}.yaml"
    file.write_text(QUICK.format(**values))
    return file


def chaosctl(
    *arguments: str | Path, cwd: Path | None = None, within: float = 180, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does, to its end, which comes within these seconds."""
    return subprocess.run(
        [sys.executable, "-m", "chaos", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
    )


def harness_kubeconfig(lab: LabState) -> Path:
    """A kubeconfig with the lab's context, in which the user is a service account with the printed Roles and no more."""
    file = Path(lab.directory) / "harness.kubeconfig"
    if file.exists():
        return file
    mapping = {"Namespace": "/api/v1", "ServiceAccount": "/api/v1", "other": "/apis/rbac.authorization.k8s.io/v1"}
    with loopback.Client(base_url=lab.api) as admin:
        for obj in rbac(lab.staging, home="default"):
            kind, namespace = obj["kind"], obj["metadata"].get("namespace")
            place = f"/namespaces/{namespace}" if namespace else ""
            path = f"{mapping.get(kind, mapping['other'])}{place}/{kind.lower()}s"
            assert admin.post(path, json=obj).status_code in (201, 409), obj
        asked = admin.post(f"/api/v1/namespaces/default/serviceaccounts/{NAME}/token", json={"spec": {}})
    config = json.loads(Path(lab.kubeconfig).read_text())
    (user,) = config["users"]
    user["user"] = {"token": asked.json()["status"]["token"]}
    made = file.with_suffix(f".{os.getpid()}")  # several workers may do this at once
    made.write_text(json.dumps(config))
    made.replace(file)
    return file


def on(lab: LabState) -> list[str]:
    """Options that name a lab as if it were any cluster, with the harness's own identity there."""
    return [
        "--context",
        lab.context,
        "--kubeconfig",
        str(harness_kubeconfig(lab)),
        "--prometheus",
        lab.prometheus,
        "--entry",
        lab.entry,
    ]


ALLOWED = 'namespaces = ["staging"]\n'


def configured(tmp_path: Path, text: str = ALLOWED) -> Path:
    """A folder whose chaos.toml allows staging, as a user's repository would."""
    (tmp_path / "chaos.toml").write_text(text)
    return tmp_path


def marked(lab: LabState, *, experiment: str | None = None) -> list[str]:
    """Everything with the harness's label that is in the lab's API now; of one experiment where named."""
    selector = f"chaos-harness.dev/experiment={experiment}" if experiment else "chaos-harness.dev/run"
    found = []
    for path in ("networking.istio.io/v1/virtualservices", "coordination.k8s.io/v1/leases"):
        answer = loopback.get(f"{lab.api}/apis/{path}", params={"labelSelector": selector})
        found += [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in answer.json()["items"]]
    return found


def spec_of_everything(lab: LabState) -> dict[str, Any]:
    """All VirtualServices as they are, for comparing before with after."""
    answer = loopback.get(f"{lab.api}/apis/networking.istio.io/v1/virtualservices").json()
    return {f"{i['metadata']['namespace']}/{i['metadata']['name']}": i for i in answer["items"]}


def query(lab: LabState, text: str) -> list[Mapping[str, Any]]:
    """An instant query."""
    answer = loopback.get(f"{lab.prometheus}/api/v1/query", params={"query": text}).json()
    found: list[Mapping[str, Any]] = answer["data"]["result"]
    return found


def record_in(folder: Path) -> dict[str, Any]:
    """The one record below a report folder."""
    files = list(folder.glob("runs/*/record.json"))
    assert len(files) == 1, files
    loaded: dict[str, Any] = json.loads(files[0].read_text())
    return loaded
