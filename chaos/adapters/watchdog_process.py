"""The watchdog's process: waits for its run's word, or for the end of the pipe, which says that the run was killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import HarnessError
from chaos.safety.watchdog import RELEASED, clean_up


def main() -> int:
    """Exit code 0: nothing to do, or all was removed; 1: something may be left."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever stops the run must not stop what cleans up after it
    task = json.loads(sys.argv[1])
    try:
        mesh = KubernetesMesh(task["kubeconfig"], task["context"])
        for namespace in task["namespaces"]:
            mesh.injected(namespace, run=task["run"])  # connected, and allowed to look
    except HarnessError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    word = b""
    while not word.endswith(b"\n"):
        more = os.read(0, 64)
        if not more:
            break
        word += more
    if word == RELEASED:
        return 0
    record, done = Path(task["record"]), []

    def say(what: dict[str, Any]) -> None:
        done.append(what)

    clean = clean_up(mesh, namespaces=task["namespaces"], run=task["run"], say=say)
    try:
        record.write_text(json.dumps({"run": task["run"], "clean": clean, "did": done[-1000:]}, indent=2))
    except OSError as error:  # the fault is gone; the record is not worth more
        sys.stderr.write(f"{record}: {error}\n")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
