"""A lab's supervisor as those see it who start and end it: one process, from its start to its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from chaos import errors
from chaos.errors import LabError
from chaos.lab.processes import start_time
from chaos.lab.state import LabFiles

STOP_TIMEOUT: Final = 3.0
_OWNER_DESCRIPTOR: Final = 3


def spawn(name: str, more: Sequence[str], *, owner: int | None, stdout: int, stderr: int) -> int:
    """Starts a supervisor in a session of its own, out of reach of the terminal's Ctrl-C; its process id.

    Not by ``subprocess``: the supervisor may outlive us, and nobody is to be warned about that.
    """
    argv = [sys.executable, "-P", "-m", "chaos.lab.supervisor", "--name", name, "--report", *more]
    null = os.open(os.devnull, os.O_RDONLY)
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
    ]
    handle: int | None = None
    try:
        if owner is not None:
            handle = os.pidfd_open(owner)
            argv += ["--owner", str(_OWNER_DESCRIPTOR)]
            actions.append((os.POSIX_SPAWN_DUP2, handle, _OWNER_DESCRIPTOR))
        kept = range(_OWNER_DESCRIPTOR + (owner is not None))
        actions += [(os.POSIX_SPAWN_CLOSE, one) for one in _inherited() if one not in kept]
        return os.posix_spawn(sys.executable, argv, _environment(), file_actions=actions, setsid=True)
    finally:
        os.close(null)
        if handle is not None:
            os.close(handle)


def _inherited() -> Iterator[int]:
    """Open files that came from our own parents, such as the lock of ``flock COMMAND``: a lab would keep it for as long as it is up."""
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one by which they were listed
            if os.get_inheritable(int(one.name)):
                yield int(one.name)


def _environment() -> dict[str, str]:
    """Ours, with this very package first on the path, installed or not."""
    root = str(Path(errors.__file__).resolve().parent.parent)
    path = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def listen(reports: IO[bytes], *, deadline: float, told: Callable[[str], None]) -> dict[str, Any] | None:
    """The supervisor's last word on its start; ``None`` where it died without one. ``told`` hears what is for people."""
    pending = b""
    doing = "start"
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reports], [], [], left)[0]:
            raise LabError(
                f"the lab was not ready in time; it was at: {doing}", hint="give it more time, or fewer pods"
            )
        chunk = reports.read(65_536)
        if not chunk:
            return None
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            said: dict[str, Any] = json.loads(line)
            if "told" in said:
                told(said["told"])
            elif "progress" in said:
                doing = said["progress"]
            else:
                return said


def holder(files: LabFiles) -> int | None:
    """The process that holds the lock, as it wrote itself into it."""
    with contextlib.suppress(OSError, ValueError):
        pid, started = map(int, files.lock.read_text(encoding="ascii").split())
        if start_time(pid) == started:
            return pid
    return None


def end(pid: int) -> None:
    """Ends a supervisor, by force if it takes longer than promised; returns when it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number, patience in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, 1.0)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], patience)[0]:
                break
    finally:
        os.close(handle)
        reap(pid)


def reap(pid: int, *, wait: bool = False) -> None:
    """Takes the exit status of a supervisor that is our own child, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0 if wait else os.WNOHANG)
