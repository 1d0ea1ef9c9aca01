"""Which processes a lab has, and whether they are gone: by process id and start time, never by name."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil

from chaos.lab import commands
from chaos.lab.processes import start_time


def processes_of(name: str) -> dict[int, int]:
    """All processes of a running lab with their start times: the supervisor and its descendants, whatever they are."""
    found = commands.status(name)
    assert found.state is not None
    below = psutil.Process(found.state.pid).children(recursive=True)
    pids = {found.state.pid, *(part.pid for part in found.parts if part.pid is not None), *(one.pid for one in below)}
    return {pid: started for pid in pids if (started := start_time(pid)) is not None}


def wait_until_gone(processes: Mapping[int, int], *, within: float) -> None:
    """Returns when none of these processes lives; fails with those that do after ``within`` seconds."""
    deadline = time.monotonic() + within
    while left := [pid for pid, started in processes.items() if start_time(pid) == started]:
        assert time.monotonic() < deadline, f"still alive: {[_command(pid) for pid in left]}"
        time.sleep(0.01)


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return f"process {pid}"
