"""What an Envoy refused is told with the objects behind it, as long as it should have it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from chaos.lab.istio.refusals import Refusal, words_of
from chaos.lab.istio.xds import Discovery

NODE = "sidecar~127.0.0.1~a.staging~staging"


def routes(*names: str, also: str = "") -> list[dict[str, Any]]:
    """The routes of VirtualServices of these names; of a host that none governs as well."""

    def of(name: str) -> dict[str, Any]:
        config = f"/apis/networking.istio.io/v1/namespaces/staging/virtual-service/{name}"
        return {"match": {"prefix": "/"}, "metadata": {"filter_metadata": {"istio": {"config": config}}}}

    hosts = [{"name": name, "domains": [name], "routes": [of(name)]} for name in names]
    return [
        {"name": "outbound", "virtual_hosts": [*hosts, {"name": also, "domains": ["x"], "routes": [{"match": {}}]}]}
    ]


class Envoy:
    """Asks for routes as Envoy does, and takes what it is told to."""

    def __init__(self, discovery: Discovery) -> None:
        transport = httpx.ASGITransport(app=discovery.app())
        self._client = httpx.AsyncClient(transport=transport, base_url="http://x")
        self._has = ""

    async def ask(self, kind: str = "routes", *, takes: bool) -> None:
        """An answer, and the next request, by which Envoy says whether it took it."""
        async with asyncio.timeout(10):
            answer = await self._post(kind)
            if takes:
                self._has = answer.json()["version_info"]
            waiting = asyncio.ensure_future(self._post(kind))
            for _ in range(100):  # turns of the loop: nothing of it waits for anything outside
                await asyncio.sleep(0)
            waiting.cancel()

    async def _post(self, kind: str) -> httpx.Response:
        body = {"version_info": self._has, "node": {"id": NODE}, "resource_names": []}
        return await self._client.post(f"/v3/discovery:{kind}", content=json.dumps(body))


def test_a_refused_update_is_told_until_there_is_a_better_one() -> None:
    async def scenario() -> None:
        discovery = Discovery()
        discovery.publish(NODE, {"clusters": [], "routes": routes("good")})
        envoy = Envoy(discovery)
        await envoy.ask("clusters", takes=True)
        envoy._has = ""
        await envoy.ask(takes=True)
        assert discovery.refusals() == []
        discovery.publish(NODE, {"routes": routes("good", "bad")})
        await envoy.ask(takes=False)
        assert discovery.refusals() == [Refusal(NODE, "routes", ("VirtualService staging/bad",))]
        assert discovery.rejected["routes"] == 1
        discovery.publish(NODE, {"routes": routes("good")})
        assert discovery.refusals() == [], "what it has is what it should have"

    asyncio.run(scenario())


def test_what_comes_from_no_object_is_told_by_its_name() -> None:
    async def scenario() -> None:
        discovery = Discovery()
        discovery.publish(NODE, {"clusters": [{"name": "outbound|80||a"}]})
        await Envoy(discovery).ask("clusters", takes=False)
        assert discovery.refusals() == [Refusal(NODE, "clusters", ("outbound|80||a",))]

    asyncio.run(scenario())


def test_envoys_words_are_at_the_end_of_its_log() -> None:
    head = "[2026-11-26 00:07:12.083][29190][warning][config] [source/x.cc:76] "
    other = "[2026-11-26 00:07:13.083][29190][warning][misc] [source/y.cc:1] something else\n"
    assert (
        words_of(f"{head}rejected: first\n{head}rejected: a {{\n  b: 1\n}}\n: value must be 1\n{other}")
        == "value must be 1"
    )
    assert words_of("  b: 1\n}\n: value must be 1\n") == "value must be 1", "the beginning may be cut off"
    assert words_of(f"{head}no such field") == "no such field"
    assert words_of(other) == words_of("") == ""
