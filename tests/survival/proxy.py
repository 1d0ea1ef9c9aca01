"""A proxy before the API server that counts the calls, and spoils those that it is told to."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Spoil = Literal["409", "429", "500", "503", "lost-after", "lost-before", "reset", "truncated"]
SPOILS: tuple[Spoil, ...] = ("409", "429", "500", "503", "lost-after", "lost-before", "reset", "truncated")
HELD = 30.0
"""Seconds for which a call that is to time out is held; clients give up long before."""


@dataclass(frozen=True)
class Call:
    """One call as it came, in its place among all."""

    number: int
    method: str
    path: str
    dry: bool = False
    watch: bool = False

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def what(self) -> str:
        """``PUT leases``: the verb and the resource, for people and for telling kinds of calls apart."""
        parts = self.path.split("/")
        plural = parts[6] if "networking.istio.io" in parts and len(parts) > 6 else parts[-1]
        known = (
            "virtualservices",
            "leases",
            "events",
            "services",
            "pods",
            "namespaces",
            "destinationrules",
            "deployments",
        )
        plural = next((part for part in reversed(parts) if part in known), plural)
        return f"{self.method} {plural}{' (dry run)' if self.dry else ''}"


@dataclass
class Proxy:
    """Passes calls on to an API server.

    Args:
        upstream: Where to.
        before: Asked about each call before it is passed on: how to spoil it, or nothing.
        after: Told about each call once the server has answered it, before the client gets the answer.
        ahead: Seconds that are added to the server's clock as clients see it.
    """

    upstream: tuple[str, int]
    before: Callable[[Call], Spoil | None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    ahead: float = 0.0
    down: bool = False
    tls: ssl.SSLContext | None = None
    tokens: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def note(self, method: str, target: str) -> Call:
        split = urlsplit(target)
        with self._lock:
            query = parse_qs(split.query)
            call = Call(len(self.calls), method, split.path, dry="dryRun" in query, watch="watch" in query)
            self.calls.append(call)
            return call

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def hold(self) -> None:
        self._ended.wait(HELD)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass

    def _pass(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "Authorization" in self.headers:
            proxy.tokens.add(self.headers["Authorization"])
        if proxy.down:
            self._reset()
            return
        call = proxy.note(self.command, self.path)
        spoil = proxy.before(call)
        if spoil in ("409", "429", "500", "503"):
            self._answer(int(spoil), {"Retry-After": "1"} if spoil == "429" else {}, _status(int(spoil)))
            return
        if spoil == "lost-before":
            proxy.hold()
        if spoil in ("lost-before", "reset"):
            self._reset()
            return
        upstream = http.client.HTTPConnection(*proxy.upstream, timeout=10)
        try:
            upstream.request(
                self.command, self.path, body or None, {k: v for k, v in self.headers.items() if k != "Host"}
            )
            response = upstream.getresponse()
            if call.watch and response.status == 200:
                self._stream(response)
                return
            content = response.read()
        finally:
            upstream.close()
        proxy.after(call)
        if spoil == "lost-after":
            proxy.hold()
            self._reset()
            return
        headers = {
            k: v
            for k, v in response.getheaders()
            if k.lower() not in ("content-length", "transfer-encoding", "connection")
        }
        if proxy.ahead:
            headers = {k: v for k, v in headers.items() if k.lower() != "date"}
        self._answer(response.status, headers, content, cut=spoil == "truncated")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815

    def _answer(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
        with contextlib.suppress(OSError):
            self.send_response_only(status)
            if not any(k.lower() == "date" for k in headers):
                headers = {**headers, "Date": self.date_time_string(time.time() + self.server.proxy.ahead)}
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.wfile.flush()
                self._reset()

    def _stream(self, response: http.client.HTTPResponse) -> None:
        """Passes on what a watch tells while it tells it, until the client goes away or the API server is to be down."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.send_response_only(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            while (line := response.readline()) and not self.server.proxy.down:
                self.wfile.write(line)
                self.wfile.flush()

    def _reset(self) -> None:
        """Closes at once, so that the client sees a reset instead of an end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _status(code: int) -> bytes:
    reason = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}[code]
    return json.dumps({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": f"spoilt: {reason}",
    }).encode()  # fmt: skip
