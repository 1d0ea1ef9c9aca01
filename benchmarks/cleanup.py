"""How fast a fault goes, and what watching over it costs: on the lab, with real Envoy.

python -m benchmarks.cleanup [kills]
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.own_lab import own_lab
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.lab.state import LabState
from chaos.safety.lock import acquire
from chaos.safety.watchdog import Watchdog
from tests.e2e.experiments import chaosctl, configured, marked, on, quick

_QUIET = 40.0
"""Seconds over which the cost of watching is taken: four renewals."""


def cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def killed(lab: LabState, mesh: KubernetesMesh, folder: Path) -> tuple[float, float]:
    """Seconds from SIGKILL until the caller's Envoy no longer has the fault, and until the API is clean."""
    caller = next(
        p["metadata"]["name"] for p in mesh.pods("staging") if p["metadata"]["labels"].get("app") == "order-svc"
    )

    def injected() -> bool:
        return '"chaos-' in (mesh.routes_of_proxy("staging", caller) or "")

    file = quick(folder, limit="30m")
    file.write_text(file.read_text().replace("atLeast: 85%", "atLeast: 85%, duringFault: 99.99%"))
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos", "run", str(file), *on(lab), "--report-dir", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=configured(folder),
    )  # fmt: skip
    while not injected():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    at = time.monotonic()
    api = 0.0
    while injected():
        if not api and not marked(lab):
            api = time.monotonic() - at
        time.sleep(0.01)
    sidecars = time.monotonic() - at
    process.wait()
    while marked(lab):
        time.sleep(0.01)
    return sidecars, api or time.monotonic() - at


def watching(mesh: KubernetesMesh, lab: LabState, folder: Path) -> tuple[float, float]:
    """Share of a core that the renewals and the watchdog take, with nothing else in this process."""
    watchdog = Watchdog.start(
        kubeconfig=lab.kubeconfig, context=lab.context, namespaces=("staging",), run="bench", folder=folder
    )
    held = acquire(mesh, namespace="staging", service="user-svc", run="bench", experiment="bench", owner=None)
    mine, its = time.process_time(), cpu(watchdog.pid)
    time.sleep(_QUIET)
    mine, its = time.process_time() - mine, cpu(watchdog.pid) - its
    held.release()
    watchdog.release()
    return mine / _QUIET, its / _QUIET


def main(kills: int) -> None:
    with own_lab() as lab, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mesh = KubernetesMesh(lab.kubeconfig, lab.context)
        found = [killed(lab, mesh, folder) for _ in range(kills)]
        for title, values in (("out of the sidecar", [s for s, _ in found]), ("API clean", [a for _, a in found])):
            print(f"SIGKILL to {title}: median {statistics.median(values):.3f} s, max {max(values):.3f} s of {kills}")
        acknowledged = []
        for number in range(5):
            reports = folder / f"normal-{number}"
            reports.mkdir()
            chaosctl("run", quick(reports), *on(lab), "--report-dir", reports, cwd=configured(reports))
            marks = json.loads(next(reports.glob("runs/*/record.json")).read_text())["marks"]
            acknowledged.append(marks["restored"] - marks["restore-sent"])
        print(f"decision to restore acknowledged: max {max(acknowledged) * 1000:.0f} ms of {len(acknowledged)}")
        renewals, dog = watching(mesh, lab, folder)
        print(f"renewals {renewals:.3%} and watchdog {dog:.3%} of a core")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
