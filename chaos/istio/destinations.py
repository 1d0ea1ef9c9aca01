"""To which hosts requests to a host are sent: Istio's metrics have the one that a route chose, not the one that was called. Pure.

``destination_service`` is of the chosen cluster (istio/proxy ``istio_stats.cc`` populateDestination). A canary that is split over
two Services is counted under both their names, and maybe never under that of the Service that its callers know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from chaos.istio.delegates import merged
from chaos.istio.exports import Object
from chaos.istio.governing import LEGACY_PORT, Mesh
from chaos.istio.hosts import host_matches, other_names, overlap, resolve_host, service_of
from chaos.istio.registry import Service
from chaos.istio.routing import followed
from chaos.istio.sidecars import selected_by
from chaos.istio.virtual_services import (
    MESH,
    delegates_of,
    gateways_of,
    hosts_of,
    http_routes,
    is_for_proxy,
    sent_to,
    title,
)
from chaos.istio.workloads import Workload

Labels = Mapping[str, str]


def destinations(
    host: str, mesh: Mesh, *, namespaces: Collection[str], workloads: Iterable[Workload] = ()
) -> tuple[str, ...]:
    """The registry hosts to which requests to a host may be sent, whoever calls: itself first, then those of governing routes.

    A destination without weight gets nothing; copies (``mirror``) are no requests of the caller's. Whose labels are not
    known may have any that a source selector or a Sidecar asks for.

    Args:
        host: As the registry has it.
        mesh: What decides who governs.
        namespaces: Where callers may be.
        workloads: Callers whose labels are known.
    """
    found = {host}
    for name in (host, *_alias_of(host, mesh)):
        found.add(name)
        about = _about(name, mesh)
        if about.virtual_services:
            found.update(_of_gateways(name, about))
            for namespace, labels in _callers(about, namespaces, workloads):
                for port in about.ports:
                    for called in _names(name):
                        found |= chosen(about, called, namespace, labels, port)
    for one in tuple(found):
        found.update(_alias_of(one, mesh))
    return (host, *sorted(found - {host}))


def chosen(mesh: Mesh, name: str, namespace: str, labels: Labels, port: int) -> frozenset[str]:
    """To which hosts the sidecar of a workload sends requests to a name at a port; none where it does not know the name."""
    found = mesh.virtual_host(name, namespace, labels, port)
    if found is None:
        return frozenset()
    if found.governor is None:
        return frozenset({found.host})
    owner = found.governor["metadata"]["namespace"]
    own = [_of(route, namespace, labels, port) for route in http_routes(found.governor)]
    routes = followed([route for route in own if route["match"]], namespace)
    return frozenset(resolve_host(one["host"], owner) for route in routes for one in sent_to(route))


def _of(route: Mapping[str, Any], namespace: str, labels: Labels, port: int) -> Mapping[str, Any]:
    """A route with those of its matches that are for a workload's requests to a port, without asking for either again."""
    blocks = [
        {key: value for key, value in block.items() if key not in ("sourceLabels", "port")}
        for block in route.get("match") or [{}]
        if is_for_proxy(block, labels=labels, namespace=namespace, port=port)
    ]
    return {**route, "match": blocks}


def leading_to(host: str, virtual_services: Iterable[Object]) -> Iterator[tuple[Object, tuple[str, ...]]]:
    """The VirtualServices of other hosts whose routes send requests to this one, each with all hosts of such a route.

    A part that has no weight now may get some at any time.
    """
    for vs in merged(list(virtual_services)):
        owner, own = vs["metadata"]["namespace"], hosts_of(vs)
        by_itself = host in own or (MESH in gateways_of(vs) and any(host_matches(one, host) for one in own))
        for route in http_routes(vs) if not by_itself else ():
            parts = tuple(resolve_host(one["destination"]["host"], owner) for one in route.get("route") or ())
            if host in parts:
                yield vs, tuple(dict.fromkeys(parts))


def _about(host: str, mesh: Mesh) -> Mesh:
    """The part of a mesh that decides about one host; where the registry's Service is not known, it may have any port."""
    names = _names(host)
    concerned = [
        vs for vs in mesh.virtual_services if any(host_matches(own, name) for own in hosts_of(vs) for name in names)
    ]
    whole = {title(vs) for vs in concerned}
    whole |= {f"{namespace}/{name}" for vs in concerned for namespace, name in delegates_of(vs)}
    own = [one for one in mesh.services if overlap(one.host, host)]
    return replace(
        mesh,
        services=own or (_assumed(host, concerned),),
        virtual_services=[vs for vs in mesh.virtual_services if title(vs) in whole],
    )


def _names(host: str) -> tuple[str, ...]:
    """A host and its other names that VirtualServices may have for hosts of their own."""
    return (host, *other_names(host, ""))


def _assumed(host: str, virtual_services: Iterable[Object]) -> Service:
    """A Service that nobody may read, at the ports that its VirtualServices speak of."""
    namespace, name = service_of(host) or ("", host)
    blocks = (block for vs in virtual_services for route in http_routes(vs) for block in route.get("match") or ())
    ports = {LEGACY_PORT, *(block["port"] for block in blocks if block.get("port"))}
    return Service(host=host, namespace=namespace, name=name, http=dict.fromkeys(ports, True))


def _callers(about: Mesh, namespaces: Collection[str], workloads: Iterable[Workload]) -> Iterator[tuple[str, Labels]]:
    """Whoever may call, as far as it matters: where workloads agree in what routes and Sidecars ask for, so do their routes."""
    blocks = (block for vs in about.virtual_services for route in http_routes(vs) for block in route.get("match") or ())
    asked = [{}, *(block.get("sourceLabels") or {} for block in blocks), *map(selected_by, about.sidecars)]
    distinct = {tuple(sorted(labels.items())): labels for labels in asked}
    for namespace in namespaces:
        yield from ((namespace, labels) for labels in distinct.values())
    yield from ((one.namespace, one.labels) for one in workloads if not one.gateway)


def _of_gateways(host: str, about: Mesh) -> Iterator[str]:
    """Where gateways send requests to just this host."""
    for vs in about.virtual_services:
        if host in hosts_of(vs) and set(gateways_of(vs)) != {MESH}:
            owner = vs["metadata"]["namespace"]
            yield from (resolve_host(one["host"], owner) for route in http_routes(vs) for one in sent_to(route))


def _alias_of(host: str, mesh: Mesh) -> tuple[str, ...]:
    """The host of which an ExternalName is another name: requests to it are counted there (from Istio 1.21 on)."""
    return tuple(one.alias_of for one in mesh.services if one.host == host and one.alias_of)
