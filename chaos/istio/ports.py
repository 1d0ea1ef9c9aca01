"""What a port speaks, as istiod derives it (``pkg/config/kube/conversion.go`` ConvertProtocol, ``pkg/config/protocol``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

GRPC: Final = ("grpc", "grpc-web")
HTTP2: Final = ("http2", *GRPC)
HTTP: Final = ("http", "http_proxy", *HTTP2)
TLS: Final = ("https", "tls")
_KNOWN: Final = frozenset({*HTTP, *TLS, "tcp", "udp", "mongo", "mysql", "redis"})
_OF_KUBERNETES: Final = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
"""Names that Kubernetes gives to protocols; they are for ``appProtocol`` only."""
_WELL_KNOWN: Final = (25, 53, 3306, 27017)
"""Ports of protocols in which the server speaks first: detecting would break them, so they are TCP unless they say otherwise."""


def protocol_named(text: str) -> str | None:
    """The protocol of this whole name, as ports of ServiceEntries, Gateways and Sidecars have it (protocol.Parse).

    ``None`` where Istio knows none: it then detects from the traffic what the port of a service speaks.
    """
    return text.lower() if text.lower() in _KNOWN else None


def declared_protocol(port: Mapping[str, Any]) -> str | None:
    """The protocol that a Service's port declares; ``None`` where Istio detects it from the traffic.

    ``appProtocol`` decides where it is given, else the name; what stands before the first hyphen is the protocol.
    """
    if port.get("protocol") == "UDP":
        return "udp"
    application = port.get("appProtocol")
    if application in _OF_KUBERNETES:
        return _OF_KUBERNETES[application]
    name = str(port.get("name") or "" if application is None else application).lower()
    if name.startswith("grpc-web"):
        return "grpc-web"
    return protocol_named(name.partition("-")[0]) or ("tcp" if port.get("port") in _WELL_KNOWN else None)


def may_be_http(protocol: str | None) -> bool:
    """Whether HTTP routes apply to a service's port: it speaks HTTP, or what it speaks is detected."""
    return protocol is None or protocol in HTTP
