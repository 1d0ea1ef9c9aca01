"""Locust in a process of its own, as the ``Load`` port. This module itself never imports Locust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from chaos.adapters.loopback import directly
from chaos.errors import LoadError
from chaos.model.experiment import Load
from chaos.values.content import Marker
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.secrets import redacted, telling_values

_DRIVER: Final = "chaos.adapters.locust_driver"
_READY: Final = 30.0
"""Seconds within which Locust must have been imported."""
_STOP: Final = 2.0
"""Seconds within which the process must have ended once it is told to."""
_SILENT: Final = 10.0
_TAIL: Final = 4096
"""Bytes at the end of its log in which the reason of its end is looked for."""
_KEPT: Final = 256 * 1024
"""Bytes at the end of its log that are kept for people."""
_BROKEN_LOCUSTFILE: Final = 2
"""The driver's exit code."""


class LocustLoad:
    """One load generator, from its preparation to its end.

    The process has a session of its own, so that Ctrl-C in a terminal reaches the harness only, and ends with the harness
    however that ends.

    Args:
        driver: The module that the process runs.
        silent: Seconds without a word, of one that tells something every second, after which it no longer runs.
        hidden: Variables of the environment that it must not have.
    """

    def __init__(self, *, driver: str = _DRIVER, silent: float = _SILENT, hidden: Collection[str] = ()) -> None:
        self._driver, self._silent, self._hidden = driver, silent, hidden
        self._secrets: tuple[str, ...] = ()
        """What its log must not be shown with."""
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] | None = None
        self._locustfile: Path | None = None
        self._seconds: deque[LoadSecond] = deque()
        self._answered = threading.Event()
        """It has said that it is ready, or has ended."""
        self._ready = False
        self._heard: float | None = None
        """When it last said something, on the monotonic clock; ``None`` before it was started."""
        self._reader: threading.Thread | None = None
        self._stopped = False
        self._said = ""

    @property
    def pid(self) -> int | None:
        """The process's id once it is prepared."""
        return None if self._process is None else self._process.pid

    def prepare(
        self, spec: Load, *, entry: str, headers: Mapping[str, str], base: Path, markers: Sequence[Marker] = ()
    ) -> None:
        """Starts the process; it loads Locust while the harness goes on.

        To be called from a thread that lives as long as the run: Linux ends the process when the thread that started it
        ends (prctl(2), PR_SET_PDEATHSIG).

        Args:
            spec: What to send.
            entry: The mesh's entry, such as ``http://127.0.0.1:8080``.
            headers: Sent with every request; they win over those that a request declares.
            base: The folder that the locustfile's path starts from.
            markers: What each answer's content is looked at for.

        Raises:
            LoadError: the process can't be started.
        """
        self._secrets = (*_secrets_of(entry, spec), *telling_values(os.environ))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._locustfile = Path(os.path.normpath(base.absolute() / spec.locustfile)) if spec.locustfile else None
        work = {
            "spec": {
                **spec.model_dump(mode="json", exclude={"timeout", "requests"}),
                "requests": [request.sent() for request in spec.requests],
            },
            "timeout": spec.timeout.total_seconds(),
            "entry": entry,
            "headers": dict(headers),
            "markers": [marker.model_dump() for marker in markers],
            "locustfile": str(self._locustfile) if self._locustfile else None,
        }
        # Set for the harness's own process, these would leave Locust's users waiting for each other.
        unpatched = ("LOCUST_SKIP_MONKEY_PATCH", "LOCUST_SKIP_URLLIB3_PATCH")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._driver],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
                env={key: value for key, value in directly(entry, self._hidden).items() if key not in unpatched},
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
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
        if not self._answered.wait(_READY):
            raise LoadError(
                f"expected the load generator to be ready within {_READY:g} s; it is still loading",
                hint="see why the locustfile takes so long" if self._locustfile else "check the load of this machine",
            )
        if not self._ready:
            raise self._stillborn(process)
        self._heard = time.monotonic()
        self._say("start")

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call; never waits."""
        found = []
        while self._seconds:
            found.append(self._seconds.popleft())
        return found

    def failure(self) -> str | None:
        """Why it no longer runs; ``None`` while it is well, and once it was stopped."""
        if self._process is None or self._stopped:
            return None
        code = self._process.poll()
        if code is not None:
            return self._tail() or _ended(code)
        if self._heard is not None and time.monotonic() - self._heard > self._silent:
            return f"it has reported nothing for {time.monotonic() - self._heard:.0f} s"
        return None

    def stop(self) -> None:
        """Stops it and waits for its end; safe to call twice, and before it was started."""
        process = self._process
        if process is None or self._stopped:
            return
        self._stopped = True
        if not self._ready:
            self._kill(process)  # it still loads, and has nothing to say goodbye to
        self._say("stop")
        try:
            if process.stdin is not None:
                process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        try:
            process.wait(timeout=_STOP)
        except subprocess.TimeoutExpired:
            self._kill(process)
            process.wait()
        if self._reader is not None:
            self._reader.join()
        if process.stdout is not None:
            process.stdout.close()
        if self._log is not None:
            self._said = self._end_of_log(_KEPT)
            self._log.close()

    def log(self) -> str:
        """Locust's log, or its end where it is long; empty before it was stopped."""
        return self._said

    @staticmethod
    def _kill(process: subprocess.Popen[str]) -> None:
        """Ends its group, with what a locustfile may have started. Before it is waited for, so its id is its own."""
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                process.kill()  # so young that it has no group yet

    def _stillborn(self, process: subprocess.Popen[str]) -> LoadError:
        try:
            code = process.wait(timeout=_STOP)
        except subprocess.TimeoutExpired:  # it has closed its end and lives on
            self._kill(process)
            code = process.wait()
        said = self._tail() or _ended(code)
        if code == _BROKEN_LOCUSTFILE and self._locustfile:
            return LoadError(
                f"load.locustfile can't be loaded: {said}",
                hint=f"check that it loads by itself: locust -f {self._locustfile} --list",
            )
        return LoadError(f"the load generator did not start: {said}")

    def _say(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018 - callers look
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it has ended: failure() says why

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - started above
        for line in self._process.stdout:
            if line == "ready\n":
                self._ready = True
                self._answered.set()
            elif line.startswith("{"):  # all else was printed while Locust was imported
                self._heard = time.monotonic()
                self._seconds.append(_second(line))
        self._answered.set()

    def _tail(self) -> str:
        """The last line of its log: of a traceback, the one that names the error."""
        said = [line.strip() for line in self._end_of_log(_TAIL).splitlines() if line.strip()]
        return said[-1] if said else ""

    def _end_of_log(self, length: int) -> str:
        if self._log is None or self._log.closed:
            return ""
        log = self._log.fileno()
        # Not by seek and read: the process writes at the same offset.
        end = os.pread(log, length, max(0, os.fstat(log).st_size - length)).decode(errors="replace")
        return redacted(end, self._secrets)


def _secrets_of(entry: str, spec: Load) -> Iterator[str]:
    """What the load is told to send, and may repeat in its log."""
    url = urlsplit(entry)
    yield from filter(None, (url.username, url.password))
    for request in spec.requests:
        sent = request.sent()
        yield from (sent["body"] or "", *sent["headers"].values())


def _ended(code: int) -> str:
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


def _second(line: str) -> LoadSecond:
    found = json.loads(line)
    return LoadSecond.model_construct(
        at=float(found["at"]),
        intended=found["intended"],
        sent=found["sent"],
        worst_lag=found["worst_lag"],
        waiting=tuple(found["waiting"]),
        cpu=found["cpu"],
        cells=tuple(
            LoadCell.model_construct(
                request=cell["request"],
                status=cell["status"],
                error=cell["error"],
                matched=tuple(cell["matched"]),
                judged=cell["judged"],
                lag=cell["lag"],
                held=cell["held"],
                latencies={float(took): count for took, count in cell["latencies"].items()},
            )
            for cell in found["cells"]
        ),
    )
