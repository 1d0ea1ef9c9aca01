"""Where a process's sockets are led: what a pod's network namespace and Istio's iptables do. Pure.

A process binds its pod's address alone, on the port behind its sidecar; what it sends to services goes to its sidecar; and it reaches
this machine, but no other.
"""

from __future__ import annotations

import errno
import random
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final

from chaos.lab.addresses import CLUSTER_IPS
from chaos.lab.containers.directory import OTHERS

DNS_PORT: Final = 15053
"""Where a pod's names are asked for, at its own address; that of Istio's agent too."""
_DNS: Final = 53
_INTERCEPTED: Final = (CLUSTER_IPS, IPv4Network(f"{OTHERS}/32"))
_LOOPBACK: Final = IPv4Network("127.0.0.0/8")
_RESOLVERS: Final = (b"/run/systemd/resolve/io.systemd.Resolve", b"/run/nscd/socket", b"/var/run/nscd/socket")
"""Servers of this machine that would be asked for names before DNS is; who can't reach them asks DNS."""
Decided = bytes | int | None


@dataclass(frozen=True)
class Pod:
    """What counts for its sockets.

    Attributes:
        ip: Its address.
        ports: By port that the process is known to listen on, the port at ``ip`` where it really is to.
        proxy: Its sidecar's port for what it sends; ``None`` for a pod without one.
        endpoints: Of a service, as ``address:port``: where it is answered, each as ``address:port``.
        tell: Hears what the user has to know.
    """

    ip: str
    ports: Mapping[int, int]
    proxy: int | None
    endpoints: Callable[[str], Sequence[str]]
    tell: Callable[[str], None]

    def bind(self, address: bytes, *, only_v6: Callable[[], bool]) -> Decided:
        """The address that is bound instead; ``None`` for this one."""
        found = _read(address)
        if found is None or found[1] == 0:
            return None
        ip, port = found
        if ip.is_loopback and str(ip) != self.ip:
            if port in self.ports:
                self.tell(
                    f"listens on {ip}:{port}, where nobody but its own pod would reach it on a cluster, and nobody does here: "
                    f"let it listen on 0.0.0.0"
                )
            return None
        if not ip.is_unspecified and str(ip) != self.ip:
            return None
        if len(address) > _SHORT and ip.is_unspecified and only_v6():
            return _written(address, IPv6Address("::1"), 0)  # the mesh is of IPv4: nobody comes by this one
        if port in self.ports:
            return _written(address, IPv4Address(self.ip), self.ports[port])
        if ip.is_unspecified:
            if port not in self.ports.values():
                self.tell(
                    f"listens on port {port} too, which its container does not declare: no request of the mesh gets there"
                )
            return _written(address, IPv4Address(self.ip), port)
        return None

    def connect(self, address: bytes, *, is_datagram: Callable[[], bool]) -> Decided:
        """The address that is connected to instead; ``None`` for this one, or the error that the process gets."""
        if address[:2] == _family(socket.AF_UNIX):
            return errno.ECONNREFUSED if address[2:].split(b"\0")[0] in _RESOLVERS else None
        found = _read(address)
        if found is None:
            return None
        ip, port = found
        if port == _DNS:
            return _written(address, IPv4Address(self.ip), DNS_PORT)
        if isinstance(ip, IPv4Address) and any(ip in network for network in _INTERCEPTED):
            return self._to_service(address, ip, port)
        if ip.is_loopback or ip.is_unspecified:
            own = str(ip) in ("127.0.0.1", "::1", "0.0.0.0", "::") and port in self.ports  # noqa: S104 - compared only
            return _written(address, IPv4Address(self.ip), self.ports[port]) if own else None
        if not is_datagram():
            self.tell(
                f"can't connect to {ip}:{port}: a process on the lab reaches the mesh's services and this machine, and no other"
            )
        return errno.ENETUNREACH

    def _to_service(self, address: bytes, ip: IPv4Address, port: int) -> Decided:
        if self.proxy is not None:
            return _written(address, IPv4Address(self.ip), self.proxy)
        known = self.endpoints(f"{ip}:{port}")
        if not known:
            return errno.ECONNREFUSED
        host, _, number = random.choice(known).rpartition(":")  # noqa: S311 - not a secret
        return _written(address, IPv4Address(host), int(number))


# -- addresses of sockets ---------------------------------------------------------------------------------------------

_SHORT: Final = 16
"""Bytes of an address of IPv4: family, port, address, nothing. That of IPv6 has 28: family, port, flow, address, scope."""
_LONG: Final = 28


def _family(number: int) -> bytes:
    return number.to_bytes(2, sys.byteorder)


def _read(address: bytes) -> tuple[IPv4Address | IPv6Address, int] | None:
    """Address and port; IPv4 in the clothes of IPv6 is IPv4. ``None`` for other families."""
    port = int.from_bytes(address[2:4], "big")
    if address[:2] == _family(socket.AF_INET) and len(address) >= 8:
        return IPv4Address(address[4:8]), port
    if address[:2] == _family(socket.AF_INET6) and len(address) >= _LONG - 4:
        ip = IPv6Address(address[8:24])
        return ip.ipv4_mapped or ip, port
    return None


def _written(like: bytes, ip: IPv4Address | IPv6Address, port: int) -> bytes:
    """Another address in the form of this one."""
    if like[:2] == _family(socket.AF_INET):
        return like[:2] + port.to_bytes(2, "big") + ip.packed + like[8:]
    packed = ip.packed if isinstance(ip, IPv6Address) else b"\0" * 10 + b"\xff\xff" + ip.packed
    return like[:2] + port.to_bytes(2, "big") + like[4:8] + packed + like[24:]
