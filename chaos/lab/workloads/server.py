"""The process of all stand-ins: ``python -m chaos.lab.workloads.server``.

Orders come as JSON lines on stdin, answers leave as JSON lines on stdout, one for each order that names a pod:

- ``{"add": {"pod", "namespace", "service", "workload", "version", "ip", "proxy", "ports", "behaviour"}}`` →
  ``{"pod", "ports": {"<container port>": <port listened on>}}`` or ``{"pod", "error"}``
- ``{"remove": "<namespace>/<pod>"}`` → nothing
- ``{"endpoints": {"<name>.<namespace>:<port>": ["ip:port", …]}}`` → nothing; for pods without sidecar

The process ends with its stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chaos.errors import InputError
from chaos.lab.workloads import grpc
from chaos.lab.workloads.behaviour import ANNOTATION, Behaviour
from chaos.lab.workloads.http2 import Http2Protocol, Reply, Sniffing
from chaos.lab.workloads.standin import Answer, Identity, Resolve, StandIn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
BACKLOG: Final = 1024
KEEP_ALIVE: Final = 24 * 3600
"""Seconds. It's the sidecar that ends idle connections: if we did, a request could meet one that is just closing."""


class Workloads:
    """All stand-ins, found by the address that a request arrived at.

    Args:
        resolve: Where stand-ins without a proxy find others; by default what ``learn`` was told.
    """

    def __init__(self, *, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or self._learned
        self._standins: dict[str, StandIn] = {}
        self._at: dict[tuple[str, int], StandIn] = {}
        self._listeners: dict[str, list[asyncio.Server]] = {}
        self._endpoints: dict[str, list[str]] = {}
        self._config = uvicorn.Config(
            self,
            http=HttpToolsProtocol,
            lifespan="off",
            ws="none",
            log_level="error",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._server = uvicorn.Server(self._config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request over HTTP/1.1 (ASGI)."""
        while (await receive()).get("more_body"):
            pass
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = await self._answer(tuple(scope["server"]), scope["method"], scope["path"], headers)
        body = answer.encode()
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def respond(self, at: tuple[str, int], method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """Answers one request over HTTP/2, which may be a call of gRPC."""
        calls = headers.get("content-type", "").startswith(grpc.CONTENT_TYPE)
        if calls and path == grpc.HEALTH and at in self._at:
            return _called(grpc.SERVING, 200, "")
        answer = await self._answer(at, method, path, headers)
        body = answer.encode()
        if calls:
            return _called(grpc.string_value(body), answer.status, str(answer.fields.get("error", "")))
        described = (("content-type", "application/json"), ("content-length", str(len(body))))
        return Reply((((":status", str(answer.status)), *described)), b"" if method == "HEAD" else body)

    async def _answer(self, at: tuple[str, int], method: str, path: str, headers: Mapping[str, str]) -> Answer:
        standin = self._at.get(at)
        if standin is None:
            return Answer(503, {"error": "this pod is gone"})
        if path == "/healthz":
            return Answer(200, {"status": "ok"})
        return await standin.answer(method, path, headers)

    async def add(self, order: dict[str, Any]) -> dict[int, int]:
        """Listens for one more pod; raises ``InputError`` for its behaviour, ``OSError`` for its ports."""
        identity = Identity(**{key: order[key] for key in Identity.__dataclass_fields__})
        key = f"{identity.namespace}/{identity.pod}"
        behaviour = Behaviour.parse(order.get("behaviour"), where=f"Pod {key}: annotation {ANNOTATION}")
        standin = StandIn(identity, behaviour, resolve=self._resolve)
        listeners: list[asyncio.Server] = []
        ports: dict[int, int] = {}
        try:
            for port in order["ports"]:
                # Behind a sidecar the container's own port is Envoy's; the app takes any other.
                listener = await self._listen(identity.ip, 0 if identity.proxy else port)
                listeners.append(listener)
                ports[port] = listener.sockets[0].getsockname()[1]
        except OSError:
            for listener in listeners:
                listener.close()
            standin.close()
            raise
        self._standins[key] = standin
        self._listeners[key] = listeners
        self._at.update({(identity.ip, port): standin for port in ports.values()})
        return ports

    def remove(self, key: str) -> None:
        """Stops answering for a pod."""
        standin = self._standins.pop(key, None)
        if standin is None:
            return
        for listener in self._listeners.pop(key):
            listener.close()
        self._at = {address: other for address, other in self._at.items() if other is not standin}
        standin.close()

    def learn(self, endpoints: dict[str, list[str]]) -> None:
        """Replaces the addresses of services that pods without a sidecar know."""
        self._endpoints = endpoints

    async def run(self) -> None:
        """Keeps uvicorn's clock going (its date header); never returns by itself."""
        if not self._config.loaded:
            self._config.load()
        await self._server.main_loop()

    async def _listen(self, ip: str, port: int) -> asyncio.Server:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio wants to know
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ip, port))
        except OSError:
            listening.close()
            raise
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._protocol, sock=listening, backlog=BACKLOG)

    def _protocol(self) -> asyncio.Protocol:
        return Sniffing(self._http1, lambda: Http2Protocol(self.respond))

    def _http1(self) -> asyncio.Protocol:
        if not self._config.loaded:
            self._config.load()
        return HttpToolsProtocol(config=self._config, server_state=self._server.server_state, app_state={})

    def _learned(self, authority: str, namespace: str) -> str | None:
        host, _, port = authority.partition(":")
        name, _, rest = host.partition(".")
        rest = rest.removesuffix(".cluster.local").removesuffix(".svc")
        known = self._endpoints.get(f"{name}.{rest or namespace}:{port or 80}")
        return random.choice(known) if known else None  # noqa: S311


def _called(message: bytes, status: int, problem: str) -> Reply:
    """The answer to a call of gRPC: an error has no message, and its words are percent-encoded."""
    code = grpc.code_of(status)
    headers = ((":status", "200"), ("content-type", grpc.CONTENT_TYPE))
    said = (("grpc-status", str(code)),) + ((("grpc-message", quote(problem, safe=" :/")),) if code and problem else ())
    return Reply((*headers, *said)) if code else Reply(headers, grpc.framed(message), said)


async def serve() -> None:
    """Follows the orders on stdin until it closes."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=8 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    workloads = Workloads()
    clock = asyncio.create_task(workloads.run())
    while line := await orders.readline():
        order = json.loads(line)
        if "add" in order:
            said: dict[str, Any] = {"pod": f"{order['add']['namespace']}/{order['add']['pod']}"}
            try:
                said["ports"] = await workloads.add(order["add"])
            except InputError as error:
                said["error"] = error.message
            except OSError as error:
                said["error"] = f"can't listen on {order['add']['ip']} {order['add']['ports']}: {error.strerror}"
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
        elif "remove" in order:
            workloads.remove(order["remove"])
        elif "endpoints" in order:
            workloads.learn(order["endpoints"])
    clock.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await clock


if __name__ == "__main__":
    asyncio.run(serve())
