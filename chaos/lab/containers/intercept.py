"""How the kernel asks about a process's sockets before it binds or connects them: seccomp's user notification.

It needs no root, and works for every program, Go's static ones included (seccomp(2), seccomp_unotify(2); Linux 5.5). A filter in
the process and in all that it starts hands ``bind`` and ``connect`` to us; we change the address in the process's memory and let the
call go on. No filter sees what is called through io_uring, so the process is told that this kernel has none. A call that a signal interrupts comes again with the changed address, which therefore has to be taken as it is.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from chaos.errors import LabError

BIND: Final = "bind"
CONNECT: Final = "connect"
LARGEST: Final = 128
"""Bytes of the longest address of a socket (``sockaddr_storage``)."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY, _FAIL = 0x7FFF0000, 0x7FC00000, 0x00050000
_IO_URING_SETUP: Final = 425
"""The number of this call on every architecture."""
_RECEIVE, _SEND, _STILL_THERE = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE: Final = 1
_NOTIFICATION: Final = struct.Struct("=QII iIQ 6Q")


@dataclass(frozen=True)
class _Machine:
    """The numbers of an architecture."""

    audit: int
    seccomp: int
    pidfd_getfd: int
    calls: dict[int, str]


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 317, 438, {49: BIND, 42: CONNECT}),
    "aarch64": _Machine(0xC00000B7, 277, 438, {200: BIND, 203: CONNECT}),
}


@dataclass(frozen=True)
class Asked:
    """A call that waits for its answer.

    Attributes:
        call: ``BIND`` or ``CONNECT``.
        thread: Who calls.
        descriptor: Of the socket, in that process.
        address: As the kernel would get it.
        number: By which the kernel knows the call.
        at: Where the address is in its memory.
    """

    call: str
    thread: int
    descriptor: int
    address: bytes
    number: int
    at: int


@contextmanager
def _memory(thread: int, mode: int) -> Iterator[int]:
    """A thread's memory, as a file that is open."""
    opened = os.open(f"/proc/{thread}/mem", mode | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def machine() -> _Machine:
    """This machine's numbers; raises ``LabError`` for one that has none here."""
    found = _MACHINES.get(platform.machine())
    if found is None:
        raise LabError(f"processes on the lab need a machine of {' or '.join(_MACHINES)}, not {platform.machine()}")
    return found


def install() -> int:
    """Puts the filter on this very process, for all of its life; the descriptor on which the kernel asks.

    Raises:
        OSError: The kernel has no such thing, or does not let us.
    """
    here = machine()
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    bind, connect = here.calls
    steps = (
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 0, 4, here.audit),
        (_LOAD, 0, 0, 0),  # the call's number
        (_EQUAL, 3, 0, bind),
        (_EQUAL, 2, 0, connect),
        (_EQUAL, 2, 0, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    )
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    described = struct.pack("@HP", len(steps), ctypes.addressof(program))
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):  # the first from Linux 5.19 on
        found = int(_LIBC.syscall(here.seccomp, _SET_MODE_FILTER, flags, described))
        if found >= 0:
            return found
    raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def receive(listener: int) -> Asked | None:
    """The next call that waits; ``None`` where its process has died meanwhile."""
    raw = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, raw)
        number, thread, _, call, _, _, *arguments = _NOTIFICATION.unpack(raw)
        descriptor, at, length = arguments[:3]
        with _memory(thread, os.O_RDONLY) as memory:
            address = os.pread(memory, min(length, LARGEST), at)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.EIO, errno.EINTR):
            return None
        raise
    return Asked(machine().calls[call], thread, descriptor & 0xFFFFFFFF, address, number, at)


def answer(listener: int, asked: Asked, decided: bytes | int | None) -> None:
    """Lets a call go on.

    Args:
        listener: Where it was received.
        asked: The call.
        decided: ``None`` lets it go on as it is; an address of the same length in place of its own; or the error that it gets.
    """
    try:
        if isinstance(decided, bytes):
            with _memory(asked.thread, os.O_WRONLY) as memory:
                fcntl.ioctl(listener, _STILL_THERE, struct.pack("=Q", asked.number))
                os.pwrite(memory, decided, asked.at)
        failure = -decided if isinstance(decided, int) else 0
        fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", asked.number, 0, failure, 0 if failure else _CONTINUE))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH, errno.EIO):
            raise


def only_v6(asked: Asked) -> bool:
    """Whether the socket takes IPv6 alone; where we may not look, it takes both, as sockets do by default."""
    with _copy(asked) as found:
        if found is None or found.family != socket.AF_INET6:
            return False
        return bool(found.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def is_datagram(asked: Asked) -> bool:
    """Whether connecting the socket sends nothing: programs find out so which address they would send from."""
    with _copy(asked) as found:
        return found is not None and found.type == socket.SOCK_DGRAM


@contextmanager
def _copy(asked: Asked) -> Iterator[socket.socket | None]:
    """The socket itself, by a descriptor of ours; ``None`` where we may not have one."""
    try:
        with open(f"/proc/{asked.thread}/status", encoding="ascii") as status:  # noqa: PTH123
            process = next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))
        handle = os.pidfd_open(process)
    except (OSError, StopIteration):
        yield None
        return
    try:
        copy = int(_LIBC.syscall(machine().pidfd_getfd, handle, asked.descriptor, 0))
    finally:
        os.close(handle)
    if copy < 0:
        yield None
        return
    with socket.socket(fileno=copy) as found:
        yield found
