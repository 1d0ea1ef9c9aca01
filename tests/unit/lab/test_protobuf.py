"""Kubernetes' protobuf as kubectl sends it; every fact that is read here was also sent by a real kubectl (tests/clients)."""

from __future__ import annotations

import pytest

from chaos.lab.api.errors import ApiError
from chaos.lab.api.protobuf import decode


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def body(kind: str, *parts: bytes, version: str = "v1") -> bytes:
    return b"k8s\0" + field(1, field(1, version) + field(2, kind)) + field(2, b"".join(parts)) + field(3, "")


def test_a_role_is_read_as_its_json_would_be() -> None:
    rule = field(1, "get") + field(1, "list") + field(2, "") + field(3, "pods")
    meta = field(1, "reader") + field(2, "") + field(7, 0) + field(8, b"") + field(11, field(1, "a") + field(2, "b"))
    version = "rbac.authorization.k8s.io/v1"
    assert decode(body("Role", field(1, meta), field(2, rule), version=version)) == {
        "apiVersion": version,
        "kind": "Role",
        "metadata": {"name": "reader", "labels": {"a": "b"}},
        "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
    }


def test_numbers_texts_and_bytes_are_told_apart() -> None:
    by_name = field(1, 1) + field(2, 0) + field(3, "http")
    ports = [
        field(1, "a") + field(3, 80) + field(4, by_name) + field(5, 0),
        field(3, 81) + field(4, field(1, 0) + field(2, 8080)),
    ]
    empty_status = field(3, field(1, b""))
    read = decode(body("Service", field(2, b"".join(field(1, port) for port in ports)), empty_status))
    assert read["spec"] == {
        "ports": [{"name": "a", "port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8080}]
    }
    secret = decode(body("Secret", field(2, field(1, "key") + field(2, b"\xff\x00")), field(3, "Opaque")))
    assert secret["data"] == {"key": "/wA="}
    assert decode(body("Deployment", field(2, field(1, 0))))["spec"] == {"replicas": 0}


@pytest.mark.parametrize(
    ("sent", "code", "told"),
    [
        (b"{}", 400, "does not begin"),
        (b"k8s\0" + field(1, b"\x0f"), 400, "can't be decoded as protobuf"),
        (body("Namespace", field(1, field(1, "a")))[:-6], 400, "can't be decoded as protobuf"),
        (body("Pod", field(1, field(1, "a"))), 415, "reads no Pod in protobuf"),
        (body("ServiceSpec", field(3, "10.0.0.1")), 415, "reads no ServiceSpec"),
        (body("Service", field(2, field(8, "10.0.0.1"))), 415, "no field 8 of Service.spec"),
        (body("Namespace", field(1, field(14, "x"))), 415, "no field 14 of Namespace.metadata"),
        (body("Namespace", field(1, field(10, 7))), 415, "no field 10 of Namespace.metadata"),
        (body("Namespace", field(1, field(1, 7))), 415, "no field 1 of Namespace.metadata"),
        (body("Namespace", field(1, field(1, b"\xff"))), 400, "can't be decoded as protobuf"),
    ],
)
def test_what_is_not_read_is_refused_and_never_dropped(sent: bytes, code: int, told: str) -> None:
    with pytest.raises(ApiError, match=told) as caught:
        decode(sent)
    assert caught.value.code == code
