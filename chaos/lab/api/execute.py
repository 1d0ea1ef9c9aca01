"""``exec`` in a container over WebSocket, as kubectl and the official clients speak it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from chaos.lab.api.authorizing import Access, Act
from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import PODS
from chaos.lab.api.store import Store

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDOUT, _STDERR, _ERROR = b"\x01", b"\x02", b"\x03"
_CHUNK: Final = 60_000
_SETTLE: Final = 0.25
"""Seconds before kubectl is answered: up to 1.33 it drops what comes before it has made its streams, and a kubelet takes
longer than that to start a process (kubernetes/kubernetes#131203)."""


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """What a command printed, and its exit code."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0


ExecHandler = Callable[[str, str, str, list[str]], Awaitable[ExecResult]]
"""``(namespace, pod, container, argv)`` to the result."""


def endpoint(store: Store, handler: ExecHandler, access: Access) -> Callable[[WebSocket], Awaitable[None]]:
    """The WebSocket endpoint of ``pods/exec``."""

    async def run(socket: WebSocket) -> None:
        try:
            _may(access, socket)
        except ApiError as error:
            await socket.send_denial_response(JSONResponse(error.status(), status_code=error.code))
            return
        asked = socket.scope.get("subprotocols") or []
        chosen = next((protocol for protocol in PROTOCOLS if protocol in asked), None)
        await socket.accept(subprotocol=chosen)
        earliest = asyncio.get_running_loop().time()
        if socket.headers.get("user-agent", "").startswith("kubectl"):
            earliest += _SETTLE
        namespace, pod = socket.path_params["namespace"], socket.path_params["pod"]
        query = socket.query_params
        if store.find(PODS, namespace, pod) is None:
            result = ExecResult(stderr=f'pods "{pod}" not found\n'.encode(), exit_code=1)
        else:
            result = await handler(namespace, pod, query.get("container", ""), query.getlist("command"))
        await asyncio.sleep(max(0.0, earliest - asyncio.get_running_loop().time()))
        try:
            for channel, data in ((_STDOUT, result.stdout), (_STDERR, result.stderr)):
                for start in range(0, len(data), _CHUNK):
                    await socket.send_bytes(channel + data[start : start + _CHUNK])
            await socket.send_bytes(_ERROR + _status(result.exit_code))
            await socket.close()
        except (WebSocketDisconnect, RuntimeError):
            return  # the client went away; nobody is left to be told

    return run


def _may(access: Access, socket: WebSocket) -> None:
    """Raises ``ApiError``; clusters ask for ``create`` or, of a WebSocket's GET, for ``get``, by their version."""
    user = access.user(socket)
    where = {"namespace": socket.path_params["namespace"], "name": socket.path_params["pod"]}
    if not access.allows(user, Act(verb="get", group="", resource="pods/exec", **where)):
        access.check(user, Act(verb="create", group="", resource="pods/exec", **where))


def _status(exit_code: int) -> bytes:
    if exit_code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    return json.dumps(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {exit_code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
        }
    ).encode()
