"""The supervisor's own endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chaos.lab.control import PREFIX, control_app, either
from chaos.lab.istio.monitoring import Monitoring


class Pushes:
    """A control plane that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.pushing = 1.0
        self.monitoring = Monitoring()
        self.monitoring.watch(self)
        self.monitoring.converged(0.3)

    def set_delay(self, seconds: float) -> None:
        self.told.append(seconds)

    def stop_pushing(self) -> None:
        self.told.append("stop")

    def resume_pushing(self) -> None:
        self.told.append("resume")

    def stats(self) -> dict[str, Any]:
        return {"pushes": 3, "delay_seconds": 0.5, "proxies": 2, "pushing": self.pushing}

    def rotate(self) -> None:
        self.told.append("rotate")

    def pushed(self) -> dict[str, int]:
        return {"clusters": 3}

    def rejected(self) -> dict[str, int]:
        return {"routes": 1}


def ask(
    pushes: Pushes,
    work: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]],
    *,
    answering: asyncio.Event | None = None,
) -> httpx.Response:
    async def whole() -> httpx.Response:
        own = control_app(
            parts=lambda: [{"name": "a", "pid": 1, "alive": True, "detail": ""}],
            control=pushes,
            answering=answering or asyncio.Event(),
        )
        api = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("the API"))])
        transport = httpx.ASGITransport(app=either({PREFIX: own}, api))
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            return await work(client)

    return asyncio.run(whole())


def test_the_two_share_a_port() -> None:
    assert ask(Pushes(), lambda client: client.get("/api/v1/pods")).text == "the API"
    assert ask(Pushes(), lambda client: client.get("/lab/status")).json()["parts"][0]["name"] == "a"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"delay": 3}, [3.0]),
        ({"delay": 0.5}, [0.5]),
        ({"power": "down"}, ["stop"]),
        ({"power": "up"}, ["resume"]),
        ({"certificates": "rotate"}, ["rotate"]),
    ],
)
def test_orders_reach_the_control_plane(body: dict[str, Any], told: list[object]) -> None:
    pushes = Pushes()
    answer = ask(pushes, lambda client: client.post("/lab/control-plane", json=body))
    assert answer.status_code == 200
    assert answer.json()["pushes"] == 3
    assert pushes.told == told


@pytest.mark.parametrize("body", [{}, {"delay": -1}, {"delay": "3s"}, {"power": "off"}, []])
def test_other_orders_change_nothing(body: object) -> None:
    pushes = Pushes()
    assert ask(pushes, lambda client: client.post("/lab/control-plane", json=body)).status_code == 400
    assert pushes.told == []


def test_metrics_have_istiods_names_and_are_silent_while_it_is_down() -> None:
    pushes = Pushes()
    lines = ask(pushes, lambda client: client.get("/lab/metrics")).text.splitlines()
    for line in (
        'pilot_xds_pushes{type="cds"} 3.0',
        'pilot_xds_pushes_total{type="cds"} 3.0',
        'pilot_total_xds_rejects{type="rds"} 1.0',
        'pilot_xds{version="lab"} 2.0',
        'pilot_proxy_convergence_time_bucket{le="0.5"} 1.0',
        'pilot_proxy_convergence_time_bucket{le="0.1"} 0.0',
        "lab_control_plane_delay_seconds 0.5",
    ):
        assert line in lines
    assert any(line.startswith("process_cpu_seconds_total ") for line in lines)
    pushes.pushing = 0.0
    assert ask(pushes, lambda client: client.get("/lab/metrics")).status_code == 503


@pytest.mark.parametrize("answers", [False, True])
def test_execs_hang_and_answer_again(answers: bool) -> None:
    answering = asyncio.Event()
    if not answers:
        answering.set()
    said = ask(Pushes(), lambda client: client.post("/lab/exec", json={"answers": answers}), answering=answering)
    assert said.json() == {"answers": answers}
    assert answering.is_set() is answers


@pytest.mark.parametrize("body", [b"", b"{", b'{"answers": "no"}', b'{"answers": 1, "more": 2'])
def test_nonsense_about_execs_changes_nothing(body: bytes) -> None:
    answering = asyncio.Event()
    said = ask(Pushes(), lambda client: client.post("/lab/exec", content=body), answering=answering)
    assert said.status_code == 400
    assert "expected" in said.text
    assert not answering.is_set()
