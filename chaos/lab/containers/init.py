"""Process 1 of a container: ``python -m chaos.lab.containers.init ORDER``, with an ``Order`` as JSON in a file.

It starts the user's command and answers for its sockets and its names. It ends with the command, with its exit code (128 and the signal's
number for one that was killed), and then ends all that the command has started, wherever that has gone. SIGTERM ends everything at
once: the kernel sends it when the lab dies. SIGUSR1 is the deletion of the pod: the command gets SIGTERM, and time to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from chaos.errors import LabError
from chaos.lab.addresses import free_port
from chaos.lab.containers import intercept, names
from chaos.lab.containers.directory import Directory
from chaos.lab.containers.redirect import DNS_PORT, Pod

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_NOT_RUN: Final = 127
TOLD: Final = "lab: this process "
"""How a line of the log begins that says what the user has to know."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Order:
    """The experiment of the run.

    Attributes:
        command: The program and its arguments.
        folder: Where it runs.
        env: All of its environment.
        namespace: Its pod's.
        ip: Its pod's address.
        ports: By port that the program listens on, the port at ``ip`` that it gets.
        proxy: The port of its sidecar for what it sends; ``None`` without one.
        services: The file of what is known of services.
        grace: Seconds between SIGTERM and SIGKILL when the pod is deleted.
    """

    command: list[str]
    folder: str
    env: dict[str, str]
    namespace: str
    ip: str
    ports: dict[int, int]
    proxy: int | None
    services: str
    grace: float

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote."""
        raw = json.loads(text)
        return cls(**{**raw, "ports": {int(port): own for port, own in raw["ports"].items()}})


class Init:
    """One container from the start of its command to its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._directory = Directory(Path(order.services), proxied=order.proxy is not None)
        self._lookup = names.within(order.namespace, self._directory.addresses)
        self._said: set[str] = set()
        known = self._directory
        self._pod = Pod(order.ip, order.ports, order.proxy, known.endpoints, known.tcp, self._tell, free_port)
        self._main = 0
        self._code: int | None = None
        self._deadline: float | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """The exit code of the command, or of its end by us."""
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what loses its parent becomes our child
        wake, woken = socket.socketpair()
        for one in (wake, woken):
            one.setblocking(False)  # noqa: FBT003 - positional only
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._selector.register(wake, selectors.EVENT_READ)
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.setblocking(False)  # noqa: FBT003 - positional only
        asking.bind((self._order.ip, DNS_PORT))
        self._selector.register(asking, selectors.EVENT_READ)
        self._main, listener = _start(self._order)
        self._selector.register(listener, selectors.EVENT_READ)
        while self._code is None:
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            ready = {key.fileobj for key, _ in self._selector.select(left)}
            if listener in ready:
                self._answer_call(listener)
            if asking in ready:
                self._answer_question(asking)
            if wake in ready:
                self._heed(wake.recv(64))
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._code = 128 + signal.SIGKILL
        end_all()
        return self._code

    def _answer_call(self, listener: int) -> None:
        asked = intercept.receive(listener)
        if asked is None:
            return
        if asked.call == intercept.BIND:
            decided = self._pod.bind(
                asked.address,
                only_v6=lambda: intercept.only_v6(asked),
                is_datagram=lambda: intercept.is_datagram(asked),
            )
        else:
            decided = self._pod.connect(asked.address, is_datagram=lambda: intercept.is_datagram(asked))
        intercept.answer(listener, asked, decided)

    def _answer_question(self, asking: socket.socket) -> None:
        with contextlib.suppress(OSError):
            packet, sender = asking.recvfrom(4096)
            reply = names.answer(packet, self._lookup)
            if reply is not None:
                asking.sendto(reply, sender)

    def _heed(self, signals: bytes) -> None:
        if signal.SIGTERM in signals:
            self._code = 128 + signal.SIGTERM
            return
        if signal.SIGUSR1 in signals and self._deadline is None:
            self._deadline = time.monotonic() + self._order.grace
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._main, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._main:
                    code = os.waitstatus_to_exitcode(ended[1])
                    self._code = 128 - code if code < 0 else code

    def _tell(self, sentence: str) -> None:
        """Writes it to the container's log, once."""
        if sentence not in self._said:
            self._said.add(sentence)
            sys.stderr.write(f"{TOLD}{sentence}\n")
            sys.stderr.flush()


def _start(order: Order) -> tuple[int, int]:
    """The command's process id, and where the kernel asks about its sockets."""
    ours, its = socket.socketpair()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(order, its, parent)
    its.close()
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    if not descriptors:  # it has said why
        os.waitpid(child, 0)
        sys.exit(_NOT_RUN)
    return child, descriptors[0]


def _become(order: Order, its: socket.socket, parent: int) -> None:
    """In the child: the user's command. Never returns."""
    try:
        os.setsid()
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(_NOT_RUN)
        os.chdir(order.folder)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        listener = _intercepted()
        socket.send_fds(its, [b"."], [listener])
        os.close(listener)
        its.close()
        os.execve(order.command[0], order.command, order.env)  # noqa: S606 - there is to be no shell
    except (OSError, LabError) as error:
        sys.stderr.write(f"lab: {order.command[0]} can't be started in {order.folder}: {error}\n")
        sys.stderr.flush()
    os._exit(_NOT_RUN)


def _intercepted() -> int:
    """Where the kernel asks about this process's sockets from now on."""
    try:
        return intercept.install()
    except OSError as error:
        raise LabError(
            f"the kernel does not let the lab redirect its sockets ({error})",
            hint="that needs Linux 5.5, and a sandbox or container that allows the system call seccomp",
        ) from error


def end_all() -> None:
    """Kills everything below this process, and returns when it is gone."""
    while True:
        for process in _below(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _below(top: int) -> list[int]:
    """All processes that this one has started, and these in turn."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found: list[int] = []
    line = [top]
    while line:
        above = line.pop()
        children = [process for process, parent in parents.items() if parent == above]
        found += children
        line += children
    return found


if __name__ == "__main__":
    sys.exit(Init(Order.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))).run())
