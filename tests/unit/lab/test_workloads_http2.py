"""HTTP/2 and gRPC of the stand-ins, spoken to by client libraries that others wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from chaos.lab.addresses import AddressBlock
from chaos.lab.workloads.grpc import CODES, code_of, status_of, string_value, text_of
from chaos.lab.workloads.host import WorkloadHost

ADD = "/shop.Recommendations/Get"
BEHAVIOUR = f"""
routes:
  - {{path: {ADD}, payload: {{stock: 7}}}}
  - {{path: /shop.Recommendations/Broken, errors: {{share: 100%, status: 503}}}}
  - {{path: /shop.Recommendations/Slow, latency: 30s}}
  - {{path: /shop.Recommendations/Long, payload: {{text: {"x" * 300_000}}}}}
"""


@contextlib.asynccontextmanager
async def standin(directory: Path, behaviour: str | None = BEHAVIOUR) -> AsyncIterator[tuple[str, WorkloadHost]]:
    """``ip:port`` of a stand-in without sidecar, and its process."""
    block = AddressBlock.claim()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    host = WorkloadHost(log=directory / "apps.log", env=environment)
    host.start()
    try:
        ip = block.pod_address()
        ports = await host.add(
            namespace="staging", pod="recs-1", service="recs", workload="recs", version="v2", ip=ip, proxy=None, ports=[50051],
            behaviour=behaviour,
        )  # fmt: skip
        yield f"{ip}:{ports[50051]}", host
    finally:
        host.kill()
        await host.child.wait()
        block.release()


def run(
    directory: Path, work: Callable[[grpc.aio.Channel, str], Awaitable[None]], behaviour: str | None = BEHAVIOUR
) -> None:
    async def whole() -> None:
        async with (
            asyncio.timeout(20),
            standin(directory, behaviour) as (address, _),
            grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel,
        ):
            await work(channel, address)

    asyncio.run(whole())


async def call(channel: grpc.aio.Channel, method: str, **options: object) -> bytes:
    answered: bytes = await channel.unary_unary(method)(b"", **options)
    return answered


def test_a_call_is_answered_with_who_and_what(tmp_path: Path) -> None:
    async def work(channel: grpc.aio.Channel, _: str) -> None:
        said = json.loads(text_of(await call(channel, ADD)))
        assert said == {
            "service": "recs",
            "workload": "recs",
            "version": "v2",
            "namespace": "staging",
            "pod": "recs-1",
            "stock": 7,
        }
        assert await call(channel, "/grpc.health.v1.Health/Check") == b"\x08\x01"

    run(tmp_path, work)


def test_errors_have_the_status_of_grpc_and_a_reason(tmp_path: Path) -> None:
    async def work(channel: grpc.aio.Channel, _: str) -> None:
        for method, code, why in (
            ("Broken", grpc.StatusCode.UNAVAILABLE, "declared share of errors"),
            ("Unknown", grpc.StatusCode.UNIMPLEMENTED, "no route for POST /shop.Recommendations/Unknown"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, f"/shop.Recommendations/{method}")
            assert (caught.value.code(), caught.value.details()) == (code, why)

    run(tmp_path, work)


def test_a_caller_that_gives_up_leaves_the_connection_in_order(tmp_path: Path) -> None:
    async def work(channel: grpc.aio.Channel, _: str) -> None:
        for _attempt in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, "/shop.Recommendations/Slow", timeout=0.05)
            assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert text_of(await call(channel, ADD))

    run(tmp_path, work)


def test_answers_larger_than_the_window_and_many_at_once_arrive_whole(tmp_path: Path) -> None:
    async def work(channel: grpc.aio.Channel, _: str) -> None:
        answers = await asyncio.gather(*(call(channel, "/shop.Recommendations/Long") for _ in range(20)))
        assert {len(json.loads(text_of(one))["text"]) for one in answers} == {300_000}

    run(tmp_path, work)


def test_a_connection_takes_as_many_calls_at_once_as_a_caller_makes(tmp_path: Path) -> None:
    """Also before the caller has read what it may: nothing keeps it from sending all at once."""

    async def work(_: grpc.aio.Channel, address: str) -> None:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        connection = h2.connection.H2Connection(config=h2.config.H2Configuration())
        connection.remote_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000}
        )
        connection.initiate_connection()
        for number in range(1, 600, 2):
            request = ((":method", "GET"), (":path", "/any"), (":scheme", "http"), (":authority", "a"))
            connection.send_headers(number, request, end_stream=True)
        writer.write(connection.data_to_send())
        answered = 0
        while answered < 300:
            events = connection.receive_data(await reader.read(65536))
            assert not [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
            answered += sum(isinstance(event, h2.events.StreamEnded) for event in events)
        writer.close()

    run(tmp_path, work)


def test_one_port_speaks_both_versions_of_http(tmp_path: Path) -> None:
    async def work(_: grpc.aio.Channel, address: str) -> None:
        host, _, port = address.partition(":")
        assert "recs-1" in await over_http2(host, int(port), "/anything")
        reader, writer = await asyncio.open_connection(host, int(port))
        for part in (b"P", b"OST /anything HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"):  # begins as the preface
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        assert b"200" in await reader.readline()
        await closed(writer)

    run(tmp_path, work, None)


def test_what_is_not_http2_ends_the_connection(tmp_path: Path) -> None:
    async def work(channel: grpc.aio.Channel, address: str) -> None:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\1\0\0\0\0\0\0x")  # DATA before SETTINGS
        while await reader.read(1000):
            pass
        await closed(writer)
        assert text_of(await call(channel, ADD)), "others are not disturbed"

    run(tmp_path, work)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def over_http2(host: str, port: int, path: str) -> str:
    """The body of a plain GET over HTTP/2 by prior knowledge."""
    reader, writer = await asyncio.open_connection(host, port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    asked = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "x")]
    connection.send_headers(1, asked, end_stream=True)
    body = b""
    while True:
        writer.write(connection.data_to_send())
        for event in connection.receive_data(await reader.read(65536)):
            if isinstance(event, h2.events.DataReceived):
                body += event.data
            if isinstance(event, h2.events.StreamEnded):
                await closed(writer)
                return body.decode()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 16_383, 16_384, 3_000_000])
def test_a_string_value_is_read_as_it_was_written(size: int) -> None:
    assert text_of(string_value(b"a" * size)) == b"a" * size


def test_the_names_of_statuses_are_those_of_the_library() -> None:
    assert {name: number for number, name in enumerate(CODES)} == {one.name: one.value[0] for one in grpc.StatusCode}
    assert all(status_of(CODES[code_of(status)]) >= 400 for status in range(400, 600))
    assert code_of(200) == 0
    assert status_of("OK") == 200
