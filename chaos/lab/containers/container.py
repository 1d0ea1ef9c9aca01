"""One container with a process of the user's, as a kubelet keeps it: started, started again when it ends, probed."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from chaos.lab.containers.init import TOLD, Order
from chaos.lab.containers.probes import Probes
from chaos.lab.containers.redirect import LISTENS
from chaos.lab.processes import Child, tail
from chaos.lab.state import write_atomically
from chaos.lab.status import timestamp

FIRST_BACK_OFF: Final = 10.0
"""Seconds before the second restart (the first is immediate), doubled before each further one, as in Kubernetes."""
LONGEST_BACK_OFF: Final = 300.0
FORGIVEN: Final = 600.0
"""Seconds after which a run counts as good, and the next restart as the first."""
STUCK: Final = 3
"""After so many ends of a container that was never ready, the lab no longer waits for it."""
_LOG_LINES: Final = 200
"""Last lines of its log that are searched for remarks to the user."""
ELSEWHERE: Final = 20.0
"""Seconds after which the lab no longer waits for a process that listens where no request can reach it."""


class Container:
    """A process in a pod.

    Args:
        name: Of its pod, with the namespace.
        order: The experiment of the run.
        probes: Whether it answers.
        folder: Where the order is written.
        logs: Where its logs are; each run has one of its own.
        changed: Told whenever its status changes.
        env: The environment of its init.
    """

    def __init__(
        self,
        name: str,
        order: Order,
        probes: Probes,
        *,
        folder: Path,
        logs: Path,
        changed: Callable[[], None],
        env: dict[str, str],
    ) -> None:
        self.name = name
        self.ready = False
        self.restarts = 0
        self._ends = 0
        self._order, self._probes, self._env = order, probes, env
        self._file = folder / f"{name.replace('/', '-')}.json"
        self._logs = logs
        self._changed = changed
        self._child: Child | None = None
        self._begun = 0.0
        self._was_ready = False
        self._started = False
        self._state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        self._last: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    # -- for those who look -------------------------------------------------------------------------------------------

    @property
    def child(self) -> Child | None:
        """The process of its latest run."""
        return self._child

    @property
    def begun(self) -> bool:
        """Whether it has run at all."""
        return self._child is not None

    @property
    def log(self) -> Path:
        """What its latest run wrote."""
        return self._log(self.restarts)

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self._child is not None and self._child.alive

    @property
    def previous_log(self) -> Path | None:
        """The output of the last run that ended; ``None`` if none has ended."""
        at = self._ends - 1
        return self._log(at) if at >= 0 else None

    @property
    def stuck(self) -> str:
        """Why it was never ready, if it ended too often or listens where no request can reach it; else empty."""
        if self._was_ready:
            return ""
        if self._ends < STUCK:
            return self._elsewhere() if self.alive and time.monotonic() - self._begun > ELSEWHERE else ""
        ended = self._last["terminated"]
        return f"the process ended {self._ends} times and was never ready, the last time with exit code {ended['exitCode']}: {self.words()}"

    def _elsewhere(self) -> str:
        """What its log says of a port that no request can reach; empty if it says nothing of that."""
        lines = tail(self.log, lines=_LOG_LINES).splitlines()
        return next((line for line in lines if line.startswith(TOLD + LISTENS)), "")

    def words(self) -> str:
        """The last lines that it wrote."""
        logs = [self.log, *([self.previous_log] if self.previous_log is not None else [])]
        return next(filter(None, map(tail, logs)), f"{self.log} is empty")

    def status(self) -> dict[str, Any]:
        """Its part of the pod's ``containerStatuses``, without name and image."""
        shown = {"ready": self.ready, "started": self._started, "restartCount": self.restarts, "state": self._state}
        return {**shown, "lastState": self._last} if self._last else shown

    # -- its life -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts it, and again whenever it ends."""
        self._task = asyncio.create_task(self._run(), name=f"lab: process {self.name}")
        self._task.add_done_callback(self._given_up)

    def _given_up(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.ready = False
            self._state = {"waiting": {"reason": "RunContainerError", "message": str(error)}}
            self._changed()

    async def end(self, *, grace: bool) -> None:
        """Ends it, without another start, and returns when it is gone; with grace it is asked first, as a pod's is that is deleted."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        child = self._child
        try:
            if grace and child is not None and child.alive:
                child.signal(signal.SIGUSR1)
                async with asyncio.timeout(self._order.grace + 1):
                    await child.wait()
        except TimeoutError:
            pass  # its init should have killed it
        finally:
            if child is not None and child.alive:
                child.kill()
                await child.wait()
            self._file.unlink(missing_ok=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        wait = 0.0
        while True:
            begun, since = loop.time(), timestamp()
            await self._once(since)
            if loop.time() - begun > FORGIVEN:
                wait = 0.0
            self._ends += 1
            if wait:
                message = f"back-off {wait:.0f}s restarting failed container of pod {self.name}"
                self._state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self._changed()
            await asyncio.sleep(wait)
            wait = min(2 * wait or FIRST_BACK_OFF, LONGEST_BACK_OFF)

    async def _once(self, since: str) -> None:
        """One run, from its start to its end."""
        write_atomically(self._file, self._order.to_json(), private=True)  # the environment may hold secrets
        self.restarts = self._ends
        self._log(self.restarts - 2).unlink(missing_ok=True)
        with self.log.open("w", encoding="utf-8") as log:
            log.writelines(f"lab: {remark}\n" for remark in self._probes.remarks)
        init: list[str | Path] = [sys.executable, "-P", "-m", "chaos.lab.containers.init", self._file]
        child = Child(f"process {self.name}", init, log=self.log, env=self._env, ends_by=signal.SIGTERM)
        child.start()
        self._child, self._begun = child, time.monotonic()
        self._state = {"running": {"startedAt": since}}
        self._changed()
        probing = asyncio.create_task(self._probe(child))
        try:
            await child.wait()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        code = child.code or 0
        ended = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Error" if code else "Completed",
            "startedAt": since,
            "finishedAt": timestamp(),
        }
        self.ready = self._started = False
        self._state = self._last = {"terminated": ended}

    async def _probe(self, child: Child) -> None:
        def tell(sentence: str) -> None:
            with child.log.open("a", encoding="utf-8") as log:
                log.write(f"lab: {sentence}\n")

        why = await self._probes.watch(ready=self._is_ready, started=self._has_started, tell=tell)
        tell(f"{why}: it is started again")
        child.signal(signal.SIGUSR1)

    def _is_ready(self, ready: bool) -> None:  # noqa: FBT001 - what it is told
        self.ready = ready
        self._was_ready = self._was_ready or ready
        self._changed()

    def _has_started(self) -> None:
        self._started = True

    def _log(self, number: int) -> Path:
        return self._logs / f"process-{self.name.replace('/', '-')}.{number}.log"
