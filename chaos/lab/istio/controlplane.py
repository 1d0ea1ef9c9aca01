"""istiod's part: watches the objects, waits for quiet, and pushes every proxy its configuration."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chaos.istio.delegates import merged
from chaos.istio.exports import Object
from chaos.istio.virtual_services import age_key
from chaos.lab.api.resources import (
    AUTHORIZATION_POLICIES,
    CONFIG_MAPS,
    DESTINATION_RULES,
    ENDPOINTS,
    GATEWAYS,
    PEER_AUTHENTICATIONS,
    PODS,
    SECRETS,
    SERVICE_ENTRIES,
    SERVICES,
    SIDECARS,
    VIRTUAL_SERVICES,
    Resource,
)
from chaos.lab.api.store import Event, Store
from chaos.lab.istio import tls
from chaos.lab.istio.authority import LIFETIME, Authority, Certificate
from chaos.lab.istio.mesh_config import exported_by_default, mesh_config
from chaos.lab.istio.metrics import identity
from chaos.lab.istio.monitoring import Monitoring
from chaos.lab.istio.peer_authentication import ROOT_NAMESPACE, mode_of
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.service_entries import services_of
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot, protocol_of
from chaos.lab.istio.translate import translate
from chaos.lab.istio.xds import Discovery

_LOG: Final = logging.getLogger(__name__)
_WATCHED: Final[tuple[Resource, ...]] = (
    CONFIG_MAPS, SERVICES, ENDPOINTS, VIRTUAL_SERVICES, DESTINATION_RULES, GATEWAYS, SERVICE_ENTRIES, SIDECARS, PEER_AUTHENTICATIONS,
    AUTHORIZATION_POLICIES, SECRETS,
)  # fmt: skip
_CERTIFICATES_LOOKED_AT: Final = 300.0
"""Seconds between two looks at the age of certificates where nothing else changes."""
_EXPORT: Final = "networking.istio.io/exportTo"
_RENEWED_AT: Final = 0.8
"""Part of a certificate's lifetime after which the next one is issued."""


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
        self._authority = Authority()
        self._certificates: dict[str, Certificate] = {}
        self.monitoring = Monitoring()
        self.discovery = Discovery(on_converged=self.monitoring.converged)
        self.monitoring.watch(self)
        self._changed = asyncio.Event()
        self._first_change: float | None = None
        self._last_change = 0.0
        self._delay = 0.0
        self._pushing = asyncio.Event()
        self._pushing.set()
        self._pushes = 0
        self._pushed: Snapshot | None = None
        self._convergence = 0.0
        store.subscribe(self._notice)

    def add_proxy(self, proxy: Proxy) -> None:
        """A proxy connects: it gets its configuration at once, or an empty one while pushing is stopped."""
        self._proxies[proxy.pod] = proxy
        self.discovery.forget(proxy.node)
        # As from istiod, it gets what was pushed last; what has changed since then comes with the next push.
        self._publish(proxy, (self._pushed or self._renewed()) if self._pushing.is_set() else Snapshot())

    def remove_proxy(self, pod: str) -> None:
        """A proxy is gone."""
        proxy = self._proxies.pop(pod, None)
        if proxy is not None:
            self._certificates.pop(pod, None)
            self.discovery.forget(proxy.node)

    def rotate(self) -> None:
        """Every workload gets a new certificate, as when the old one is about to expire."""
        self._certificates.clear()
        self._mark()

    def set_delay(self, seconds: float) -> None:
        """Every push waits this long from now on; 0 ends it."""
        self._delay = seconds

    def stop_pushing(self) -> None:
        """Nothing is distributed from now on; proxies go on with what they have."""
        self._pushing.clear()

    def resume_pushing(self) -> None:
        """Distributes again, first of all what has changed meanwhile."""
        self._pushing.set()

    def pushed(self) -> Mapping[str, int]:
        """Answers with something new so far, by kind."""
        return {str(kind): count for kind, count in self.discovery.sent.items()}

    def rejected(self) -> Mapping[str, int]:
        """What proxies did not take so far, by kind."""
        return {str(kind): count for kind, count in self.discovery.rejected.items()}

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
            try:
                await asyncio.wait_for(self._changed.wait(), _CERTIFICATES_LOOKED_AT)
            except TimeoutError:
                self._mark()  # some certificate may be about to expire
            await self._quiet()
            await self._pushing.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
                await self._pushing.wait()
            first = self._first_change if self._first_change is not None else time.monotonic()
            self._changed.clear()
            self._first_change = None
            await self._push(first)
            self._convergence = time.monotonic() - first

    async def _quiet(self) -> None:
        while True:
            now = time.monotonic()
            quiet = self._last_change + self._debounce - now
            most = (self._first_change or now) + self._debounce_max - now
            if quiet <= 0 or most <= 0:
                return
            await asyncio.sleep(min(quiet, most))

    async def _push(self, since: float) -> None:
        snapshot = self._renewed()
        self._pushes += 1
        for proxy in tuple(self._proxies.values()):
            if proxy.pod in self._proxies:
                self._publish(proxy, snapshot, since=since)
            await asyncio.sleep(0)  # the API goes on answering meanwhile

    def _notice(self, event: Event) -> None:
        if event.resource in _WATCHED:
            self._mark()

    def _mark(self) -> None:
        self._last_change = time.monotonic()
        if self._first_change is None:
            self._first_change = self._last_change
        self._changed.set()

    def _publish(self, proxy: Proxy, snapshot: Snapshot, *, since: float | None = None) -> None:
        secrets = list(self._secrets(proxy, snapshot))
        self.discovery.publish(proxy.node, {**translate(proxy, snapshot), "secrets": secrets}, since=since)

    def _secrets(self, proxy: Proxy, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
        """Its own certificate, whom it trusts, and of a gateway what its namespace holds."""
        mine = self._certificates.get(proxy.pod)
        if mine is None or mine.expires - datetime.now(UTC) < LIFETIME * (1 - _RENEWED_AT):
            mine = self._certificates[proxy.pod] = self._authority.issue(proxy.uri)
        yield tls.certificate_secret(tls.OWN_CERTIFICATE, mine.chain, mine.key)
        yield tls.trust_secret(tls.TRUSTED, self._authority.root)
        if proxy.kind == "router":
            own = [one for one in snapshot.secrets if one["metadata"]["namespace"] == proxy.namespace]
            yield from tls.gateway_secrets(own)

    def _renewed(self) -> Snapshot:
        """Everything as it is now, for this push and for proxies that connect until the next one."""
        self.discovery.change()
        self._pushed = self._snapshot()
        return self._pushed

    def _snapshot(self) -> Snapshot:
        store = self._store
        policies = tuple(store.list(PEER_AUTHENTICATIONS))
        services = [self._service(service, policies) for service in store.list(SERVICES)]
        for entry in sorted(store.list(SERVICE_ENTRIES), key=age_key):
            services += services_of(entry, self._selected(entry, policies))
        return Snapshot(
            services=tuple({service.host: service for service in reversed(services)}.values()),
            virtual_services=tuple(merged(exported_by_default(store.list(VIRTUAL_SERVICES), self._mesh_config()))),
            destination_rules=tuple(store.list(DESTINATION_RULES)),
            gateways=tuple(store.list(GATEWAYS)),
            sidecars=tuple(store.list(SIDECARS)),
            peer_authentications=policies,
            authorization_policies=tuple(store.list(AUTHORIZATION_POLICIES)),
            secrets=tuple(store.list(SECRETS)),
        )

    def _mesh_config(self) -> Mapping[str, Any]:
        found = self._store.find(CONFIG_MAPS, ROOT_NAMESPACE, "istio")
        return mesh_config(found)

    def _service(self, obj: Mapping[str, Any], policies: Sequence[Object]) -> Service:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        ports = tuple(Port(p["port"], p.get("name", ""), protocol_of(p)) for p in spec.get("ports") or ())
        exported = (meta.get("annotations") or {}).get(_EXPORT, "*")
        return Service(
            name=meta["name"],
            namespace=meta["namespace"],
            address=spec.get("clusterIP", ""),
            ports=ports,
            endpoints=self._endpoints(meta["namespace"], meta["name"], ports, policies),
            export_to=tuple(part.strip() for part in exported.split(",")),
        )

    def _selected(self, entry: Object, policies: Sequence[Object]) -> list[Endpoint]:
        """The ready pods that a ServiceEntry's ``workloadSelector`` selects."""
        wanted = (entry["spec"].get("workloadSelector") or {}).get("labels")
        if not wanted:
            return []
        namespace = entry["metadata"]["namespace"]
        port = (entry["spec"].get("ports") or [{"number": 0}])[0]
        target = port.get("targetPort") or port["number"]
        return [
            self._endpoint(
                {"ip": pod["status"]["podIP"], "targetRef": {"name": pod["metadata"]["name"]}},
                target,
                namespace,
                policies,
            )
            for pod in self._store.list(PODS, namespace)
            if wanted.items() <= (pod["metadata"].get("labels") or {}).items()
            and (pod.get("status") or {}).get("podIP")
        ]

    def _endpoints(
        self, namespace: str, name: str, ports: tuple[Port, ...], policies: Sequence[Object]
    ) -> dict[int, tuple[Endpoint, ...]]:
        found: dict[int, list[Endpoint]] = {port.number: [] for port in ports}
        obj = self._store.find(ENDPOINTS, namespace, name)
        for subset in (obj or {}).get("subsets") or ():
            for number, port in ((p.number, p) for p in ports):
                target = next((t for t in subset.get("ports") or () if t.get("name", "") == port.name), None)
                if target is not None:
                    found[number] += [
                        self._endpoint(one, target["port"], namespace, policies)
                        for one in subset.get("addresses") or ()
                    ]
        return {number: tuple(listed) for number, listed in found.items()}

    def _endpoint(self, one: Mapping[str, Any], port: int, namespace: str, policies: Sequence[Object]) -> Endpoint:
        pod_name = (one.get("targetRef") or {}).get("name", "")
        pod = self._store.find(PODS, namespace, pod_name)
        labels = (pod or {}).get("metadata", {}).get("labels") or {}
        proxy = self._proxies.get(pod_name)
        if proxy is None:
            return Endpoint(one["ip"], port, labels, _bare(labels, pod_name, namespace))
        takes = mode_of(policies, namespace=namespace, labels=labels, port=port) != "DISABLE" and port in proxy.inbound
        return Endpoint(one["ip"], port, labels, identity(proxy), uri=proxy.uri, mutual=takes)


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
