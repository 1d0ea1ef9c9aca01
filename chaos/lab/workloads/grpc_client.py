"""Calls of stand-ins over gRPC, with the client library that most services have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc

from chaos.lab.workloads.client import CallError, Response
from chaos.lab.workloads.grpc import status_of, text_of

_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # retries are declared, or the mesh's
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class GrpcClient:
    """Calls from one pod; ``proxy`` as for ``Client``."""

    def __init__(self, *, proxy: str | None = None) -> None:
        self._proxy = proxy
        self._channels: dict[tuple[str, str], Any] = {}

    async def request(self, url: str, *, headers: Mapping[str, str], endpoint: str | None = None) -> Response:
        """The answer to one call with an empty message.

        Args:
            url: ``grpc://authority/package.Service/Method``.
            headers: Sent as metadata.
            endpoint: ``ip:port`` to connect to where there is no proxy.

        Raises:
            CallError: The connection failed. An answer with a status of gRPC is a ``Response`` with that of HTTP.
        """
        authority, _, method = url.removeprefix("grpc://").partition("/")
        address = self._proxy or endpoint or authority
        call = self._channel(address, authority).unary_unary(f"/{method}")
        try:
            message: bytes = await call(b"", metadata=tuple(headers.items()))
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if code == "UNAVAILABLE" and not error.initial_metadata() and not error.trailing_metadata():
                raise CallError(f"UNAVAILABLE: {error.details()}") from error
            return Response(status_of(code), b"", code)
        return Response(200, text_of(message), "OK")

    def close(self) -> None:
        """Drops all channels, which closes their connections."""
        self._channels.clear()

    def _channel(self, address: str, authority: str) -> Any:
        key = (address, authority)
        if key not in self._channels:
            options = (*_OPTIONS, ("grpc.default_authority", authority))
            self._channels[key] = grpc.aio.insecure_channel(address, options=options)
        return self._channels[key]
