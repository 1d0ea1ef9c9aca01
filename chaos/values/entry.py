"""What the mesh's entry answers when the harness itself looks at it."""

from __future__ import annotations

from enum import StrEnum

from chaos.values.frozen import Frozen


class Hindrance(StrEnum):
    """Why there was no HTTP answer."""

    REFUSED = "refused"
    """Nobody listens at the port."""
    UNKNOWN_NAME = "unknown-name"
    UNREACHABLE = "unreachable"
    """No way leads there, by the operating system's own words."""
    NOT_ACCEPTED = "not-accepted"
    """No connection within the time that a probe has."""
    NO_TLS = "no-tls"
    """TLS was wanted, and the port does not speak it."""
    TLS_ONLY = "tls-only"
    """Plain HTTP was sent to a port that speaks TLS."""
    TLS_FAILED = "tls-failed"
    """The port speaks TLS, but the handshake failed."""
    CLOSED = "closed"
    """The connection was closed without an answer."""
    SILENT = "silent"
    """No answer within the time that a probe has."""


class Contact(Frozen):
    """What became of one connection, or of one request.

    Args:
        hindrance: Why no answer came; ``None`` where one came, or where only a connection was wanted.
        detail: The words of the operating system or of the TLS library.
        certificate: Why the entry's certificate is not trusted on this machine; empty where it is.
        status: HTTP status of the answer; 0 without one.
        location: Where a redirect leads.
        by_gateway: An Envoy answered by itself, without asking any service.
        proxied: The environment names a proxy for it. A probe never asks that one, a locustfile's clients may.
    """

    hindrance: Hindrance | None = None
    detail: str = ""
    certificate: str = ""
    status: int = 0
    location: str = ""
    by_gateway: bool = False
    proxied: bool = False
