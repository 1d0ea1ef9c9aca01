"""gRPC as far as stand-ins speak it: one message each way, statuses that agree with those of HTTP.

A stand-in has no ``.proto`` files. It answers every method with one ``google.protobuf.StringValue`` that holds the JSON
that it would answer over HTTP; health checks (``grpc.health.v1``) with ``SERVING``.
"""

from __future__ import annotations

import struct
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue

from chaos.istio.grpc import GRPC_STATUSES

CONTENT_TYPE: Final = "application/grpc"
HEALTH: Final = "/grpc.health.v1.Health/Check"
SERVING: Final = b"\x08\x01"
"""``HealthCheckResponse{status: SERVING}``."""

CODES: Final = GRPC_STATUSES
_OF_HTTP: Final = {
    400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED",
    429: "UNAVAILABLE", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "UNAVAILABLE",
}  # fmt: skip
_TO_HTTP: Final = {
    "OK": 200, "CANCELLED": 499, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 400,
    "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "UNAUTHENTICATED": 401,
}  # fmt: skip


def code_of(status: int) -> int:
    """The gRPC status of an HTTP status (grpc/doc/http-grpc-status-mapping.md); 0 for what is no error."""
    return 0 if status < 400 else CODES.index(_OF_HTTP.get(status, "UNKNOWN"))


def status_of(code: str) -> int:
    """The HTTP status of a gRPC status's name (google/rpc/code.proto)."""
    return _TO_HTTP.get(code, 500)


def framed(message: bytes) -> bytes:
    """A message, not compressed, as it goes over the wire."""
    return struct.pack(">BI", 0, len(message)) + message


def string_value(text: bytes) -> bytes:
    """A ``google.protobuf.StringValue``."""
    return StringValue(value=text.decode()).SerializeToString()


def text_of(message: bytes) -> bytes:
    """The text of a ``StringValue``; empty for any other message."""
    try:
        return StringValue.FromString(message).value.encode()
    except DecodeError:
        return b""
