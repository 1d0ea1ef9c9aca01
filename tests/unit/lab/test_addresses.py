"""Address blocks: one lab each, for the whole machine."""

from __future__ import annotations

import socket

import pytest

from chaos.errors import LabError
from chaos.lab.addresses import AddressBlock, free_port, listening_socket, ports_in_use


def test_two_claims_never_share_a_block() -> None:
    first, second = AddressBlock.claim(), AddressBlock.claim()
    try:
        assert first.number != second.number
        assert first.pod_address() == f"127.{first.number}.1.1"
        assert first.pod_address() == f"127.{first.number}.1.2"
    finally:
        first.release()
        second.release()


def test_a_released_block_can_be_claimed_again() -> None:
    block = AddressBlock.claim()
    name = f"\0chaos-lab-127.{block.number}"
    block.release()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
        claim.bind(name)


def test_an_address_is_reused_only_when_all_were_used() -> None:
    block = AddressBlock.claim()
    try:
        first = block.pod_address()
        block.release_pod(first)
        rest = [block.pod_address() for _ in range(199 * 254 - 1)]
        assert first not in rest
        assert block.pod_address() == first
        with pytest.raises(LabError, match="no address left"):
            block.pod_address()
    finally:
        block.release()


def test_a_listener_on_the_address_is_seen() -> None:
    block = AddressBlock.claim()
    address = block.pod_address()
    try:
        with listening_socket(address) as taken:
            port = taken.getsockname()[1]
            assert ports_in_use(address, [port]) == [port]
        assert ports_in_use(address, [port]) == []
    finally:
        block.release()


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", port))
