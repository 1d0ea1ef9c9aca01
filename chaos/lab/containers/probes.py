"""The probes of a container, as a kubelet asks them: at the application itself, past its sidecar (as Istio rewrites them)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx

Object = Mapping[str, Any]
_OPEN_EVERY: Final = 0.1
"""Seconds between two looks at ports that are not open yet."""
PATIENCE: Final = 5.0
"""Seconds to wait for the other ports after the first one is open; a kubelet does not wait."""


@dataclass(frozen=True)
class Probe:
    """One probe; the fields are Kubernetes', durations in seconds.

    Attributes:
        port: That of the container which is asked.
        path: Of a request of HTTP; ``None`` for a connection alone.
    """

    port: int
    path: str | None = None
    scheme: str = "http"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    period: float = 10
    timeout: float = 1
    successes: int = 1
    failures: int = 3

    @classmethod
    def of(cls, declared: Object, named: Mapping[str, int]) -> Self | None:
        """The probe in a manifest; ``None`` for one that runs a command of an image."""
        http = declared.get("httpGet") or {}
        target = http or declared.get("tcpSocket") or declared.get("grpc")
        if not target:
            return None
        port = target.get("port")
        return cls(
            port=named.get(port, 0) if isinstance(port, str) and not port.isdigit() else int(port or 0),
            path=f"/{str(http.get('path') or '/').lstrip('/')}" if http else None,
            scheme=str(http.get("scheme") or "http").lower(),
            headers={one["name"]: one["value"] for one in http.get("httpHeaders") or ()},
            delay=float(declared.get("initialDelaySeconds") or 0),
            period=float(declared.get("periodSeconds") or 10),
            timeout=float(declared.get("timeoutSeconds") or 1),
            successes=int(declared.get("successThreshold") or 1),
            failures=int(declared.get("failureThreshold") or 3),
        )


@dataclass(frozen=True)
class Probes:
    """Those of one container.

    Attributes:
        ip: Its pod's address.
        ports: By container port, the port at ``ip``.
        startup: Asked alone, until it succeeds.
        readiness: Whether the container gets requests. Without one it does as soon as its ports are open.
        liveness: Whether it is started again.
        remarks: What of the manifest's probes the lab can't do.
    """

    ip: str
    ports: Mapping[int, int]
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, container: Object, ip: str, ports: Mapping[int, int], named: Mapping[str, int]) -> Self:
        """Those of a manifest's container; ``named`` has its ports by their names."""
        found: dict[str, Probe | None] = {}
        remarks = []
        for kind in ("startup", "readiness", "liveness"):
            declared = container.get(f"{kind}Probe")
            found[kind] = Probe.of(declared, named) if declared else None
            if declared and "exec" in declared:
                remarks.append(f"the {kind}Probe runs a command of the image, which is not here, and is left out")
            elif declared and "grpc" in declared:
                remarks.append(f"the {kind}Probe asks over gRPC; here it looks whether the port is open")
        return cls(ip, ports, remarks=tuple(remarks), **found)

    async def watch(
        self, *, ready: Callable[[bool], None], started: Callable[[], None], tell: Callable[[str], None]
    ) -> str:
        """Asks until the container has to be started again.

        Args:
            ready: Told whenever it begins or ceases to answer.
            started: Told when it has started.
            tell: Hears what the user has to know.

        Returns:
            Which probe failed.
        """
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - as a kubelet does
            if self.startup is not None and not await self._until(client, self.startup, good=True):
                return "the startupProbe failed"
            started()
            liveness = asyncio.create_task(self._until_dead(client))
            readiness = asyncio.create_task(self._keep_ready(client, ready, tell))
            try:
                await liveness
            finally:
                liveness.cancel()
                readiness.cancel()
                await asyncio.gather(liveness, readiness, return_exceptions=True)
        return "the livenessProbe failed"

    async def _until_dead(self, client: httpx.AsyncClient) -> None:
        if self.liveness is None:
            await asyncio.Event().wait()
        else:
            await self._until(client, self.liveness, good=False)

    async def _until_open(self, tell: Callable[[str], None]) -> None:
        """Returns when its ports are open, or when the others seem never to open."""
        now = asyncio.get_running_loop().time
        until = None
        while closed := [port for port in self.ports if not await self._open(port, 1)]:
            if len(closed) < len(self.ports):
                until = until or now() + PATIENCE
                if now() > until:
                    tell(f"nothing listens on {', '.join(map(str, closed))}, which its container or a Service declares")
                    return
            await asyncio.sleep(_OPEN_EVERY)

    async def _keep_ready(
        self, client: httpx.AsyncClient, ready: Callable[[bool], None], tell: Callable[[str], None]
    ) -> None:
        if self.readiness is None:
            await self._until_open(tell)
            ready(True)  # noqa: FBT003 - what it is told
            return
        await asyncio.sleep(self.readiness.delay)
        told, good, bad = False, 0, 0
        while True:
            answered = await self._ask(client, self.readiness)
            good, bad = (good + 1, 0) if answered else (0, bad + 1)
            if not told and good >= self.readiness.successes:
                told = True
                ready(told)
            elif told and bad >= self.readiness.failures:
                told = False
                ready(told)
            # Until it is ready for the first time a kubelet asks at least each second too, from Kubernetes 1.22 on.
            await asyncio.sleep(self.readiness.period if told else min(1.0, self.readiness.period))

    async def _until(self, client: httpx.AsyncClient, probe: Probe, *, good: bool) -> bool:
        """Asks until too many answers in a row have failed, or, with ``good``, until one succeeds."""
        await asyncio.sleep(probe.delay)
        failed = 0
        while failed < probe.failures:
            if not await self._ask(client, probe):
                failed += 1
            elif good:
                return True
            else:
                failed = 0
            if failed < probe.failures:
                await asyncio.sleep(probe.period)
        return False

    async def _ask(self, client: httpx.AsyncClient, probe: Probe) -> bool:
        if probe.path is None:
            return await self._open(probe.port, probe.timeout)
        url = f"{probe.scheme}://{self.ip}:{self.ports.get(probe.port, probe.port)}{probe.path}"
        try:
            answer = await client.get(url, headers=dict(probe.headers), timeout=probe.timeout)
        except httpx.HTTPError:
            return False
        return 200 <= answer.status_code < 400

    async def _open(self, port: int, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(self.ip, self.ports.get(port, port))
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        return True
