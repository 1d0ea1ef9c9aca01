"""The supervisor's end of the process that holds the stand-ins."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chaos.errors import LabError
from chaos.lab.processes import Child


class WorkloadHost:
    """Starts the process and tells it which pods to answer for.

    Args:
        log: The process's log.
        env: Its environment.
        on_exit: Called when it ends by itself.
    """

    def __init__(self, *, log: Path, env: Mapping[str, str], on_exit: Callable[[Child], None] | None = None) -> None:
        self.child = Child(
            "apps", [sys.executable, "-P", "-m", "chaos.lab.workloads.server"], log=log, env=env, on_exit=self._ended
        )
        self._on_exit = on_exit
        self._waiting: dict[str, asyncio.Future[dict[int, int]]] = {}
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the process; orders may be given at once."""
        self.child.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = asyncio.create_task(self._read(), name="lab: answers of the apps")

    async def add(
        self,
        *,
        namespace: str,
        pod: str,
        service: str,
        workload: str,
        version: str,
        ip: str,
        proxy: str | None,
        ports: Sequence[int],
        behaviour: str | None,
    ) -> dict[int, int]:
        """Has the process answer for a pod; the port listened on for each container port.

        Raises:
            LabError: The behaviour can't be read, a port is in use, the process is dead.
        """
        waiting: asyncio.Future[dict[int, int]] = asyncio.get_running_loop().create_future()
        self._waiting[f"{namespace}/{pod}"] = waiting
        order = {
            "namespace": namespace,
            "pod": pod,
            "service": service,
            "workload": workload,
            "version": version,
            "ip": ip,
            "proxy": proxy,
            "ports": list(ports),
            "behaviour": behaviour,
        }
        self._order({"add": order})
        return await waiting

    def remove(self, namespace: str, pod: str) -> None:
        """Has the process stop answering for a pod."""
        if self.child.alive:
            self._order({"remove": f"{namespace}/{pod}"})

    def learn(self, endpoints: Mapping[str, Sequence[str]]) -> None:
        """Tells pods without sidecar where services are."""
        if self.child.alive:
            self._order({"endpoints": {key: list(value) for key, value in endpoints.items()}})

    def kill(self) -> None:
        """Ends the process."""
        if self._reader is not None:
            self._reader.cancel()
        self.child.kill()

    def _order(self, order: Mapping[str, Any]) -> None:
        pipe = self.child.stdin
        if pipe is None or not self.child.alive:
            raise LabError(f"the stand-in services are not running: {self.child.why()}")
        try:
            pipe.write(json.dumps(order).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError as error:
            raise LabError(f"the stand-in services are not running: {self.child.why()}") from error

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        answers = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(answers), self.child.stdout)
        while line := await answers.readline():
            said = json.loads(line)
            waiting = self._waiting.pop(said["pod"], None)
            if waiting is None or waiting.done():
                continue
            if "error" in said:
                waiting.set_exception(LabError(said["error"], hint=_hint(said["error"])))
            else:
                waiting.set_result({int(port): own for port, own in said["ports"].items()})

    def _ended(self, child: Child) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LabError(f"the stand-in services died: {child.why()}"))
        self._waiting.clear()
        if self._on_exit is not None:
            self._on_exit(child)


def _hint(error: str) -> str | None:
    if "in use" in error:
        return "a server that listens on all addresses (0.0.0.0) takes the port on every pod's: `ss -ltnp` names it"
    return None
