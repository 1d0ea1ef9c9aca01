"""What of the mesh a proxy knows: ``exportTo`` of services, and Sidecars (istiod ``pilot/pkg/model/sidecar.go``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from chaos.istio.exports import Object
from chaos.istio.hosts import resolve_host
from chaos.istio.sidecars import sidecar_of
from chaos.lab.istio.peer_authentication import ROOT_NAMESPACE
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Service, Snapshot


def scoped(proxy: Proxy, snapshot: Snapshot) -> Snapshot:
    """The snapshot as a proxy sees it; ``extra`` has the services that it only needs clusters of."""
    sidecar = None
    if proxy.kind == "sidecar":
        sidecar = sidecar_of(proxy.labels, proxy.namespace, snapshot.sidecars, root=ROOT_NAMESPACE)
    key = ("scoped", proxy.namespace, sidecar["metadata"]["uid"] if sidecar else None)
    return snapshot.once(key, lambda: _scoped(proxy.namespace, sidecar, snapshot))


def _scoped(namespace: str, sidecar: Object | None, snapshot: Snapshot) -> Snapshot:
    """Of a service only the ports that one of the egress listeners takes, where each takes only its own."""
    known = {(service.host, service.namespace): service for service in snapshot.services}
    seen: dict[str, Service] = {}
    extra: dict[str, Service] = {}
    listeners = snapshot.mesh.listeners(namespace, sidecar)
    for listener in listeners:
        for one in listener.services:
            _add(seen, known[one.host, one.namespace], listener.port)
    visible = {one.host: known[one.host, one.namespace] for one in snapshot.mesh.visible_to(namespace)}
    for listener in listeners:
        for host in {host for vs in listener.virtual_services for host in _destinations(vs)}:
            if host in visible and host not in seen:
                _add(extra, visible[host], listener.port)
    return dataclasses.replace(
        snapshot, services=tuple(seen.values()), extra=tuple(extra.values()), whole=snapshot.whole or snapshot
    )


def _add(found: dict[str, Service], service: Service, port: int | None) -> None:
    ports = tuple(one for one in service.ports if port in (None, one.number))
    before = found.get(service.host)
    if before is not None and before.namespace != service.namespace:
        return
    numbers = {one.number for one in before.ports} if before is not None else set()
    merged = (*(before.ports if before is not None else ()), *(one for one in ports if one.number not in numbers))
    if merged:
        found[service.host] = service if merged == service.ports else dataclasses.replace(service, ports=merged)


def _destinations(vs: Object) -> Iterator[str]:
    for http in vs["spec"].get("http") or ():
        mirrors = [http["mirror"]] if http.get("mirror") else [one["destination"] for one in http.get("mirrors") or ()]
        for where in (*(one["destination"] for one in http.get("route") or ()), *mirrors):
            yield resolve_host(where["host"], vs["metadata"]["namespace"])
