"""Where the sockets of a process are led, address by address."""

from __future__ import annotations

import errno
import socket
import struct
import sys

import pytest

from chaos.lab.containers.redirect import DNS_PORT, Pod

IP = "127.20.1.2"


def v4(ip: str, port: int) -> bytes:
    return socket.AF_INET.to_bytes(2, sys.byteorder) + struct.pack("!H4s8x", port, socket.inet_aton(ip))


def v6(ip: str, port: int) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, ip)
    return socket.AF_INET6.to_bytes(2, sys.byteorder) + struct.pack("!HI16sI", port, 7, packed, 9)


def unix(path: bytes) -> bytes:
    return socket.AF_UNIX.to_bytes(2, sys.byteorder) + path + b"\0"


def pod(*, proxy: int | None = 15001) -> tuple[Pod, list[str]]:
    told: list[str] = []
    known = {"10.96.0.5:80": ["127.20.1.9:8080"]}
    return Pod(IP, {8080: 40001, 9090: 40002}, proxy, lambda address: known.get(address, []), told.append), told


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        (v4("0.0.0.0", 8080), v4(IP, 40001)),
        (v4(IP, 9090), v4(IP, 40002)),
        (v6("::", 8080), v6(f"::ffff:{IP}", 40001)),
        (v4(IP, 40001), None),  # a call that a signal had interrupted
        (v4("0.0.0.0", 0), None),
        (v4("127.0.0.1", 8080), None),
        (v4("127.20.1.3", 8080), None),
        (v4("0.0.0.0", 7000), v4(IP, 7000)),
        (unix(b"/tmp/x"), None),
        (b"", None),
    ],
)
def test_a_process_binds_its_pods_address_alone(asked: bytes, bound: bytes | None) -> None:
    assert pod()[0].bind(asked, only_v6=lambda: False) == bound


def test_what_takes_ipv6_alone_is_not_in_the_way_of_another_pod() -> None:
    assert pod()[0].bind(v6("::", 8080), only_v6=lambda: True) == v6("::1", 0)


def test_the_user_is_told_where_nobody_comes() -> None:
    made, told = pod()
    made.bind(v4("127.0.0.1", 8080), only_v6=lambda: False)
    made.bind(v4("0.0.0.0", 7000), only_v6=lambda: False)
    assert "listens on 127.0.0.1:8080" in told[0]
    assert "let it listen on 0.0.0.0" in told[0]
    assert "listens on port 7000 too" in told[1]


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        (v4("10.96.0.5", 80), v4(IP, 15001)),
        (v6("::ffff:10.96.0.5", 80), v6(f"::ffff:{IP}", 15001)),
        (v4("240.240.0.1", 443), v4(IP, 15001)),
        (v4(IP, 15001), None),
        (v4("8.8.8.8", 53), v4(IP, DNS_PORT)),
        (v6("2001:db8::1", 53), v6(f"::ffff:{IP}", DNS_PORT)),
        (v4("127.0.0.1", 5432), None),
        (v4("127.0.0.1", 8080), v4(IP, 40001)),
        (v6("::1", 8080), v6(f"::ffff:{IP}", 40001)),
        (v4("127.20.1.9", 8080), None),
        (v4("93.184.216.34", 443), errno.ENETUNREACH),
        (unix(b"/run/systemd/resolve/io.systemd.Resolve"), errno.ECONNREFUSED),
        (unix(b"/tmp/postgres"), None),
    ],
)
def test_a_process_reaches_its_sidecar_and_this_machine(asked: bytes, led: bytes | int | None) -> None:
    assert pod()[0].connect(asked, is_datagram=lambda: False) == led


def test_without_a_sidecar_it_reaches_an_endpoint() -> None:
    made, _ = pod(proxy=None)
    assert made.connect(v4("10.96.0.5", 80), is_datagram=lambda: False) == v4("127.20.1.9", 8080)
    assert made.connect(v4("10.96.0.5", 81), is_datagram=lambda: False) == errno.ECONNREFUSED


def test_what_can_not_be_reached_is_told() -> None:
    made, told = pod()
    assert made.connect(v4("192.0.2.1", 80), is_datagram=lambda: True) == errno.ENETUNREACH, "nothing would be sent"
    made.connect(v4("93.184.216.34", 443), is_datagram=lambda: False)
    assert told == [
        "can't connect to 93.184.216.34:443: a process on the lab reaches the mesh's services and this machine, and no other"
    ]
