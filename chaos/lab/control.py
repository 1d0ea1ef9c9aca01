"""The supervisor's own endpoints, beside the Kubernetes API on the same port: status, control plane, metrics.

- ``GET /lab/status`` → ``{"parts": [{"name", "pid", "alive", "detail"}]}``
- ``POST /lab/control-plane`` with ``{"delay": seconds}`` , ``{"power": "down" | "up"}`` or ``{"certificates": "rotate"}`` → what ``stats`` says
- ``POST /lab/exec`` with ``{"answers": false | true}`` → the same; while false, an exec in a proxy hangs, as on a node that does not answer
- ``GET /lab/metrics`` → the control plane's metrics under istiod's names; 503 while it is down
"""

from __future__ import annotations

import asyncio
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


def control_app(
    *, parts: Callable[[], Iterable[Mapping[str, Any]]], control: Pushing, answering: asyncio.Event
) -> Starlette:
    """The application that serves these endpoints.

    Args:
        parts: Every part, for ``status``.
        control: The control plane.
        answering: Set while an exec in a proxy is answered.
    """

    async def status(_: Request) -> Response:
        return JSONResponse({"parts": [dict(part) for part in parts()]})

    async def control_plane(request: Request) -> Response:
        match await _json(request):
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

    async def execution(request: Request) -> Response:
        match await _json(request):
            case {"answers": False}:
                answering.clear()
            case {"answers": True}:
                answering.set()
            case _:
                return PlainTextResponse('{"answers": false | true} expected', 400)
        return JSONResponse({"answers": answering.is_set()})

    async def metrics(_: Request) -> Response:
        if not control.stats()["pushing"]:
            return PlainTextResponse("the control plane is down", 503)
        return PlainTextResponse(control.monitoring.exposition(), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[
            Route(f"{PREFIX}status", status, methods=["GET"]),
            Route(f"{PREFIX}control-plane", control_plane, methods=["POST"]),
            Route(f"{PREFIX}exec", execution, methods=["POST"]),
            Route(f"{PREFIX}metrics", metrics, methods=["GET"]),
        ]
    )


async def _json(request: Request) -> Any:
    """The body; ``None``, which no endpoint takes, where it is not JSON."""
    try:
        return await request.json()
    except ValueError:
        return None


def either(own: Mapping[str, Asgi], api: Asgi) -> Asgi:
    """One application of several: those of the supervisor below their prefixes, all other paths the Kubernetes API's."""

    async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        chosen = next((app for prefix, app in own.items() if path.startswith(prefix)), api)
        await chosen(scope, receive, send)

    return application
