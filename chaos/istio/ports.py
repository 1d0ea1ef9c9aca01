"""What a Service's port speaks, as istiod derives it (``pkg/config/kube/conversion.go`` ConvertProtocol)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

GRPC: Final = ("grpc", "grpc-web")
HTTP: Final = ("http", "http2", "h2c", "kubernetes.io/h2c", *GRPC)


def declared_protocol(port: Mapping[str, Any]) -> str | None:
    """The protocol that a Service's port declares; ``None`` where Istio detects it from the traffic."""
    if port.get("appProtocol"):
        return str(port["appProtocol"]).lower()
    known = {*HTTP, "https", "tls", "tcp", "udp", "mongo", "mysql", "redis"}
    prefix = str(port.get("name") or "").partition("-")[0].lower()
    return prefix if prefix in known else None
