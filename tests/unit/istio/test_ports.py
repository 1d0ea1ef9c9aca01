"""What a Service's port speaks, as istiod derives it."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.ports import declared_protocol, protocol_named
from chaos.istio.registry import registered
from chaos.lab.istio.service_entries import services_of


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


@pytest.mark.parametrize(
    ("written", "protocol", "http"),
    [
        ("HTTP", "http", True),
        ("gRPC-Web", "grpc-web", True),
        ("TLS", "tls", False),
        ("", None, True),
        # No protocols there, whatever they mean as names of a Service's ports: what is spoken is detected.
        ("HTTP-x", None, True),
        ("grpc-webshop", None, True),
        ("kubernetes.io/h2c", None, True),
        ("kubernetes.io/wss", None, True),
    ],
)
def test_a_whole_name_is_no_prefix(written: str, protocol: str | None, *, http: bool) -> None:
    assert protocol_named(written) == protocol
    port = {"number": 8080, "name": "any", "protocol": written}
    entry = {"metadata": {"name": "a", "namespace": "staging"}, "spec": {"hosts": ["a.example"], "ports": [port]}}
    [service] = registered([], [entry])
    [of_the_lab] = services_of(entry)
    assert service.http == of_the_lab.registered.http == {8080: http}
