"""The processes of a lab: started so that none can outlive its supervisor, and able to say why they died."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from chaos.errors import LabError

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
TAIL_LINES: Final = 8


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process keeps in memory, in bytes.

    Attributes:
        resident: All of its pages in memory (RSS); pages that processes share count in each of them.
        proportional: Shared pages counted by their share (PSS); the sum over processes is what they really take.
    """

    resident: int
    proportional: int


def memory_of(pid: int) -> Memory | None:
    """The memory of a process; ``None`` where it is gone or not ours to read."""
    try:
        found = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return None
    return Memory(resident=found.rss, proportional=found.pss)


def start_time(pid: int) -> int | None:
    """When a process started, in hundredths of a second since boot; ``None`` where there is none (or only its zombie).

    A process id is reused; the pair of id and start time is not. It is counted from boot, since the wall clock may be set.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return round((process.create_time() - psutil.boot_time()) * 100)
    except psutil.Error:
        return None


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16_384))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def dies_with(parent: int, *, by: signal.Signals) -> Callable[[], None]:
    """What a child must run between fork and exec so that the kernel ends it, by this signal, when its parent dies.

    The signal comes when the *thread* that forked ends (prctl(2)), so children are started from the main thread.
    """

    def request() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(127)

    return request


class Child:
    """One process of the lab with a log file.

    Args:
        name: What users know it as.
        argv: Its command line.
        log: The file that its output is appended to.
        on_exit: Called in the event loop when it ends by itself; not when it was told to.
        ends_by: The signal that ends it: from us, or from the kernel when we die. By default nothing has anything to save.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        on_exit: Callable[[Child], None] | None = None,
        ends_by: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = [str(word) for word in argv]
        self._env = dict(env) if env is not None else None
        self._on_exit = on_exit
        self._ends_by = ends_by
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None
        self._ended = asyncio.Event()
        self._told_to = False

    def start(
        self, *, stdin: int = subprocess.DEVNULL, stdout: int | None = None, pass_fds: Sequence[int] = ()
    ) -> None:
        """Starts the process; must be called from the main thread, in the event loop.

        Raises:
            LabError: The command can't be run.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    self._argv,
                    stdin=stdin,
                    stdout=log if stdout is None else stdout,
                    stderr=log,
                    env=self._env,
                    pass_fds=tuple(pass_fds),
                    process_group=0,  # Ctrl-C is for the supervisor alone
                    preexec_fn=dies_with(os.getpid(), by=self._ends_by),
                )
            except OSError as error:
                raise LabError(f"{self.name} can't be started: {self._argv[0]}: {error.strerror}") from error
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int | None:
        """Its process id, also after its end; ``None`` before its start."""
        return self._process.pid if self._process else None

    @property
    def stdin(self) -> IO[bytes] | None:
        """The pipe to it, where it was started with one."""
        return self._process.stdin if self._process else None

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe from it, where it was started with one."""
        return self._process.stdout if self._process else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and not self._ended.is_set()

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; ``None`` while it runs."""
        return self._process.returncode if self._process and self._ended.is_set() else None

    @property
    def ended(self) -> str:
        """Why it does not run, in words; empty while it does."""
        if self._process is None:
            return "not started"
        if not self._ended.is_set():
            return ""
        code = self._process.returncode
        return f"killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"

    def why(self) -> str:
        """``ended`` with the last lines of the log."""
        lines = tail(self.log)
        return f"{self.ended}; last lines of {self.log}:\n{lines}" if lines else f"{self.ended}; {self.log} is empty"

    async def wait(self) -> None:
        """Returns when it has ended."""
        await self._ended.wait()

    def kill(self) -> None:
        """Ends it now."""
        self._told_to = True
        self.signal(self._ends_by)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal; nothing happens where it does not run."""
        if self._process is not None and not self._ended.is_set() and self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _reap(self) -> None:
        if self._process is None or self._process.poll() is None or self._pidfd is None:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = None
        self._ended.set()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        if self._on_exit is not None and not self._told_to:
            self._on_exit(self)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
