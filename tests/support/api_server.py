"""The lab's API server in a thread of the test, on a free port, with a kubeconfig; it can go away and come back."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn

from chaos.lab.api.execute import ExecHandler
from chaos.lab.api.resources import LEASES, NAMESPACES, VIRTUAL_SERVICES, Resource
from chaos.lab.api.server import create_app
from chaos.lab.api.store import Store
from chaos.lab.istio.validation import VALIDATORS

ADMIN_TOKEN = "secret-token"  # noqa: S105 - of a server that lives as long as a test
CONTEXT = "test-mesh"
Middleware = Callable[[Any], Any]
_TURNS = 5
"""Turns of the loop in which a connection that was accepted at the last moment is made, and then closed with all others."""


class _Server(uvicorn.Server):
    """Ends at once: uvicorn's own takes a tenth of a second to notice that it shall, and one more for its connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        seconds = 0
        while not await self.on_tick(10 * seconds):  # each tenth of uvicorn's ticks renews the header `date`
            seconds += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        listening = [one for server in self.servers for one in server.sockets]
        for one in listening:
            asyncio.get_running_loop().remove_reader(one.fileno())
        for _ in range(_TURNS):
            for connection in list(self.server_state.connections):
                connection.shutdown()
                connection.transport.abort()
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()  # not before: asyncio leaves open what it has accepted, but not made a connection yet


class ApiServer:
    """A store behind HTTP."""

    def __init__(self, folder: Path, *, exec_handler: ExecHandler | None = None) -> None:
        self.store = Store()
        for name, labels in (("kube-system", {}), ("staging", {"env": "staging"}), ("production", {})):
            self.store.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
        self.app: Any = create_app(
            self.store, validators=VALIDATORS, exec_handler=exec_handler, administrators=[ADMIN_TOKEN]
        )
        self.calls: list[tuple[str, str]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.start()
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(kubeconfig(f"http://127.0.0.1:{self._port}"))

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    async def _counted(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            self.calls.append((scope.get("method", "WS"), scope["path"]))
        await self.app(scope, receive, send)

    def start(self) -> None:
        # With the protocol named, asyncio turns off Nagle on what it accepts; else every answer waits 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(self._counted, log_config=None, lifespan="off", interface="asgi3")
        self._server = server = _Server(config)
        started = threading.Event()

        def serve() -> None:
            async def run() -> None:
                self._loop = asyncio.get_running_loop()
                started.set()
                await server.serve(sockets=[listener])

            asyncio.run(run())
            listener.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        assert self._loop is not None
        self._server.should_exit = True
        self._loop.call_soon_threadsafe(self._server.ending.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def call(self, function: Callable[[], object]) -> None:
        """Has something called in the server's own thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function)

    def objects(self, resource: Resource = VIRTUAL_SERVICES, namespace: str = "staging") -> list[str]:
        """Names of the objects, read in the server's own thread so that nothing changes meanwhile."""
        assert self._loop is not None
        names: list[str] = []
        done = threading.Event()

        def look() -> None:
            names.extend(obj["metadata"]["name"] for obj in self.store.list(resource, namespace))
            done.set()

        self._loop.call_soon_threadsafe(look)
        assert done.wait(10)
        return names

    def left(self) -> list[str]:
        return self.objects(VIRTUAL_SERVICES) + self.objects(LEASES)


def kubeconfig(server: str, *, current: str = "not-to-be-used") -> str:
    return json.dumps({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}, {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [
            {"name": CONTEXT, "context": {"cluster": "c", "user": "u", "namespace": "staging"}},
            {"name": "not-to-be-used", "context": {"cluster": "gone", "user": "u"}},
        ],
        "current-context": current,
    })  # fmt: skip


def fault(
    run: str, *, service: str = "inventory-svc", expires: str = "", owner: dict[str, str] | None = None
) -> dict[str, Any]:
    """A VirtualService as the harness writes it."""
    host = f"{service}.staging.svc.cluster.local"
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": f"chaos-{run}-{service}",
            "namespace": "staging",
            "labels": {
                "chaos-harness.dev/run": run, "chaos-harness.dev/experiment": "orders", "chaos-harness.dev/owner": "checkout",
            },
            "annotations": {"chaos-harness.dev/expires": expires} if expires else {},
            **({"ownerReferences": [owner]} if owner else {}),
        },
        "spec": {
            "hosts": [host],
            "exportTo": ["."],
            "http": [{
                "name": f"chaos-{run}-{service}",
                "fault": {"abort": {"percentage": {"value": 50}, "httpStatus": 503}},
                "route": [{"destination": {"host": host}}],
            }],
        },
    }  # fmt: skip


def lease(run: str, name: str = "chaos-inventory-svc") -> dict[str, Any]:
    """A Lease with which a run holds its target."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "staging", "labels": {"chaos-harness.dev/run": run}},
        "spec": {"holderIdentity": run, "leaseDurationSeconds": 30},
    }
