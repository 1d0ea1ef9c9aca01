"""Addresses of a lab: a block of 127.0.0.0/8 of its own, so that every pod has its own IP and real ports."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from typing import Final, Self

from chaos.errors import LabError

CLUSTER_IPS: Final = IPv4Network("10.96.0.0/16")
"""Where Services have their addresses; nothing listens there."""
_FIRST: Final = 16
_LAST: Final = 250


class AddressBlock:
    """``127.A.0.0/16``, reserved for the whole machine until the process that did so ends.

    The reservation is an abstract unix socket: the kernel frees the name with the process, so none of a dead process can exist.
    """

    PODS: Final = 199 * 254
    """How many pods have an address."""

    def __init__(self, claim: socket.socket, number: int) -> None:
        self._claim = claim
        self.number = number
        self._pods = self._addresses(1, 200)
        self._free: list[str] = []

    @classmethod
    def claim(cls) -> Self:
        """Reserves a block that no other lab has; raises ``LabError`` where all are taken."""
        numbers = list(range(_FIRST, _LAST + 1))
        random.shuffle(numbers)
        for number in numbers:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0chaos-lab-127.{number}")
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise LabError(f"no address block can be reserved: {error.strerror}") from error
            else:
                return cls(claim, number)
        raise LabError(
            f"all {len(numbers)} address blocks of this machine are reserved by labs",
            hint="end labs that nobody needs: `chaosctl lab down`",
        )

    def pod_address(self) -> str:
        """An address for one more pod."""
        fresh = next(self._pods, None)
        if fresh is not None:
            return fresh
        if not self._free:
            raise LabError("the lab has no address left for one more pod")
        return self._free.pop(0)

    def release_pod(self, address: str) -> None:
        """Takes back a pod's address; it is given out again only when there is no fresh one left."""
        self._free.append(address)

    def release(self) -> None:
        """Gives the block back."""
        self._claim.close()

    def _addresses(self, first: int, last: int) -> Iterator[str]:
        return (f"127.{self.number}.{high}.{low}" for high in range(first, last) for low in range(1, 255))


def ports_in_use(address: str, ports: Iterable[int]) -> list[int]:
    """Those of the ports that can't be listened on at this address."""
    taken = []
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen()
            except OSError as error:
                if error.errno == errno.EACCES:
                    raise LabError(
                        f"port {port} is for root alone on this machine", hint="use a container port from 1024 on"
                    ) from error
                taken.append(port)
    return taken


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on right now."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def listening_socket(address: str = "127.0.0.1") -> socket.socket:
    """A socket that listens on a free port: taken and kept, so that nobody can come between."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else no TCP_NODELAY by asyncio
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, 0))
    listening.listen(1024)
    return listening
