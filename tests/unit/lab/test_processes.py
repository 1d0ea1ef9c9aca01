"""Children: they say why they died, and none outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos.errors import LabError
from chaos.lab.processes import Child, memory_of, start_time, tail


def run(work: object) -> None:
    asyncio.run(asyncio.wait_for(work, 10))  # type: ignore[arg-type]


def test_a_child_that_ends_says_its_code_and_its_last_lines(tmp_path: Path) -> None:
    async def work() -> None:
        ended: list[Child] = []
        child = Child(
            "sh", ["sh", "-c", "echo one; echo two >&2; exit 7"], log=tmp_path / "logs" / "sh.log", on_exit=ended.append
        )
        assert child.ended == "not started"
        child.start()
        await child.wait()
        assert not child.alive
        assert child.ended == "ended with exit code 7"
        assert child.why().endswith("sh.log:\none\ntwo")
        assert ended == [child]

    run(work())


def test_a_child_that_is_told_to_end_is_no_surprise(tmp_path: Path) -> None:
    async def work() -> None:
        ended: list[Child] = []
        child = Child("sleep", ["sleep", "60"], log=tmp_path / "log", on_exit=ended.append)
        child.start()
        assert child.alive
        assert child.ended == ""
        child.kill()
        await child.wait()
        child.kill()
        assert child.ended == "killed by SIGKILL"
        assert ended == []

    run(work())


def test_a_command_that_does_not_exist_is_a_lab_error(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(LabError, match="nothing can't be started: /no/such/binary: No such file"):
            Child("nothing", ["/no/such/binary"], log=tmp_path / "log").start()

    run(work())


PARENT = """
import asyncio, sys
from pathlib import Path
from chaos.lab.processes import Child

async def main():
    child = Child("sleep", ["sleep", "60"], log=Path(sys.argv[1]))
    child.start()
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


def test_the_kernel_ends_the_child_of_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert start_time(pid) is not None
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while start_time(pid) is not None:
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.01)


def test_memory_and_start_time_of_this_process_and_of_none() -> None:
    memory = memory_of(os.getpid())
    assert memory is not None
    assert memory.resident >= memory.proportional > 1_000_000
    assert (start_time(os.getpid()) or 0) > 0
    assert memory_of(2**22 + 1) is None
    assert start_time(2**22 + 1) is None


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("".join(f"line {at}\n\n" for at in range(20)))
    assert tail(log, 2) == "line 18\nline 19"
