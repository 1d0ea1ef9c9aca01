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
    known, tcp = {"10.96.0.5:80": ["127.20.1.9:8080"]}, {"10.96.0.6:6379": "cache.shop:6379"}
    free = {IP: 50001, "::1": 50002}
    made = Pod(
        IP,
        {8080: 40001, 9090: 40002},
        proxy,
        lambda address: known.get(address, []),
        lambda address: tcp.get(address, ""),
        told.append,
        free.__getitem__,
    )
    return made, told


def bound(made: Pod, asked: bytes, *, v6_only: bool = False, datagram: bool = False) -> bytes | int | None:
    return made.bind(asked, only_v6=lambda: v6_only, is_datagram=lambda: datagram)


def led(made: Pod, asked: bytes, *, datagram: bool = False) -> bytes | int | None:
    return made.connect(asked, is_datagram=lambda: datagram)


@pytest.mark.parametrize(
    ("asked", "instead"),
    [
        (v4("0.0.0.0", 8080), v4(IP, 40001)),
        (v4(IP, 9090), v4(IP, 40002)),
        (v6("::", 8080), v6(f"::ffff:{IP}", 40001)),
        (v4(IP, 40001), None),  # a call that a signal had interrupted
        (v4("0.0.0.0", 0), None),
        (v4("127.0.0.1", 8080), v4(IP, 50001)),
        (v4("127.0.0.1", 0), None),
        (v6("::ffff:127.0.0.1", 6060), v6(f"::ffff:{IP}", 50001)),
        (v6("::1", 6060), v6("::1", 50002)),
        (v4("127.20.1.3", 8080), None),
        (v4("127.0.1.1", 8080), v4(IP, 40001)),  # what the machine's name stands for
        (v4("172.17.0.2", 8080), v4(IP, 40001)),
        (v4("0.0.0.0", 7000), v4(IP, 7000)),
        (unix(b"/tmp/x"), None),
        (b"", None),
    ],
)
def test_a_process_binds_its_pods_address_alone(asked: bytes, instead: bytes | None) -> None:
    assert bound(pod()[0], asked) == instead


def test_what_takes_ipv6_alone_is_not_in_the_way_of_another_pod() -> None:
    made, told = pod()
    assert bound(made, v6("::", 7000), v6_only=True) == v6("::1", 0)
    assert told == []
    assert bound(made, v6("::", 8080), v6_only=True) == v6("::1", 0)
    assert told[0].startswith("listens on port 8080 by a socket of IPv6 alone")
    assert bound(made, v4("0.0.0.0", 9090))
    assert bound(made, v6("::", 9090), v6_only=True) == v6("::1", 0)
    assert len(told) == 1, "it listens on both"


def test_a_process_finds_what_it_listens_on_locally() -> None:
    made, told = pod()
    for asked in (v4("127.0.0.1", 6060), v6("::1", 6060), v4("0.0.0.0", 7000)):
        bound(made, asked)
    assert led(made, v4("127.0.0.1", 6060)) == bound(made, v4("127.0.0.1", 6060)) == v4(IP, 50001)
    assert led(made, v6("::1", 6060)) == v6("::1", 50002)
    assert bound(made, v6("::1", 50002)) is None, "a call that a signal had interrupted"
    assert led(made, v4("127.0.0.1", 7000)) == v4(IP, 7000)
    assert led(made, v4("127.0.0.1", 5432)) is None, "this machine's"
    assert bound(made, v4("127.0.0.1", 8125), datagram=True) is None, "what sends to it does not connect"
    assert len(told) == 1, "of the port that nobody declares"


def test_the_user_is_told_where_nobody_comes() -> None:
    made, told = pod()
    bound(made, v4("127.0.0.1", 8080))
    bound(made, v4("0.0.0.0", 7000))
    assert "listens on 127.0.0.1:8080" in told[0]
    assert "let it listen on 0.0.0.0" in told[0]
    assert "listens on port 7000, which its container does not declare" in told[1]
    assert "as in `ports: {8080: 7000}`" in told[1]


@pytest.mark.parametrize(
    ("asked", "instead"),
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
def test_a_process_reaches_its_sidecar_and_this_machine(asked: bytes, instead: bytes | int | None) -> None:
    assert led(pod()[0], asked) == instead


def test_what_the_c_library_asks_about_addresses_does_not_change_them() -> None:
    made, told = pod()
    assert led(made, v4("0.0.0.0", 8080), datagram=True) is None
    assert led(made, v6("::", 8080), datagram=True) is None
    assert led(made, v4("192.0.2.1", 80), datagram=True) == errno.ENETUNREACH
    assert led(made, v4("8.8.8.8", 53), datagram=True) == v4(IP, DNS_PORT)
    assert told == []


def test_without_a_sidecar_it_reaches_an_endpoint() -> None:
    made, _ = pod(proxy=None)
    assert led(made, v4("10.96.0.5", 80)) == v4("127.20.1.9", 8080)
    assert led(made, v4("10.96.0.5", 81)) == errno.ECONNREFUSED


def test_what_can_not_be_reached_is_told() -> None:
    made, told = pod()
    led(made, v4("93.184.216.34", 443))
    led(made, v4("10.96.0.6", 6379))
    assert told.pop().startswith("connects to cache.shop:6379, whose declared protocol is not HTTP")
    assert told == [
        "can't connect to 93.184.216.34:443: a process on the lab reaches the mesh's services and this machine, and no other"
    ]
