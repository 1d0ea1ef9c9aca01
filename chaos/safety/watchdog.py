"""A small process that cleans up when the run can't: killed, out of memory, crashed in C.

It holds the reading end of a pipe whose only writing end is the run's. The pipe's end without a word, or the end of the
run's process, means that the run died: everything that carries the run's label is removed, for as long as that takes.

It lives in a session of its own, so that Ctrl-C and a closed terminal reach the run alone, and it has its client loaded
and connected before the run writes anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

from chaos.errors import HarnessError, MeshError
from chaos.safety.children import environment_of_child
from chaos.safety.watchdog_process import HANDED_OVER, RELEASED, Orders

CLIENT: Final = "chaos.adapters.kubernetes_mesh:KubernetesMesh"
"""What the process cleans with, made of a kubeconfig and a context; by name, since adapters are built upon this layer."""
PATIENCE: Final = 900.0
"""Seconds for which it keeps trying while the API does not answer; after that the lease has run out and sweeps see it."""
_READY_WITHIN: Final = 30.0
_END_WITHIN: Final = 5.0


class Watchdog:
    """The run's end of the pipe. Made by ``start``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        # Reaps it, and keeps hold of the pipe: it must not close before this process ends or lets go.
        self._reaper = threading.Thread(target=process.wait, name="watchdog-reaper", daemon=True)
        self._reaper.start()

    @classmethod
    def start(
        cls,
        *,
        kubeconfig: str | None,
        context: str,
        namespaces: Sequence[str],
        run: str,
        folder: Path,
        patience: float = PATIENCE,
        client: str = CLIENT,
        cluster: str = "",
        hidden: Collection[str] = (),
    ) -> Self:
        """Starts the process and waits until it could clean up.

        Args:
            kubeconfig: Path of a kubeconfig, or the usual one.
            context: The cluster.
            namespaces: Where the run writes.
            run: Whose objects to remove.
            folder: Where ``watchdog.json`` reports what it did.
            patience: Seconds for which it keeps trying.
            client: What it cleans with: ``module:callable`` taking a kubeconfig and a context.
            cluster: UID of ``kube-system`` of the cluster that the run writes to. The kubeconfig is read again, and may
                have been pointed elsewhere since; then nothing is written.
            hidden: Variables of the environment that it must not have.

        Raises:
            MeshError: it can't reach the cluster.
            HarnessError: it could not be started.
        """
        folder = folder.resolve()
        orders = Orders(
            kubeconfig=_absolute(kubeconfig) if kubeconfig else None,
            context=context,
            namespaces=tuple(namespaces),
            run=run,
            folder=str(folder),
            patience=patience,
            client=client,
            cluster=cluster,
            parent=os.getpid(),
        )
        log = folder / "watchdog.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as errors:
                process = subprocess.Popen(
                    # -P: a module of the user's in the current folder must not take the place of one of Python's or ours.
                    [sys.executable, "-P", "-m", "chaos.safety.watchdog_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                    env=environment_of_child(hidden),
                )
        except OSError as error:
            raise HarnessError(
                f"the watchdog could not be started: {error}", hint=f"check that {folder} can be written to"
            ) from error
        try:
            _await_ready(process, orders, log)
        except BaseException:
            process.kill()
            _close(process)
            process.wait()
            raise
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._reaper.is_alive()

    def release(self) -> None:
        """All is clean: it ends without touching anything, and its end is waited for."""
        self._say(RELEASED)
        self._reaper.join(_END_WITHIN)
        if self._reaper.is_alive():
            self._process.kill()
            self._reaper.join(_END_WITHIN)

    def abandon(self) -> None:
        """Something is left, or may be: it cleans up from now on, by itself and with its own deadline."""
        self._say(HANDED_OVER)

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was made with a pipe
        if not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(word + b"\n")
                self._process.stdin.flush()
        _close(self._process)


def _absolute(files: str) -> str:
    """Paths of kubeconfigs, which may be several in one string, that hold in any working directory."""
    return os.pathsep.join(str(Path(file).expanduser().resolve()) for file in files.split(os.pathsep) if file)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _await_ready(process: subprocess.Popen[bytes], orders: Orders, log: Path) -> None:
    assert process.stdin is not None  # noqa: S101 - it was made with pipes
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):  # then it has ended, and its log says why
        process.stdin.write(json.dumps(asdict(orders)).encode() + b"\n")
        process.stdin.flush()
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    readable = poll.poll(_READY_WITHIN * 1000)
    line = process.stdout.readline() if readable else b""
    if not line:
        said = log.read_text(errors="replace")[-500:].strip() or ("it reported nothing" if readable else "it hangs")
        raise HarnessError(f"the watchdog was not ready within {_READY_WITHIN:g} s: {said}", hint=f"see {log}")
    answer = json.loads(line)
    if "error" in answer:
        raise MeshError(f"the watchdog can't clean up: {answer['error']}", hint=answer.get("hint"))
