"""Where a process's sockets are redirected: what a pod's network namespace and Istio's iptables do. Pure.

A process binds its pod's address alone, on the port behind its sidecar; it has a loopback of its own, so that what listens there
is in nobody's way; what it sends to services goes to its sidecar; and it reaches this machine, but no other.
"""

from __future__ import annotations

import errno
import random
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final

from chaos.lab.addresses import CLUSTER_IPS
from chaos.lab.containers.directory import OTHERS

DNS_PORT: Final = 15053
"""The port at which a pod resolves names, at its own address; that of Istio's agent too."""
_DNS: Final = 53
_INTERCEPTED: Final = (CLUSTER_IPS, IPv4Network(f"{OTHERS}/32"))
_LOCALHOST: Final = ("127.0.0.1", "::1")
_NAMED: Final = "127.0.1.1"
"""An address that the machine's name often has; on a cluster, a pod's name has the address of the pod."""
_RESOLVERS: Final = (b"/run/systemd/resolve/io.systemd.Resolve", b"/run/nscd/socket", b"/var/run/nscd/socket")
"""Servers of this machine that would resolve names before DNS does; a process that can't reach them asks DNS."""
LISTENS: Final = "listens on"
"""The beginning of a sentence about a port that no request can reach."""
Decided = bytes | int | None


@dataclass(frozen=True)
class Pod:
    """What counts for its sockets.

    Attributes:
        ip: Its address.
        ports: By port that the process is known to listen on, the port at ``ip`` where it really is to.
        proxy: Its sidecar's port for what it sends; ``None`` for a pod without one.
        endpoints: Of a service, as ``address:port``: where it is answered, each as ``address:port``.
        tcp: The name of a service, by the same, if it does not speak HTTP.
        tell: Hears what the user has to know.
        free: A port that nobody listens on at an address.
        local: By address and port of its loopback on which it has listened, the port at which it really does.
    """

    ip: str
    ports: Mapping[int, int]
    proxy: int | None
    endpoints: Callable[[str], Sequence[str]]
    tcp: Callable[[str], str]
    tell: Callable[[str], None]
    free: Callable[[str], int]
    local: dict[tuple[str, int], int] = field(default_factory=dict)

    def bind(self, address: bytes, *, only_v6: Callable[[], bool], is_datagram: Callable[[], bool]) -> Decided:
        """The address that is bound instead; ``None`` for this one."""
        found = _read(address)
        if found is None or found[1] == 0:
            return None
        ip, port = found
        if str(ip) in _LOCALHOST:
            return None if is_datagram() else self._bind_locally(address, ip, port)
        if ip.is_loopback and str(ip) not in (self.ip, _NAMED):
            return None
        if len(address) > _SHORT and ip.is_unspecified and only_v6():
            if port in self.ports and ("127.0.0.1", port) not in self.local:
                self.tell(
                    f"{LISTENS} port {port} by a socket of IPv6 alone, and in this mesh, as in most clusters, requests come by IPv4: it "
                    f"has to listen on 0.0.0.0, too"
                )
            return _written(address, IPv6Address("::1"), 0)
        if str(ip) == self.ip and port not in self.ports:
            return None
        if port not in self.ports and port not in self.ports.values():
            self.tell(
                f"{LISTENS} port {port}, which its container does not declare: no request of the mesh gets there, unless the "
                f"behaviours file says for which port it stands, as in `ports: {{{next(iter(self.ports), 8080)}: {port}}}`"
            )
        mine = self.ports.get(port, port)
        if ip.is_unspecified:
            self.local["127.0.0.1", port] = mine
        return _written(address, IPv4Address(self.ip), mine)

    def _bind_locally(self, address: bytes, ip: IPv4Address | IPv6Address, port: int) -> Decided:
        """A port of its own loopback, which other pods may have too: in truth another port."""
        if ip.version == 6 and port in self.local.values():
            return None  # a call that a signal had interrupted
        if port in self.ports:
            self.tell(
                f"{LISTENS} {ip}:{port}, which only its own pod could reach on a cluster, and which nothing reaches here: "
                f"let it listen on 0.0.0.0"
            )
        mine = IPv4Address(self.ip) if ip.version == 4 else ip
        if (str(ip), port) not in self.local:
            self.local[str(ip), port] = self.free(str(mine))
        return _written(address, mine, self.local[str(ip), port])

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
            own = self._to_itself(address, ip, port)
            # By a datagram's socket the C library asks where it would send from, with the very address that it is about to return.
            return None if own is None or is_datagram() else own
        if not is_datagram():
            self.tell(
                f"can't connect to {ip}:{port}: a process on the lab reaches the mesh's services and this machine, and no other"
            )
        return errno.ENETUNREACH

    def _to_itself(self, address: bytes, ip: IPv4Address | IPv6Address, port: int) -> Decided:
        """To where it listens on its loopback, or else to this machine."""
        if ip.version == 6 and (port_of_v6 := self.local.get(("::1", port))) is not None:
            return _written(address, IPv6Address("::1"), port_of_v6)
        if not ip.is_unspecified and str(ip) not in _LOCALHOST:
            return None
        mine = self.local.get(("127.0.0.1", port), self.ports.get(port))
        return _written(address, IPv4Address(self.ip), mine) if mine is not None else None

    def _to_service(self, address: bytes, ip: IPv4Address, port: int) -> Decided:
        if self.proxy is not None:
            if name := self.tcp(f"{ip}:{port}"):
                self.tell(
                    f"connects to {name}, whose declared protocol is not HTTP, and the lab's sidecars understand "
                    f"HTTP and gRPC alone: let databases and the like run on this machine, at 127.0.0.1"
                )
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
