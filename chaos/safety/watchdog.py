"""The process that cleans up when the run is killed: it holds a pipe whose end tells it so.

It is started before the first write, in a session of its own, so that Ctrl-C in the terminal does not reach it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from chaos.errors import HarnessError, MeshError
from chaos.ports import Mesh

PROCESS: Final = "chaos.adapters.watchdog_process"
RELEASED: Final = b"released\n"
DEADLINE: Final = 600.0
"""Seconds for which it keeps trying against an API server that does not answer."""
_PAUSE: Final = 0.5
_START: Final = 20.0


class Watchdog:
    """A running watchdog, as its run sees it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def start(cls, *, kubeconfig: str | None, context: str, namespaces: Sequence[str], run: str, folder: Path) -> Self:
        """Starts it and returns once it is connected to the API server.

        Raises:
            HarnessError: it could not be started; nothing may be written then.
        """
        folder.mkdir(parents=True, exist_ok=True)
        task = {
            "kubeconfig": kubeconfig,
            "context": context,
            "namespaces": list(namespaces),
            "run": run,
            "record": str(folder / "watchdog.json"),
        }
        log = (folder / "watchdog.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", PROCESS, json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        assert process.stdout is not None  # noqa: S101 - it was asked for
        if process.stdout.readline() != b"ready\n":
            process.kill()
            process.wait()
            told = (folder / "watchdog.log").read_text(errors="replace").strip().splitlines()
            raise HarnessError(
                f"the watchdog could not be started: {told[-1] if told else 'it said nothing'}",
                hint=f"see {folder / 'watchdog.log'}; without a watchdog nothing is injected",
            )
        return cls(process)

    def release(self) -> None:
        """All is clean: it ends without doing anything."""
        self._end(RELEASED)

    def abandon(self) -> None:
        """Something is left: it takes over, and goes on after this process."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _end(self, word: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(word)
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def clean_up(
    mesh: Mesh,
    *,
    namespaces: Sequence[str],
    run: str,
    say: Callable[[dict[str, Any]], None],
    deadline: float = DEADLINE,
) -> bool:
    """Deletes everything of a run, faults first, and looks again until nothing is left or the time is over.

    Args:
        mesh: The API.
        namespaces: Where the run may have written.
        run: Its id.
        say: Told what was done and what failed.
        deadline: Seconds.
    """
    until = time.monotonic() + deadline
    while True:
        try:
            if not _delete_all(mesh, namespaces, run, say):
                return True
        except MeshError as error:
            say({"failed": error.message})
        if time.monotonic() > until:
            return False
        time.sleep(_PAUSE)


def _delete_all(mesh: Mesh, namespaces: Sequence[str], run: str, say: Callable[[dict[str, Any]], None]) -> int:
    """Deletes what is there; how much there was."""
    found = [obj for namespace in namespaces for obj in mesh.injected(namespace, run=run)]
    for obj in sorted(found, key=lambda one: one["kind"] != "VirtualService"):
        meta = obj["metadata"]
        delete = mesh.delete_virtual_service if obj["kind"] == "VirtualService" else mesh.delete_lease
        delete(meta["namespace"], meta["name"], uid=meta["uid"])
        say({"deleted": f"{obj['kind']} {meta['namespace']}/{meta['name']}", "at": time.time()})
    return len(found)
