"""What of the mesh a proxy knows: ``exportTo`` of services, and Sidecars (istiod ``pilot/pkg/model/sidecar.go``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from chaos.lab.istio.peer_authentication import ROOT_NAMESPACE
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Service, Snapshot
from chaos.model.istio import Object, age_key, host_matches, hosts_of, resolve_host


def scoped(proxy: Proxy, snapshot: Snapshot) -> Snapshot:
    """The snapshot as a proxy sees it; ``extra`` has the services that it only needs clusters of."""
    sidecar = sidecar_of(proxy, snapshot.sidecars) if proxy.kind == "sidecar" else None
    key = ("scoped", proxy.namespace, sidecar["metadata"]["uid"] if sidecar else None)
    return snapshot.once(key, lambda: _scoped(proxy.namespace, sidecar, snapshot))


def _scoped(namespace: str, sidecar: Object | None, snapshot: Snapshot) -> Snapshot:
    services = [service for service in snapshot.services if _exported(service, namespace)]
    if sidecar is None or not sidecar["spec"].get("egress"):
        return dataclasses.replace(snapshot, services=services)
    entries = [entry.split("/", 1) for listener in sidecar["spec"]["egress"] for entry in listener["hosts"]]
    home = sidecar["metadata"]["namespace"]
    if home == ROOT_NAMESPACE:
        home = namespace  # `.` of the mesh's default is each workload's own namespace
    seen = [one for one in services if _listed(entries, home, one.namespace, (one.host,))]
    governing = [
        vs for vs in snapshot.virtual_services if _listed(entries, home, vs["metadata"]["namespace"], hosts_of(vs))
    ]
    wanted = {host for vs in governing for host in _destinations(vs)}
    extra = [one for one in services if one.host in wanted and one not in seen]
    return dataclasses.replace(snapshot, services=seen, virtual_services=governing, extra=extra)


def sidecar_of(proxy: Proxy, sidecars: Sequence[Object]) -> Object | None:
    """The Sidecar of a workload: by its labels, else its namespace's, else the mesh's; the oldest of several."""
    own = sorted((one for one in sidecars if one["metadata"]["namespace"] == proxy.namespace), key=age_key)
    root = sorted((one for one in sidecars if one["metadata"]["namespace"] == ROOT_NAMESPACE), key=age_key)
    by_labels = [one for one in own if _labels(one) and _labels(one).items() <= proxy.labels.items()]
    for found in (by_labels, [one for one in own if not _labels(one)], [one for one in root if not _labels(one)]):
        if found:
            return found[0]
    return None


def _labels(sidecar: Object) -> Mapping[str, str]:
    return (sidecar["spec"].get("workloadSelector") or {}).get("labels") or {}


def _exported(service: Service, namespace: str) -> bool:
    to = service.export_to
    return "*" in to or namespace in to or ("." in to and namespace == service.namespace)


def _listed(entries: Iterable[Sequence[str]], home: str, namespace: str, hosts: Sequence[str]) -> bool:
    for where, pattern in entries:
        if where == "~" or (where != "*" and (home if where == "." else where) != namespace):
            continue
        if pattern == "*" or any(_covers(pattern, host) for host in hosts):
            return True
    return False


def _covers(pattern: str, host: str) -> bool:
    """Either may be a wildcard: a VirtualService's host ``*.shop`` is of interest to who lists ``a.shop``."""
    return pattern == host or host_matches(pattern, host) or host_matches(host, pattern)


def _destinations(vs: Object) -> Iterable[str]:
    for http in vs["spec"].get("http") or ():
        mirrors = [http["mirror"]] if http.get("mirror") else [one["destination"] for one in http.get("mirrors") or ()]
        for where in (*(one["destination"] for one in http.get("route") or ()), *mirrors):
            yield resolve_host(where["host"], vs["metadata"]["namespace"])
