"""What a Service's port speaks, as istiod derives it."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.ports import declared_protocol


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"name": "http"}, "http"),
        ({"name": "HTTP2-web"}, "http2"),
        ({"name": "grpc-web"}, "grpc-web"),
        ({"name": "grpc-webshop"}, "grpc-web"),
        ({"name": "grpc-api"}, "grpc"),
        ({"name": "http_proxy"}, "http_proxy"),
        ({"name": "h2c-api"}, None),
        ({"name": "web"}, None),
        ({}, None),
        ({"name": "web", "port": 3306}, "tcp"),
        ({"name": "http", "port": 3306}, "http"),
        ({"name": "web", "protocol": "UDP"}, "udp"),
        ({"name": "tcp", "appProtocol": "http"}, "http"),
        ({"name": "tcp", "appProtocol": "HTTP-anything"}, "http"),
        ({"name": "http", "appProtocol": "mystery"}, None),
        ({"name": "http", "appProtocol": "kubernetes.io/h2c"}, "http2"),
        ({"name": "tcp", "appProtocol": "kubernetes.io/ws"}, "http"),
        ({"name": "http", "appProtocol": "kubernetes.io/wss"}, "https"),
        ({"name": "kubernetes.io/h2c"}, None),
    ],
)
def test_the_protocol(port: dict[str, Any], protocol: str | None) -> None:
    assert declared_protocol(port) == protocol
