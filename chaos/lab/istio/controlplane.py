"""istiod's part: watches the objects, waits for quiet, and pushes every proxy its configuration."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from chaos.lab.api.resources import (
    DESTINATION_RULES,
    ENDPOINTS,
    GATEWAYS,
    PODS,
    SERVICES,
    VIRTUAL_SERVICES,
    Resource,
)
from chaos.lab.api.store import Event, Store
from chaos.lab.istio.delegates import merged
from chaos.lab.istio.metrics import identity
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot, protocol_of
from chaos.lab.istio.translate import translate
from chaos.lab.istio.xds import Discovery

_LOG: Final = logging.getLogger(__name__)
_WATCHED: Final[tuple[Resource, ...]] = (SERVICES, ENDPOINTS, VIRTUAL_SERVICES, DESTINATION_RULES, GATEWAYS)


class ControlPlane:
    """Tells every proxy its configuration.

    Args:
        store: The cluster's objects.
        debounce: Seconds of quiet before a push (istiod ``PILOT_DEBOUNCE_AFTER``).
        debounce_max: Longest that a push waits for quiet (istiod ``PILOT_DEBOUNCE_MAX``).
    """

    def __init__(self, store: Store, *, debounce: float = 0.1, debounce_max: float = 10.0) -> None:
        self._store = store
        self._debounce = debounce
        self._debounce_max = debounce_max
        self._proxies: dict[str, Proxy] = {}
        self.discovery = Discovery()
        self._changed = asyncio.Event()
        self._first_change: float | None = None
        self._last_change = 0.0
        self._delay = 0.0
        self._pushing = asyncio.Event()
        self._pushing.set()
        self._pushes = 0
        self._convergence = 0.0
        store.subscribe(self._notice)

    def add_proxy(self, proxy: Proxy) -> None:
        """A proxy connects: it gets its configuration at once, or an empty one while pushing is stopped."""
        self._proxies[proxy.pod] = proxy
        self.discovery.forget(proxy.node)
        self._publish(proxy, self._snapshot() if self._pushing.is_set() else Snapshot())

    def remove_proxy(self, pod: str) -> None:
        """A proxy is gone."""
        proxy = self._proxies.pop(pod, None)
        if proxy is not None:
            self.discovery.forget(proxy.node)

    def set_delay(self, seconds: float) -> None:
        """Every push waits this long from now on; 0 ends it."""
        self._delay = seconds

    def stop_pushing(self) -> None:
        """Nothing is distributed from now on; proxies go on with what they have."""
        self._pushing.clear()

    def resume_pushing(self) -> None:
        """Distributes again, first of all what has changed meanwhile."""
        self._pushing.set()

    def stats(self) -> Mapping[str, float]:
        """Pushes so far, seconds of the last one from its first change to the last file, the settings."""
        return {
            "pushes": self._pushes,
            "last_convergence_seconds": round(self._convergence, 4),
            "proxies": len(self._proxies),
            "delay_seconds": self._delay,
            "pushing": float(self._pushing.is_set()),
        }

    async def run(self) -> None:
        """Pushes until it is cancelled."""
        while True:
            await self._changed.wait()
            await self._quiet()
            await self._pushing.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
                await self._pushing.wait()
            first = self._first_change if self._first_change is not None else time.monotonic()
            self._changed.clear()
            self._first_change = None
            await self._push()
            self._convergence = time.monotonic() - first

    async def _quiet(self) -> None:
        while True:
            now = time.monotonic()
            quiet = self._last_change + self._debounce - now
            most = (self._first_change or now) + self._debounce_max - now
            if quiet <= 0 or most <= 0:
                return
            await asyncio.sleep(min(quiet, most))

    async def _push(self) -> None:
        snapshot = self._snapshot()
        self._pushes += 1
        for proxy in tuple(self._proxies.values()):
            if proxy.pod in self._proxies:
                self._publish(proxy, snapshot)
            await asyncio.sleep(0)  # the API goes on answering meanwhile

    def _notice(self, event: Event) -> None:
        if event.resource not in _WATCHED:
            return
        self._last_change = time.monotonic()
        if self._first_change is None:
            self._first_change = self._last_change
        self._changed.set()

    def _publish(self, proxy: Proxy, snapshot: Snapshot) -> None:
        self.discovery.publish(proxy.node, translate(proxy, snapshot))

    def _snapshot(self) -> Snapshot:
        store = self._store
        return Snapshot(
            services=tuple(self._service(service) for service in store.list(SERVICES)),
            virtual_services=tuple(merged(store.list(VIRTUAL_SERVICES))),
            destination_rules=tuple(store.list(DESTINATION_RULES)),
            gateways=tuple(store.list(GATEWAYS)),
        )

    def _service(self, obj: Mapping[str, Any]) -> Service:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        ports = tuple(Port(p["port"], p.get("name", ""), protocol_of(p)) for p in spec.get("ports") or ())
        return Service(
            name=meta["name"],
            namespace=meta["namespace"],
            address=spec.get("clusterIP", ""),
            ports=ports,
            endpoints=self._endpoints(meta["namespace"], meta["name"], ports),
        )

    def _endpoints(self, namespace: str, name: str, ports: tuple[Port, ...]) -> dict[int, tuple[Endpoint, ...]]:
        found: dict[int, list[Endpoint]] = {port.number: [] for port in ports}
        obj = self._store.find(ENDPOINTS, namespace, name)
        for subset in (obj or {}).get("subsets") or ():
            for number, port in ((p.number, p) for p in ports):
                target = next((t for t in subset.get("ports") or () if t.get("name", "") == port.name), None)
                if target is not None:
                    found[number] += [
                        self._endpoint(one, target["port"], namespace) for one in subset.get("addresses") or ()
                    ]
        return {number: tuple(listed) for number, listed in found.items()}

    def _endpoint(self, one: Mapping[str, Any], port: int, namespace: str) -> Endpoint:
        pod_name = (one.get("targetRef") or {}).get("name", "")
        pod = self._store.find(PODS, namespace, pod_name)
        labels = (pod or {}).get("metadata", {}).get("labels") or {}
        proxy = self._proxies.get(pod_name)
        return Endpoint(one["ip"], port, labels, identity(proxy) if proxy else _bare(labels, pod_name, namespace))


def _bare(labels: Mapping[str, str], pod: str, namespace: str) -> dict[str, str]:
    """What is known of a workload without a proxy: what its pod's labels say."""
    app, version = labels.get("app", ""), labels.get("version", "")
    digest = labels.get("pod-template-hash", "")
    workload = pod.rpartition("-")[0].removesuffix(f"-{digest}") if digest else pod
    return {
        "workload": workload,
        "workload_namespace": namespace,
        "app": app or "unknown",
        "version": version or "unknown",
        "canonical_service": app or workload,
        "canonical_revision": version or "latest",
    }
