"""The process that owns a lab: ``python -m chaos.lab.supervisor --name default``.

One event loop holds the Kubernetes API, the control plane, the controllers and the node; Envoys, Prometheus and the
stand-ins are its children, which the kernel kills when it dies. It ends by SIGTERM or SIGINT, or with its owner.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any

from chaos.errors import HarnessError
from chaos.lab.assembly import Lab
from chaos.lab.processes import start_time
from chaos.lab.state import LabFiles, SupervisorLock
from chaos.lab.wanted import Wanted

Report = Callable[[dict[str, Any]], None]


async def supervise(
    files: LabFiles,
    *,
    owner: int | None,
    report: Report,
    on_ready: Callable[[], None],
    wanted: Wanted,
) -> int:
    """Runs a lab until it is asked to end or its owner ends; returns the process's exit code."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if owner is not None:
        loop.add_reader(owner, stop.set)  # a pidfd is readable once its process has ended
    stopped = asyncio.create_task(stop.wait())
    made = Lab(
        files,
        say=lambda progress: report({"progress": progress}),
        wanted=wanted,
    )
    for sentence in made.set_aside:
        report({"told": sentence})
    async with made as lab:
        starting = asyncio.create_task(lab.start())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            report({"error": "the lab was told to end while it was starting"})
            return 0
        try:
            state = starting.result()
        except HarnessError as error:
            report({"error": error.message, "hint": error.hint})
            return 1
        report({"ready": state.public()})
        on_ready()
        await stop.wait()
        if owner is not None:
            loop.remove_reader(owner)
        files.state.unlink(missing_ok=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="chaos.lab.supervisor", description="Owns one lab until it is told to end.")
    parser.add_argument("--name", default="default")
    parser.add_argument("--report", action="store_true", help="say progress and outcome on stdout as JSON lines")
    parser.add_argument("--owner", type=int, help="descriptor of a pidfd: end with that process")
    Wanted.declare(parser)
    given = parser.parse_args(argv)
    files = LabFiles.of(given.name)

    def report(said: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()

    lock = SupervisorLock(files.lock)
    if not lock.acquire():
        report({"busy": True})
        return 3
    _clean(files)
    files.lock.write_text(f"{os.getpid()} {start_time(os.getpid())}\n", encoding="ascii")
    files.logs.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=files.log, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )

    def on_ready() -> None:
        if given.report:  # nobody listens any more
            with files.log.open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)

    try:
        code = asyncio.run(
            supervise(
                files,
                owner=given.owner,
                report=report,
                on_ready=on_ready,
                wanted=Wanted.of(given),
            )
        )
    except HarnessError as error:
        report({"error": error.message, "hint": error.hint})
        return 1
    if code == 0:
        files.remove()
    lock.release()
    return code


def _clean(files: LabFiles) -> None:
    """Removes the residue of a lab of this name that was killed."""
    for path in files.directory.iterdir():
        if path == files.lock:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
