"""A small real HTTP/1.1 server for the load generator, whose paths say how it answers or fails to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self


@dataclass
class Seen:
    """A request as the server got it."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Server:
    """A small HTTP/1.1 server with keep-alive, in a thread; its paths say what they answer."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.stalled_until = 0.0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> Counter[str]:
        return Counter(seen.path for seen in self.seen)

    async def _close(self) -> None:
        # A connection that is being accepted while the server closes would never be closed by anybody.
        while asyncio.all_tasks() - self._tasks - {asyncio.current_task()}:
            await asyncio.sleep(0)
        self._server.close()
        serving = list(self._tasks)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        number = self.connections
        try:
            while await self._answer(reader, writer, number):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append(Seen(time.time(), method, path, headers, body, number))
        while (left := self.stalled_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        status, extra, content = "200 OK", "", b"hello"
        match path.split("/")[1]:
            case "status":
                status, content = f"{path.split('/')[2]} Some", b"\xff\xfe not UTF-8"
            case "redirect":
                status, extra = "302 Found", "Location: /followed\r\n"
            case "cookie":
                extra = "Set-Cookie: session=1; Path=/\r\n"
            case "stock":
                extra, content = "X-Stock: unknown\r\n", '{"stock": null, "note": "ein Bündel"}'.encode()
            case "closed":
                return False
            case "half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
                await writer.drain()
                return False
            case "silent":
                await asyncio.sleep(3600)
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    writer.write(b".")
                    await writer.drain()
                    await asyncio.sleep(0.1)
        if method == "HEAD":
            content = b""
        writer.write(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        return True
