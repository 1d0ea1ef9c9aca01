"""HTTP/2 for stand-ins, without TLS and by prior knowledge, as sidecars speak it to ports named ``grpc`` or ``http2``.

A container port serves both versions: the first bytes of a connection tell which. ``docs/adr/0016`` says why this is no server
that others keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS: Final = {
    h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2**31 - 1,
    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: h2.connection.H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
}
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``trailers`` come after the body, as gRPC has its status."""

    headers: Headers
    body: bytes = b""
    trailers: Headers = ()


Respond = Callable[[tuple[str, int], str, str, Mapping[str, str]], Awaitable[Reply]]
"""``(local address, method, path, headers)`` → the answer."""


class Sniffing(asyncio.Protocol):
    """Looks at the first bytes of a connection and hands it on to the protocol that it speaks.

    Args:
        http1: Makes the protocol for HTTP/1.1.
        http2: Makes the one for HTTP/2.
    """

    def __init__(self, http1: Callable[[], asyncio.Protocol], http2: Callable[[], asyncio.Protocol]) -> None:
        self._http1 = http1
        self._http2 = http2
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a server makes no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._seen += data
        if len(self._seen) < len(PREFACE) and PREFACE.startswith(self._seen):
            return
        chosen = self._http2() if self._seen.startswith(PREFACE) else self._http1()
        assert self._transport is not None  # noqa: S101 - data comes after the connection
        self._transport.set_protocol(chosen)
        chosen.connection_made(self._transport)
        chosen.data_received(self._seen)


@dataclass(slots=True)
class _Stream:
    """A request on its way, then the part of its answer that the window did not take yet."""

    headers: Mapping[str, str]
    task: asyncio.Task[None] | None = None
    left: bytes = b""
    trailers: Headers = field(default=())


class Http2Protocol(asyncio.Protocol):
    """One connection of a caller.

    Args:
        respond: Answers a request.
    """

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self._connection = h2.connection.H2Connection(config=config)
        # As servers of gRPC have it; the library's 100 ended the connection of a caller that was quicker than its settings.
        self._connection.local_settings = h2.settings.Settings(client=False, initial_values=_SETTINGS)
        self._streams: dict[int, _Stream] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a server makes no other
        self._transport = transport
        self._connection.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        try:
            events = self._connection.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()  # says why
            self._close()
            return
        for event in events:
            self._handle(event)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Called by asyncio."""
        for stream in self._streams.values():
            if stream.task is not None:
                stream.task.cancel()
        self._streams.clear()

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(number), headers=headers):
                self._streams[number] = _Stream({str(name): str(value) for name, value in headers or ()})
            case h2.events.DataReceived(stream_id=int(number), flow_controlled_length=int(length)):
                self._connection.acknowledge_received_data(length, number)
            case h2.events.StreamEnded(stream_id=int(number)) if number in self._streams:
                self._streams[number].task = asyncio.create_task(self._answer(number))
            case h2.events.StreamReset(stream_id=int(number)):
                stream = self._streams.pop(number, None)
                if stream is not None and stream.task is not None:
                    stream.task.cancel()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                for number in [number for number, stream in self._streams.items() if stream.left]:
                    self._send(number)
            case h2.events.ConnectionTerminated():
                self._close()

    async def _answer(self, number: int) -> None:
        stream = self._streams[number]
        assert self._transport is not None  # noqa: S101 - a request came
        method, path = stream.headers.get(":method", ""), stream.headers.get(":path", "/")
        at = self._transport.get_extra_info("sockname")
        reply = await self._respond((at[0], at[1]), method, path.partition("?")[0], stream.headers)
        if number not in self._streams:
            return
        ends = not reply.body and not reply.trailers
        self._connection.send_headers(number, list(reply.headers), end_stream=ends)
        if ends:
            del self._streams[number]
        else:
            stream.left, stream.trailers = reply.body, reply.trailers
            self._send(number)
        self._flush()

    def _send(self, number: int) -> None:
        """As much of the body as the windows take, and what follows it."""
        stream, connection = self._streams[number], self._connection
        while stream.left:
            size = min(connection.local_flow_control_window(number), connection.max_outbound_frame_size)
            if size <= 0:
                return
            part, stream.left = stream.left[:size], stream.left[size:]
            connection.send_data(number, part, end_stream=not stream.left and not stream.trailers)
        if stream.trailers:
            connection.send_headers(number, list(stream.trailers), end_stream=True)
        del self._streams[number]

    def _flush(self) -> None:
        data = self._connection.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
