"""Many runs in a row on one lab: what is there after the tenth must be there after the last, and no more.

    python -m benchmarks.soak [runs]

Each is a whole run in this one process: plan, lease, watchdog, Locust, injection, proof, restore, judgement, record.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks.own_lab import own_lab
from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.harness.connecting import on_lab
from chaos.harness.harness import Harness
from chaos.lab.state import LabState
from tests.e2e.experiments import marked, quick


def tree(root: int) -> list[psutil.Process]:
    """A process and all below it."""
    process = psutil.Process(root)
    return [process, *process.children(recursive=True)]


def watchdogs() -> int:
    commands = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))
    return sum("chaos.safety.watchdog" in " ".join(command) for command in commands)


def state(lab: LabState, mesh: KubernetesMesh) -> dict[str, float]:
    gc.collect()
    own, supervisor = tree(os.getpid()), tree(lab.pid)
    return {
        "VirtualServices": len(mesh.virtual_services()),
        "ours": len(marked(lab)),
        "own processes": len(set(own) - set(supervisor)),
        "lab processes": len(supervisor),
        "watchdogs": watchdogs(),
        "own open files": own[0].num_fds(),
        "lab open files": supervisor[0].num_fds(),
        "temporary files": len(list(Path(tempfile.gettempdir()).iterdir())),
        "own MiB": own[0].memory_info().rss / 2**20,
        "lab MiB": sum(process.memory_info().rss for process in supervisor) / 2**20,
    }


def main(runs: int) -> None:
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary, own_lab() as lab:
        folder = Path(temporary)
        harness = Harness(on_lab(lab), report_dir=folder / "reports")
        mesh = KubernetesMesh(lab.kubeconfig, lab.context)
        text = quick(folder).read_text().replace("rate: 40", "rate: 120")
        experiment = parse_experiment(text)
        tenth: dict[str, float] = {}
        began = time.monotonic()
        for number in range(1, runs + 1):
            outcomes[harness.run(experiment).verdict.outcome] += 1
            if number == min(10, runs):
                tenth = state(lab, mesh)
        last = state(lab, mesh)
        print(f"{runs} runs in {time.monotonic() - began:.0f} s: {dict(outcomes)}")
        print(f"{'':18}{'after 10':>10}{f'after {runs}':>12}")
        for name, value in tenth.items():
            print(f"{name:18}{value:10.0f}{last[name]:12.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
