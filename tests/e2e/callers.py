"""Driving a lab as its users do: kubectl from outside, and requests from inside a pod, by its sidecar."""

from __future__ import annotations

import asyncio
import contextlib
import math
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import httpx

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


def reply_of(answer: httpx.Response, seconds: float = 0.0) -> Reply:
    """What matters of an answer."""
    said = answer.json() if answer.headers.get("content-type") == "application/json" else {}
    overloaded = "x-envoy-overloaded" in answer.headers
    return Reply(answer.status_code, seconds, said.get("version", ""), said.get("pod", ""), overloaded)


def ask(proxy: str, url: str, times: int = 1, **headers: str) -> list[Reply]:
    """The replies of a caller's sidecar; 50 requests at a time."""

    async def all_of_them() -> list[Reply]:
        few = asyncio.Semaphore(50)
        async with httpx.AsyncClient(proxy=proxy, trust_env=False, timeout=30) as client:

            async def one() -> Reply:
                async with few:
                    begin = time.monotonic()
                    answer = await client.get(url, headers=headers)
                    return reply_of(answer, time.monotonic() - begin)

            return list(await asyncio.gather(*(one() for _ in range(times))))

    return asyncio.run(all_of_them())


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
