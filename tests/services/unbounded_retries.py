"""Defect: asks again and again while its dependency is down, which makes an outage worse. On asyncio, httpx and uvicorn."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import uvicorn

TRIES = 2 if os.environ.get("MENDED") else 10
client = httpx.AsyncClient(timeout=2)


async def stock() -> bytes:
    for _ in range(TRIES):
        try:
            answer = await client.get("http://stock.default.svc.cluster.local/items/42")
        except httpx.HTTPError:
            continue
        if answer.status_code == 200:
            return answer.content
    return b'"unknown"'


async def app(
    scope: MutableMapping[str, Any], receive: object, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]
) -> None:
    body = b'{"order": 1, "stock": %b}' % await stock()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(app, host="0.0.0.0", port=8080, log_level="warning", lifespan="off")
