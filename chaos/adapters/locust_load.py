"""Locust in a process of its own, as the ``Load`` port. This module itself never imports Locust."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from chaos.errors import LoadError
from chaos.model.experiment import Load
from chaos.model.history import LoadCell, LoadSecond

_DRIVER: Final = "chaos.adapters.locust_driver"
_READY: Final = 30.0
"""Seconds within which Locust must have been imported."""
_STOP: Final = 2.0


class LocustLoad:
    """One load generator, from its preparation to its end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None
        self._seconds: deque[LoadSecond] = deque()
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None
        self._stopped = False

    def prepare(self, spec: Load, *, entry: str, headers: Mapping[str, str], base: Path) -> None:
        """Starts the process; it loads Locust while the harness goes on."""
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process
        work = {
            "spec": {
                **spec.model_dump(mode="json", exclude={"timeout"}),
                "requests": [{**r.model_dump(mode="json"), "label": r.label} for r in spec.requests],
            },
            "timeout": spec.timeout.total_seconds(),
            "entry": entry,
            "headers": dict(headers),
            "base": str(base),
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _DRIVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                start_new_session=True,
            )
        except OSError as error:
            raise LoadError(f"the load generator could not be started: {error}") from error
        self._reader = threading.Thread(target=self._read, name="chaos load", daemon=True)
        self._reader.start()
        self._say(json.dumps(work))

    def start(self) -> None:
        """Sends from now on; waits until Locust is loaded.

        Raises:
            LoadError: it did not come up.
        """
        process = self._process
        if process is None:
            raise LoadError("the load generator was not prepared")
        if not self._ready.wait(_READY) or process.poll() is not None:
            raise LoadError(
                f"the load generator did not come up: {self._tail() or 'it said nothing'}",
                hint="check load.locustfile" if "locust" in self._tail() else None,
            )
        self._say("start")

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call."""
        found = []
        while self._seconds:
            found.append(self._seconds.popleft())
        return found

    def failure(self) -> str | None:
        """Why it has ended by itself; ``None`` while it is well."""
        if self._process is None or self._stopped or self._process.poll() is None:
            return None
        return self._tail() or f"exit code {self._process.returncode}"

    def stop(self) -> None:
        """Stops it and waits for its end; safe to call twice, and before it was started."""
        process = self._process
        if process is None or self._stopped:
            return
        self._stopped = True
        self._say("stop")
        try:
            if process.stdin is not None:
                process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        try:
            process.wait(timeout=_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(timeout=_STOP)
        if process.stdout is not None:
            process.stdout.close()
        if self._log is not None:
            self._log.close()

    def _say(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018 - callers look
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it has ended: failure() says why

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - started above
        try:
            for line in self._process.stdout:
                if line == "ready\n":
                    self._ready.set()
                elif line.strip():
                    self._seconds.append(_second(line))
        except ValueError:
            pass  # closed by stop()
        self._ready.set()

    def _tail(self) -> str:
        if self._log is None or self._log.closed:
            return ""
        self._log.seek(0)
        said = [line.strip() for line in self._log.read().splitlines() if line.strip()]
        return said[-1] if said else ""


def _second(line: str) -> LoadSecond:
    found = json.loads(line)
    return LoadSecond.model_construct(
        at=float(found["at"]),
        intended=found["intended"],
        sent=found["sent"],
        worst_lag=found["worst_lag"],
        cells=tuple(
            LoadCell.model_construct(
                request=cell["request"],
                status=cell["status"],
                error=cell["error"],
                latencies={float(took): count for took, count in cell["latencies"].items()},
            )
            for cell in found["cells"]
        ),
    )
