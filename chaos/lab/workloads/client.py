"""A small HTTP/1.1 client on asyncio's protocols and httptools: a call costs a tenth of what httpx takes, half of aiohttp's.

All stand-ins of a lab share one process and the machine with everything else; with a general client, making calls would be
most of the lab's work and would bend the latencies that are measured on it. Nor does this one repeat anything by itself, as
aiohttp does on a connection that was closed under it: retries are declared, or the mesh's.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import httptools

_IDLE_LIMIT = 64
"""Idle connections that are kept for each address."""


class CallError(Exception):
    """No answer came; the message says why in a word or two."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer."""

    status: int
    body: bytes
    grpc: str | None = None
    """The status's name, of a call over gRPC."""


class _Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._reusable = True

    @property
    def usable(self) -> bool:
        """Whether one more request may be sent on it."""
        return self._reusable and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, head: bytes) -> Response:
        """Sends a request and returns its answer; a cancelled exchange closes the connection."""
        assert self._transport is not None  # noqa: S101 - connected before it is handed out
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(head)
        try:
            return await self._waiting
        except BaseException:
            self.close()
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """Closes it at once."""
        self._reusable = False
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_connection makes no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._reusable = False
        self._fail("connection reset" if exc else "connection closed")

    # -- the parser's side --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._body.clear()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._reusable = self._reusable and self._parser.should_keep_alive()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Response(self._parser.get_status_code(), bytes(self._body)))

    def _fail(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(CallError(why))


class Client:
    """Calls from one pod.

    Args:
        ip: The pod's address, from which it connects.
        proxy: ``ip:port`` that every request goes to in absolute form; ``None`` connects to the target itself.
    """

    def __init__(self, *, ip: str, proxy: str | None = None) -> None:
        self._ip = ip
        self._proxy = proxy
        self._idle: dict[str, list[_Connection]] = defaultdict(list)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], endpoint: str | None = None
    ) -> Response:
        """The answer to one request.

        Args:
            method: Such as ``GET``; there is never a body.
            url: ``http://authority/path``.
            headers: Sent beside ``host``.
            endpoint: ``ip:port`` to connect to where there is no proxy.

        Raises:
            CallError: There was no complete answer.
        """
        authority, _, path = url.removeprefix("http://").partition("/")
        target = url if self._proxy else f"/{path}"
        lines = [f"{method} {target} HTTP/1.1", f"host: {authority}", "accept: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method != "GET":
            lines.append("content-length: 0")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        address = self._proxy or endpoint or authority
        connection = await self._connect(address)
        response = await connection.exchange(head)
        if connection.usable and len(self._idle[address]) < _IDLE_LIMIT:
            self._idle[address].append(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Closes idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _connect(self, address: str) -> _Connection:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        host, _, port = address.rpartition(":")
        connecting = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        connecting.setblocking(False)  # noqa: FBT003 - positional only
        loop = asyncio.get_running_loop()
        try:
            connecting.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            connecting.bind((self._ip, 0))
            await loop.sock_connect(connecting, (host, int(port)))
            _, connection = await loop.create_connection(_Connection, sock=connecting)
        except OSError as error:
            connecting.close()
            raise CallError(error.strerror or str(error)) from error
        except BaseException:
            connecting.close()
            raise
        return connection


_BIND_ADDRESS_NO_PORT = 24
"""``IP_BIND_ADDRESS_NO_PORT`` of ip(7): the port is chosen at the connect, so that ports don't run out."""
