"""Driving a lab as its users do: kubectl from outside, and requests from inside a pod, by its sidecar."""

from __future__ import annotations

import contextlib
import json
import math
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage
from typing import Self
from urllib.parse import urlsplit

from chaos.lab.state import LabState
from tests.support.kubectl import run_kubectl
from tests.support.waiting import until


@dataclass(frozen=True)
class Reply:
    """What a caller got. ``version`` and ``pod`` are who answered; empty where nobody of the mesh's services did."""

    status: int
    seconds: float
    version: str = ""
    pod: str = ""
    overloaded: bool = False
    """Shed by the caller's own sidecar (``x-envoy-overloaded``)."""
    text: str = ""
    """The body of an answer that no service of the mesh gave."""

    def lasted(self, seconds: float) -> bool:
        """Whether it took that long. Envoy's timers count from the beginning of a turn of its loop, so they may end some milliseconds early."""
        return self.seconds > seconds - 0.05

    @property
    def who(self) -> str:
        """The version that answered well, or the status."""
        return self.version if self.status == 200 else str(self.status)


class Refused(Exception):
    """kubectl failed; holds what it said."""


def kubectl(lab: LabState, *arguments: str, stdin: str | None = None) -> str:
    """What kubectl prints.

    Raises:
        Refused: It did not succeed.
    """
    done = run_kubectl(lab.kubeconfig, *arguments, context=lab.context, stdin=stdin)
    if done.returncode != 0:
        raise Refused(done.stderr)
    return done.stdout


@contextlib.contextmanager
def applying(lab: LabState) -> Iterator[Callable[[str], None]]:
    """Applies manifests, and takes them away again in the end, the last first."""
    applied: list[str] = []

    def one(text: str) -> None:
        kubectl(lab, "apply", "-f", "-", stdin=text)
        applied.append(text)

    yield one
    for text in reversed(applied):
        kubectl(lab, "delete", "--ignore-not-found", "-f", "-", stdin=text)


def address(lab: LabState, selector: str, namespace: str) -> str:
    """Of the first pod that the labels select."""
    path = "jsonpath={.items[0].status.podIP}"
    return kubectl(lab, "get", "pod", "-n", namespace, "-l", selector, "-o", path)


def sidecar(lab: LabState, app: str, namespace: str = "staging") -> str:
    """Where an application in a pod of this label ``app`` sends its requests."""
    return f"http://{address(lab, f'app={app}', namespace)}:15001"


class Connection:
    """One connection to a proxy, by the standard library, which takes a tenth of the time that httpx would compute.

    Args:
        proxy: Its address, such as ``http://127.9.1.2:15001``.
    """

    ERRORS = (HTTPException, OSError)
    """What a request raises that gets no answer; the next one makes a new connection."""

    def __init__(self, proxy: str) -> None:
        self._connection = HTTPConnection(urlsplit(proxy).netloc, timeout=30)

    def get(self, host: str, path: str, **headers: str) -> tuple[int, HTTPMessage, bytes]:
        """Status, headers and body."""
        try:
            self._connection.request("GET", path, headers={"Host": host, **headers})
            answer = self._connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except self.ERRORS:
            self.close()
            raise

    def reply(self, url: str, **headers: str) -> Reply:
        """What matters of the answer to a request."""
        host, _, path = url.removeprefix("http://").partition("/")
        begin = time.monotonic()
        status, got, body = self.get(host, f"/{path}", **headers)
        seconds = time.monotonic() - begin
        if got.get("content-type") != "application/json":
            return Reply(status, seconds, overloaded="x-envoy-overloaded" in got, text=body.decode(errors="replace"))
        said = json.loads(body)
        return Reply(status, seconds, said.get("version", ""), said.get("pod", ""), "x-envoy-overloaded" in got)

    def close(self) -> None:
        """Ends it; a further request makes a new one."""
        self._connection.close()


def ask(proxy: str, url: str, times: int = 1, **headers: str) -> list[Reply]:
    """The replies of a caller's sidecar; 50 requests at a time."""
    mine, made = threading.local(), list[Connection]()

    def one(_: int) -> Reply:
        if not hasattr(mine, "connection"):
            mine.connection = Connection(proxy)
            made.append(mine.connection)
        reply: Reply = mine.connection.reply(url, **headers)
        return reply

    with ThreadPoolExecutor(min(50, times)) as pool:
        try:
            return list(pool.map(one, range(times)))
        finally:
            for connection in made:
                connection.close()


class AtOnce:
    """Requests that are all sent in the same moment, each on a connection that was there before; they end with the block."""

    def __init__(self, proxy: str, url: str, number: int) -> None:
        host, port = proxy.removeprefix("http://").split(":")
        authority = url.removeprefix("http://").partition("/")[0]
        request = f"GET {url} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n".encode()
        self._exit = contextlib.ExitStack()
        made = [self._exit.enter_context(socket.create_connection((host, int(port)))) for _ in range(number)]
        self._poll, self._waiting, self._replies = select.poll(), {one.fileno(): one for one in made}, list[Reply]()
        self._begin = time.monotonic()
        for one in made:
            one.sendall(request)
            self._poll.register(one, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def replies(self) -> list[Reply]:
        """Those that came so far."""
        for number, _ in self._poll.poll(0):
            head = self._waiting.pop(number).recv(65536).decode(errors="replace").lower()
            self._poll.unregister(number)
            status = int(head.split()[1]) if head.startswith("http/1.1 ") else 0
            took = time.monotonic() - self._begin
            self._replies.append(Reply(status, took, overloaded="x-envoy-overloaded:" in head))
        return self._replies

    def all(self) -> list[Reply]:
        """Every reply, once the last has come."""
        until(lambda: bool(self.replies()) and not self._waiting, "replies to all", within=60)
        return self._replies


def agrees(count: int, total: int, share: float) -> bool:
    """Whether a count is within five standard deviations: about one false alarm in a million."""
    return abs(count - total * share) <= 5 * math.sqrt(total * share * (1 - share))
