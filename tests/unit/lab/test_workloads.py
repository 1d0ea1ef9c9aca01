"""The process of the stand-ins, as the supervisor drives it, without any sidecar."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from chaos.errors import LabError
from chaos.lab.addresses import AddressBlock, free_port
from chaos.lab.workloads.host import WorkloadHost

INVENTORY = "routes: [{path: '/stock/{id}', payload: {stock: 7}}]"
FAILING = "routes: [{path: '/stock/{id}', errors: {share: 100%, status: 503}}]"
SLOW = "routes: [{path: '/stock/{id}', latency: 2s}]"
CALLS = "routes: [{path: '/orders/{id}', calls: [{url: 'http://inventory-svc:8080/stock/{id}', take: [stock]%s}]}]"
ROBUST = CALLS % ", timeout: 100ms, retries: 1, fallback: {stock: unknown, degraded: true}"
NAIVE = CALLS % ""


class World:
    """A process of stand-ins and a client for them."""

    def __init__(self, host: WorkloadHost, block: AddressBlock, client: httpx.AsyncClient) -> None:
        self.host = host
        self.block = block
        self.client = client

    async def add(self, name: str, behaviour: str | None) -> str:
        """The URL of one more stand-in."""
        ip = self.block.pod_address()
        ports = await self.host.add(
            namespace="staging",
            pod=f"{name}-1",
            service=name,
            workload=f"{name}-v1",
            version="v1",
            ip=ip,
            proxy=None,
            ports=[8080 + free_port() % 100],
            behaviour=behaviour,
        )
        ((_, port),) = ports.items()
        return f"http://{ip}:{port}"


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    block = AddressBlock.claim()
    host = WorkloadHost(
        log=directory / "apps.log", env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    )
    host.start()
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield World(host, block, client)
    finally:
        host.kill()
        await host.child.wait()
        block.release()


def run(work: Callable[[World], Awaitable[None]], directory: Path) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), world(directory) as made:
            await work(made)

    asyncio.run(whole())


def test_a_stand_in_says_who_it_is(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        url = await world.add("anything", None)
        answer = await world.client.get(f"{url}/some/path")
        assert answer.json() == {
            "service": "anything",
            "workload": "anything-v1",
            "version": "v1",
            "namespace": "staging",
            "pod": "anything-1",
        }
        assert (await world.client.get(f"{url}/healthz")).json() == {"status": "ok"}

    run(work, tmp_path)


@pytest.mark.parametrize(
    ("order", "inventory", "status", "said"),
    [
        (ROBUST, INVENTORY, 200, {"stock": 7}),
        (ROBUST, FAILING, 200, {"stock": "unknown", "degraded": True}),
        (ROBUST, SLOW, 200, {"stock": "unknown", "degraded": True}),
        (NAIVE, INVENTORY, 200, {"stock": 7}),
        (NAIVE, FAILING, 500, {"error": "http://inventory-svc:8080/stock/42: 503"}),
    ],
)
def test_calls_degrade_as_declared(
    tmp_path: Path, order: str, inventory: str, status: int, said: dict[str, object]
) -> None:
    async def work(world: World) -> None:
        inventory_url = await world.add("inventory-svc", inventory)
        world.host.learn({"inventory-svc.staging:8080": [inventory_url.removeprefix("http://")]})
        order_url = await world.add("order-svc", order)
        answer = await world.client.get(f"{order_url}/orders/42")
        body = answer.json()
        assert answer.status_code == status
        assert {key: body.get(key) for key in said} == said
        expected = 1 if inventory == INVENTORY or order == NAIVE else 2
        assert body["calls"][0]["attempts"] == expected

    run(work, tmp_path)


def test_an_unknown_path_and_a_service_without_endpoints(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        url = await world.add("order-svc", NAIVE)
        assert (await world.client.get(f"{url}/nothing")).status_code == 404
        answer = await world.client.get(f"{url}/orders/1")
        assert answer.status_code == 500
        assert answer.json()["calls"][0]["error"] == "no endpoint for inventory-svc:8080"

    run(work, tmp_path)


def test_a_removed_pod_answers_no_more(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        url = await world.add("gone", None)
        world.host.remove("staging", "gone-1")
        deadline = asyncio.get_running_loop().time() + 5
        while True:
            try:
                await httpx.AsyncClient(trust_env=False).get(url)
            except httpx.ConnectError:
                return
            assert asyncio.get_running_loop().time() < deadline

    run(work, tmp_path)


def test_a_behaviour_that_cannot_be_read_and_a_port_in_use_are_lab_errors(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        with pytest.raises(LabError, match=r"Pod staging/broken-1: annotation .*routs"):
            await world.add("broken", "routs: []")
        url = await world.add("first", None)
        ip, _, port = url.removeprefix("http://").rpartition(":")
        with pytest.raises(LabError, match="in use") as caught:
            await world.host.add(
                namespace="staging",
                pod="second",
                service="second",
                workload="second",
                version="",
                ip=ip,
                proxy=None,
                ports=[int(port)],
                behaviour=None,
            )
        assert "0.0.0.0" in (caught.value.hint or "")

    run(work, tmp_path)


def test_a_dead_process_is_told_with_its_reason(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        assert world.host.child.pid is not None
        await world.add("first", None)
        os.kill(world.host.child.pid, 9)
        await world.host.child.wait()
        with pytest.raises(LabError, match="killed by SIGKILL"):
            await world.add("second", None)

    run(work, tmp_path)
