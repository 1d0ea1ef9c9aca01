"""Cluster DNS for one process: an answer to each question, from the names that are known. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Final

from chaos.istio.hosts import CLUSTER_DOMAIN

_HEADER: Final = struct.Struct("!6H")
_A: Final = 1
_INTERNET: Final = 1
_TTL: Final = 5
_ANSWER, _RECURSION = 0x8400, 0x0180
_NO_SUCH_NAME: Final = 3
Lookup = Callable[[str], Sequence[str] | None]
"""From a name in lower case to its addresses; ``None`` where there is no such name."""


def within(namespace: str, known: Callable[[str], Sequence[str] | None]) -> Lookup:
    """Names as a pod of this namespace may write them, looked up as ``name.namespace``; hosts of ServiceEntries as they are.

    A pod of a headless Service has a name, too: ``web-0.web`` in its namespace.
    """

    def find(name: str) -> Sequence[str] | None:
        short = name.removesuffix(f".{CLUSTER_DOMAIN}").removesuffix(".svc")
        candidates = (name, f"{short}.{namespace}", short)
        return next((found for one in candidates if (found := known(one)) is not None), None)

    return find


def answer(question: bytes, lookup: Lookup) -> bytes | None:
    """The reply to a packet; ``None`` for one that is no question.

    There are addresses of IPv4 alone: a question for others is answered with none, and what nobody knows does not exist.
    """
    try:
        number, flags, questions, *_ = _HEADER.unpack_from(question)
        name, end = _name(question, _HEADER.size)
        kind, family = struct.unpack_from("!2H", question, end)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    if questions != 1 or flags & 0x8000:
        return None
    found = lookup(name.lower())
    addresses = found if found and (kind, family) == (_A, _INTERNET) else ()
    state = _ANSWER | (flags & _RECURSION) | (_NO_SUCH_NAME if found is None else 0)
    head = _HEADER.pack(number, state, 1, len(addresses), 0, 0)
    records = (
        struct.pack("!3HIH", 0xC000 | _HEADER.size, _A, _INTERNET, _TTL, 4) + IPv4Address(one).packed
        for one in addresses
    )
    return head + question[_HEADER.size : end + 4] + b"".join(records)


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """The name that begins here, and where it ends."""
    labels = []
    while length := packet[at]:
        label = packet[at + 1 : at + 1 + length]
        if length > 63 or len(label) < length:
            raise IndexError(at)
        labels.append(label.decode("ascii"))
        at += 1 + length
    return ".".join(labels), at + 1
