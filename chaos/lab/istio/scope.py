"""What of the mesh a proxy knows: ``exportTo`` of services, and Sidecars (istiod ``pilot/pkg/model/sidecar.go``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from chaos.istio.exports import Object
from chaos.istio.hosts import resolve_host
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.sidecars import sidecar_of
from chaos.istio.virtual_services import destinations_of
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
    known: dict[tuple[str, str], list[Service]] = {}
    for service in sorted(snapshot.services, key=lambda one: (not one.registered.kubernetes, one.registered.created)):
        known.setdefault((service.host, service.namespace), []).append(service)
    seen: dict[str, Service] = {}
    extra: dict[str, Service] = {}
    listeners = snapshot.mesh.listeners(namespace, sidecar)
    for listener in listeners:
        for key in dict.fromkeys((one.host, one.namespace) for one in listener.services):
            _add(seen, known[key], listener.port)
    visible = {one.host: (one.host, one.namespace) for one in snapshot.mesh.visible_to(namespace)}
    for listener in listeners:
        for host, ports in _destinations(listener.virtual_services, namespace).items():
            if host in visible and host not in seen:
                _add(extra, known[visible[host]], listener.port, ports)
    return dataclasses.replace(
        snapshot, services=tuple(seen.values()), extra=tuple(extra.values()), whole=snapshot.whole or snapshot
    )


def _add(found: dict[str, Service], services: Sequence[Service], port: int | None, ports: Collection[int] = ()) -> None:
    """Adds the ports of services with one host and namespace: of a Kubernetes Service, where there is one, else of all.

    istiod ``sidecar.go`` appendSidecarServices; ``ports`` are the only ones that are wanted.
    """
    for service in services[:1] if services[0].registered.kubernetes else services:
        taken = tuple(one for one in service.ports if port in (None, one.number) and (not ports or one.number in ports))
        before = found.get(service.host)
        if before is not None and before.namespace != service.namespace:
            continue
        numbers = {one.number for one in before.ports} if before is not None else set()
        more = tuple(one for one in taken if one.number not in numbers)
        if before is not None and more:
            ends = {**before.endpoints, **{one.number: service.endpoints.get(one.number, ()) for one in more}}
            found[service.host] = dataclasses.replace(before, ports=(*before.ports, *more), endpoints=ends)
        elif more:
            found[service.host] = service if more == service.ports else dataclasses.replace(service, ports=more)


def _destinations(virtual_services: Iterable[Object], namespace: str) -> Mapping[str, Collection[int]]:
    """The hosts that routes for callers of a namespace lead to, with the ports that they name; none for all.

    istiod ``push_context.go`` virtualServiceDestinationsFilteredBySourceNamespace.
    """
    found: dict[str, set[int]] = {}
    for vs in virtual_services:
        for http in vs["spec"].get("http") or ():
            callers = {block.get("sourceNamespace") for block in http.get("match") or ()} - {None, ""}
            for where in destinations_of(http) if not callers or namespace in callers else ():
                host = resolve_host(where["host"], vs["metadata"]["namespace"])
                found.setdefault(host, set()).add((where.get("port") or {}).get("number") or 0)
    return {host: () if 0 in ports else ports for host, ports in found.items()}
