"""The supervisor's own endpoints, beside the Kubernetes API on the same port: status, control plane, metrics.

- ``GET /lab/status`` → ``{"parts": [{"name", "pid", "alive", "detail"}]}``
- ``POST /lab/control-plane`` with ``{"delay": seconds}`` , ``{"power": "down" | "up"}`` or ``{"certificates": "rotate"}`` → what ``stats`` says
- ``GET /lab/metrics`` → the control plane's metrics under istiod's names; 503 while it is down
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from chaos.lab.istio.monitoring import Monitoring
from chaos.lab.serving import Asgi

PREFIX: Final = "/lab/"


class Pushing(Protocol):
    """What can be done to a control plane from outside."""

    monitoring: Monitoring

    def set_delay(self, seconds: float) -> None:
        """Every push waits this long."""

    def stop_pushing(self) -> None:
        """Nothing is pushed until ``resume_pushing``."""

    def resume_pushing(self) -> None:
        """Pushes what has changed meanwhile, and goes on."""

    def rotate(self) -> None:
        """Every workload gets a new certificate."""

    def stats(self) -> Mapping[str, Any]:
        """Settings and counters."""


def control_app(*, parts: Callable[[], Iterable[Mapping[str, Any]]], control: Pushing) -> Starlette:
    """The application that serves these endpoints."""

    async def status(_: Request) -> Response:
        return JSONResponse({"parts": [dict(part) for part in parts()]})

    async def control_plane(request: Request) -> Response:
        try:
            wanted = await request.json()
        except json.JSONDecodeError as error:
            return PlainTextResponse(f"JSON expected: {error}", 400)
        match wanted:
            case {"delay": int() | float() as seconds} if seconds >= 0:
                control.set_delay(float(seconds))
            case {"power": "down"}:
                control.stop_pushing()
            case {"power": "up"}:
                control.resume_pushing()
            case {"certificates": "rotate"}:
                control.rotate()
            case _:
                return PlainTextResponse(
                    '{"delay": seconds}, {"power": "down" | "up"} or {"certificates": "rotate"} expected', 400
                )
        return JSONResponse(dict(control.stats()))

    async def metrics(_: Request) -> Response:
        if not control.stats()["pushing"]:
            return PlainTextResponse("the control plane is down", 503)
        return PlainTextResponse(control.monitoring.exposition(), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[
            Route(f"{PREFIX}status", status, methods=["GET"]),
            Route(f"{PREFIX}control-plane", control_plane, methods=["POST"]),
            Route(f"{PREFIX}metrics", metrics, methods=["GET"]),
        ]
    )


def either(own: Mapping[str, Asgi], api: Asgi) -> Asgi:
    """One application of several: those of the supervisor below their prefixes, all other paths the Kubernetes API's."""

    async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        chosen = next((app for prefix, app in own.items() if path.startswith(prefix)), api)
        await chosen(scope, receive, send)

    return application
