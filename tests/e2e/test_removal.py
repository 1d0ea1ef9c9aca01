"""Acknowledged is not gone: how a run ends while the control plane is away, and while proxies can't be asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.judge import judge
from chaos.lab import commands
from chaos.lab.state import LabState
from chaos.model.history import Mark
from chaos.reporting.record import read_record
from tests.e2e.experiments import chaosctl, configured, marked, on, query, quick, record_in
from tests.support import loopback
from tests.support.labs import own_lab
from tests.support.scope import survive_only
from tests.support.waiting import until

pytestmark = pytest.mark.lab
SCRAPE_INTERVAL = 1.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    """One of its own: nobody else is to run on a mesh whose control plane goes away."""
    with own_lab(tmp_path_factory.mktemp("labs"), "removal") as made:
        yield made


@pytest.fixture(autouse=True)
def all_is_well_again(lab: LabState) -> Iterator[None]:
    yield
    commands.control_plane(lab.name, power="up")
    answer_execs(lab, True)
    until(lambda: not marked(lab), within=40, what="nothing left")
    mesh = KubernetesMesh(lab.kubeconfig, lab.context)
    callers = [pod["metadata"] for pod in mesh.pods("staging") if pod["metadata"]["labels"].get("app") == "order-svc"]
    assert callers
    until(
        lambda: all('"chaos-' not in (mesh.routes_of_proxy("staging", one["name"]) or '"chaos-') for one in callers),
        within=40, what="no fault in the proxies",
    )  # fmt: skip


def answer_execs(lab: LabState, answers: bool) -> None:
    assert loopback.post(f"{lab.api}/lab/exec", json={"answers": answers}).status_code == 200


def faults(lab: LabState) -> list[str]:
    return [name for name in marked(lab) if name.startswith("staging/chaos-") and "inventory-svc" in name[15:]]


def faulted_now(lab: LabState) -> bool:
    found = query(lab, 'sum(rate(istio_requests_total{namespace="staging",response_flags=~"(.*,)?FI(,.*)?"}[5s])) > 0')
    return bool(found)


def aborted(lab: LabState) -> float:
    found = query(lab, 'sum(istio_requests_total{namespace="staging",response_flags=~"(.*,)?FI(,.*)?"})')
    return float(found[0]["value"][1]) if found else 0.0


def injected(lab: LabState) -> bool:
    answer = loopback.get(f"{lab.api}/apis/networking.istio.io/v1/namespaces/staging/virtualservices")
    return any(item["metadata"]["name"].startswith("chaos-") for item in answer.json()["items"])


def unhurried(tmp_path: Path) -> Path:
    """One that needs some seconds of the fault, so that a busy machine can take the control plane away before its end."""
    file = quick(tmp_path)
    file.write_text(file.read_text().replace("profile: quick", "observe: {atLeast: 6s}\nprofile: quick"))
    return file


def with_limits(file: Path, limits: str) -> Path:
    file.write_text(file.read_text().replace("limits: {", f"limits: {{{limits}, "))
    return file


def start(lab: LabState, file: Path, tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "chaos", "run", str(file), *on(lab), "--report-dir", str(tmp_path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=configured(tmp_path),
        env=dict(os.environ),
    )


def end(process: subprocess.Popen[str]) -> None:
    """Ends a run whose test has failed; nothing where it has ended."""
    process.kill()
    process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, told = process.communicate(timeout=120)
    assert "Traceback" not in told, told
    (verdict,) = json.loads(out)
    return process.returncode, verdict, told


def without_control_plane_at_the_restore(
    request: pytest.FixtureRequest, lab: LabState, file: Path, tmp_path: Path
) -> subprocess.Popen[str]:
    """A run of which the control plane does not hear the restore, up to that moment."""
    process = start(lab, file, tmp_path)
    request.addfinalizer(lambda: end(process))
    until(lambda: injected(lab), what="the fault")
    until(lambda: faulted_now(lab), what="faults in the counts")
    commands.control_plane(lab.name, power="down")
    until(lambda: not injected(lab), within=60, what="the restore acknowledged")
    return process


def faults_counted_later_than(record: dict[str, Any], seconds: float) -> float:
    since = record["marks"]["restored"] + seconds
    asked = {"kind": "requests", "host": "inventory-svc.staging.svc.cluster.local", "side": "callers"}
    found = 0.0
    for recorded in record["recorded"]:
        for series in recorded["series"] if recorded["question"] == asked else ():
            earlier = [value for at, value in series["samples"] if at <= since]
            if "FI" in series["labels"]["response_flags"].split(",") and earlier:
                found += series["samples"][-1][1] - earlier[-1]
    return found


def test_a_removal_that_reaches_the_proxies_late_is_told_and_waited_for(
    request: pytest.FixtureRequest, lab: LabState, tmp_path: Path
) -> None:
    process = without_control_plane_at_the_restore(request, lab, unhurried(tmp_path), tmp_path)
    counted, restored = aborted(lab), time.monotonic()
    some = "some seconds of faults more"
    until(lambda: aborted(lab) > counted + 100 and time.monotonic() - restored > 4, what=some)
    away = time.monotonic() - restored
    commands.control_plane(lab.name, power="up")
    code, verdict, told = ended(process)
    assert code == 0, told
    assert verdict["removal"]["answer"] == "holds"
    assert verdict["removal"]["asked"] == 1
    assert away - SCRAPE_INTERVAL < verdict["removal"]["seconds"] < 25, "a busy machine distributes later, not earlier"
    record = record_in(tmp_path)
    assert faults_counted_later_than(record, 1.5) > 20, "they really went on"
    assert "The fault was gone from the proxies within" in told
    (folder,) = (tmp_path / "runs").iterdir()
    history = read_record(folder).history
    before = tuple(look for look in history.proxies if look.at < history.marks[Mark.RESTORED])
    by_counts = judge(history.model_copy(update={"proxies": before})).removal
    assert by_counts is not None
    assert by_counts.asked == 0
    assert by_counts.seconds == pytest.approx(verdict["removal"]["seconds"], abs=3 * SCRAPE_INTERVAL)


@survive_only
def test_a_removal_that_takes_too_long_is_red(request: pytest.FixtureRequest, lab: LabState, tmp_path: Path) -> None:
    file = with_limits(unhurried(tmp_path), "removal: 3s")
    process = without_control_plane_at_the_restore(request, lab, file, tmp_path)
    code, verdict, told = ended(process)
    assert code == 1, told
    assert verdict["outcome"] == "cleanup-failed"
    assert [reason["code"] for reason in verdict["reasons"]] == ["still-faulted"]
    assert faults_counted_later_than(record_in(tmp_path), 1.5) > 0, "it said the truth"


@survive_only
def test_execs_that_hang_leave_it_to_the_counts(lab: LabState, tmp_path: Path) -> None:
    answer_execs(lab, False)
    done = chaosctl("run", quick(tmp_path), *on(lab), "--report-dir", tmp_path, "--json", cwd=configured(tmp_path))
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["proof"]["proxies"] == ""
    assert verdict["removal"]["asked"] == 0
    marks = record_in(tmp_path)["marks"]
    assert marks["fault-from"] - marks["injected"] < 15, "by the counts, soon after the asking was given up"


@survive_only
def test_execs_that_are_refused_leave_it_to_the_counts(lab: LabState, tmp_path: Path) -> None:
    options = on(lab)
    config = json.loads(Path(options[options.index("--kubeconfig") + 1]).read_text())
    roles = loopback.get(f"{lab.api}/apis/rbac.authorization.k8s.io/v1/namespaces/staging/roles").json()
    (role,) = [one for one in roles["items"] if any("pods/exec" in rule["resources"] for rule in one["rules"])]
    path = f"{lab.api}/apis/rbac.authorization.k8s.io/v1/namespaces/staging/roles/{role['metadata']['name']}"
    narrowed = {**role, "rules": [rule for rule in role["rules"] if "pods/exec" not in rule["resources"]]}
    del narrowed["metadata"]["resourceVersion"]
    assert config["users"]
    try:
        assert loopback.put(path, json=narrowed).status_code == 200
        done = chaosctl("run", quick(tmp_path), *options, "--report-dir", tmp_path, "--json", cwd=configured(tmp_path))
    finally:
        loopback.put(path, json={**narrowed, "rules": role["rules"]})
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)
    assert (verdict["proof"]["proxies"], verdict["removal"]["asked"]) == ("", 0)
