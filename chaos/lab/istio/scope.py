"""What of the mesh a proxy knows: ``exportTo`` of services, and Sidecars (istiod ``pilot/pkg/model/sidecar.go``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from chaos.istio.hosts import resolve_host
from chaos.istio.sidecars import imports, sidecar_of
from chaos.istio.virtual_services import Object, hosts_of
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
    services = [service for service in snapshot.services if _exported(service, namespace)]
    if sidecar is None or not sidecar["spec"].get("egress"):
        return dataclasses.replace(snapshot, services=services)
    seen = [one for one in services if imports(sidecar, namespace, one.namespace, (one.host,))]
    governing = [
        vs for vs in snapshot.virtual_services if imports(sidecar, namespace, vs["metadata"]["namespace"], hosts_of(vs))
    ]
    wanted = {host for vs in governing for host in _destinations(vs)}
    extra = [one for one in services if one.host in wanted and one not in seen]
    return dataclasses.replace(snapshot, services=seen, virtual_services=governing, extra=extra)


def _exported(service: Service, namespace: str) -> bool:
    to = service.export_to
    return "*" in to or namespace in to or ("." in to and namespace == service.namespace)


def _destinations(vs: Object) -> Iterable[str]:
    for http in vs["spec"].get("http") or ():
        mirrors = [http["mirror"]] if http.get("mirror") else [one["destination"] for one in http.get("mirrors") or ()]
        for where in (*(one["destination"] for one in http.get("route") or ()), *mirrors):
            yield resolve_host(where["host"], vs["metadata"]["namespace"])
