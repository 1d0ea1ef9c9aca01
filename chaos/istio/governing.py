"""Which VirtualService governs which names for a proxy, at a port. Pure.

Sources: istiod ``pilot/pkg/networking/core/httproute.go`` (BuildSidecarOutboundVirtualHosts: which names, and that the
first that has one keeps it), ``pilot/pkg/networking/core/route/route.go`` (BuildSidecarVirtualHostWrapper,
separateVSHostsAndServices), ``pilot/pkg/model/sidecar.go`` (convertIstioListenerToWrapper,
computeWildcardHostVirtualServiceIndex). Compared with what that code answered: ``tests/contract/test_istio_answers_governing.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chaos.istio.delegates import merged
from chaos.istio.exports import PUBLIC, Object
from chaos.istio.hosts import is_wildcard, other_names, overlap
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.registry import Service, exported_to, one_of_each_host
from chaos.istio.sidecars import Imports, imports_of, listener_for, listeners_of, sidecar_of
from chaos.istio.virtual_services import (
    MESH,
    gateways_of,
    has_route_for,
    hosts_of,
    order_for_namespace,
    written_hosts_of,
)

LEGACY_PORT = 80
"""Where a VirtualService has routes for all of its hosts, whether or not the registry has them at this port."""


@dataclass(frozen=True)
class VirtualHost:
    """Names that are routed alike.

    Attributes:
        host: As the registry or the VirtualService has it.
        domains: What clients may ask for.
        governor: The VirtualService whose routes they get; ``None``: they go to the service.
        service: The registry's, where the host is one.
    """

    host: str
    domains: tuple[str, ...]
    governor: Object | None
    service: Service | None


class Listener:
    """What one egress listener knows, and so all that decides about the requests that it takes.

    Attributes:
        virtual_services: Those for sidecars, in istiod's order.
        services: Those of the registry, one for each host.
        port: The one port of services that it takes; ``None`` for all.
    """

    def __init__(
        self, virtual_services: Sequence[Object], services: Sequence[Service], *, port: int | None = None
    ) -> None:
        self.virtual_services = virtual_services
        self.services = services
        self.port = port
        self._hosts = [hosts_of(vs) for vs in virtual_services]
        self._wild = [index for index, hosts in enumerate(self._hosts) if any(map(is_wildcard, hosts))]
        self._by_host: dict[str, list[int]] = {}
        for index, hosts in enumerate(self._hosts):
            for host in hosts:
                self._by_host.setdefault(host, []).append(index)
        blocks = (
            block
            for vs in virtual_services
            for route in vs.get("spec", {}).get("http") or ()
            for block in route.get("match") or ()
        )
        distinct = {
            tuple(sorted(labels.items())): labels for block in blocks if (labels := block.get("sourceLabels") or {})
        }
        self._selectors = tuple(distinct.values())

    def selecting(self, labels: Mapping[str, str]) -> tuple[bool, ...]:
        """Which of the VirtualServices' source selectors select a workload; where two agree in this, so do their routes."""
        return tuple(wanted.items() <= labels.items() for wanted in self._selectors)

    def virtual_hosts(self, namespace: str, labels: Mapping[str, str], port: int) -> Iterator[VirtualHost]:
        """The names that a sidecar knows at a port; a name is in one of them only."""
        registry = {one.host.lower(): one.in_lower_case() for one in self.services if port in one.http}
        taken: set[str] = set()
        governed: set[str] = set()
        made: list[tuple[str, Object | None, Service | None]] = []
        for index in self._concerned(registry, port):
            vs = self.virtual_services[index]
            if not has_route_for(vs, labels=labels, namespace=namespace, port=port):
                continue
            others, services = self._split(index, registry)
            speaking = [one for one in services if one.http[port]]
            if not speaking and port != LEGACY_PORT:
                continue
            made += [(host, vs, None) for host in others]
            made += [(one.host, vs, one) for one in speaking]
            governed.update(one.host for one in speaking)
        made += [(one.host, None, one) for host, one in registry.items() if one.http[port] and host not in governed]
        known = {host for host, _, service in made if service is not None}
        seen: set[str] = set()
        for host, governor, service in made:
            if host in seen:
                continue
            seen.add(host)
            names = (host,) if service is None else domains_of(service, namespace, known)
            own = tuple(name for name in names if name not in taken)
            taken.update(own)
            if own:
                yield VirtualHost(host, own, governor, service)

    def _concerned(self, registry: Mapping[str, Service], port: int) -> Sequence[int]:
        """The VirtualServices that may have a say at a port, in order; but at port 80, those for a host of the registry."""
        if port == LEGACY_PORT:
            return range(len(self.virtual_services))
        found = {index for host in registry for index in self._by_host.get(host, ())}
        wild_services = [host for host in registry if is_wildcard(host)]
        for index in self._wild:
            wild = [host for host in self._hosts[index] if is_wildcard(host)]
            if any(overlap(pattern, host) for pattern in wild for host in registry):
                found.add(index)
        if wild_services:
            for host, indices in self._by_host.items():
                if any(overlap(host, wild) for wild in wild_services):
                    found.update(indices)
        return sorted(found)

    def _split(self, index: int, registry: Mapping[str, Service]) -> tuple[list[str], list[Service]]:
        """The hosts of a VirtualService that the registry does not have, and the services for which it is the one."""
        others: list[str] = []
        services: list[Service] = []
        for host in self._hosts[index]:
            if not is_wildcard(host):
                if host in registry:
                    services.append(registry[host])
                else:
                    others.append(host)
        for host in filter(is_wildcard, self._hosts[index]):
            covered = [one for name, one in registry.items() if overlap(name, host)]
            services += [one for one in covered if self._most_specific.get(one.host) == index]
            if not covered:
                others.append(host)
        return others, services

    @cached_property
    def _most_specific(self) -> Mapping[str, int]:
        """By a service's host, the first VirtualService with the host that fits best, whether or not it has routes."""
        first: dict[str, int] = {}
        for index, vs in enumerate(self.virtual_services):
            for host in written_hosts_of(vs):
                first.setdefault(host, index)
        wild = sorted(filter(is_wildcard, first), key=lambda host: (-len(host), host))
        found: dict[str, int] = {}
        for service in self.services:
            needle = service.host.removeprefix("*")
            best = next((host for host in wild if needle.endswith(host[1:])), None)
            if service.host in first:
                found[service.host] = first[service.host]
            elif best is not None:
                found[service.host] = first[best]
        return found


def domains_of(service: Service, namespace: str, known: Collection[str]) -> list[str]:
    """What clients of a namespace may call a service (generateVirtualHostDomains).

    Another name of it that is a ``known`` host of the registry is that one's.
    """
    others = other_names(service.host, namespace)
    pods = [f"*.{name}" for name in (service.host, *others)] if service.headless else []
    return [service.host, *(name for name in others if name not in known), *pods, *service.addresses]


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """All that decides who governs which names.

    Attributes:
        services: Of the registry (``chaos.istio.registry.registered``).
        virtual_services: All, delegates among them.
        sidecars: All.
        default_export: What ``exportTo`` of a VirtualService is where it has none.
        root_namespace: Whose Sidecar is the default of all namespaces.
    """

    services: Sequence[Service] = ()
    virtual_services: Sequence[Object] = ()
    sidecars: Sequence[Object] = ()
    default_export: tuple[str, ...] = PUBLIC
    root_namespace: str = ROOT_NAMESPACE

    @cached_property
    def ports(self) -> Collection[int]:
        """The ports at which anybody may be governed."""
        return sorted({LEGACY_PORT, *(port for one in self.services for port in one.http)})

    def listener(self, namespace: str, labels: Mapping[str, str], port: int) -> Listener | None:
        """The egress listener that a workload's requests to a port go through; ``None`` where its Sidecar has none."""
        chosen = listener_for(self._sidecar_of(namespace, labels), port)
        return None if chosen is None else self._made(namespace, chosen)

    def listeners(self, namespace: str, sidecar: Object | None) -> Sequence[Listener]:
        """All egress listeners of the workloads of a namespace that have this Sidecar."""
        return [self._made(namespace, one) for one in listeners_of(sidecar)]

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> Hashable:
        """What of a workload's labels decides about its routes; where two of a namespace agree in this, so do these."""
        listeners = self.listeners(namespace, self._sidecar_of(namespace, labels))
        return tuple((id(one), one.selecting(labels)) for one in listeners)

    def virtual_hosts(self, namespace: str, labels: Mapping[str, str], port: int) -> Sequence[VirtualHost]:
        """What a workload's sidecar knows at a port; each name is in one of them only."""
        listener = self.listener(namespace, labels, port)
        if listener is None:
            return ()
        key = (namespace, id(listener), listener.selecting(labels), port)
        if key not in self._tables:
            self._tables[key] = tuple(listener.virtual_hosts(namespace, labels, port))
        return self._tables[key]

    def virtual_host(self, name: str, namespace: str, labels: Mapping[str, str], port: int) -> VirtualHost | None:
        """How a workload's sidecar routes requests to a name; ``None`` where it does not know exactly this one there."""
        return next((one for one in self.virtual_hosts(namespace, labels, port) if name in one.domains), None)

    def visible_to(self, namespace: str) -> Sequence[Service]:
        """The services that are exported to a namespace, one for each host, whatever Sidecars import."""
        return one_of_each_host(exported_to(self.services, namespace), namespace)

    def _sidecar_of(self, namespace: str, labels: Mapping[str, str]) -> Object | None:
        return sidecar_of(labels, namespace, self.sidecars, root=self.root_namespace)

    def _made(self, namespace: str, listener: Mapping[str, Any]) -> Listener:
        key = (namespace, id(listener))
        if key not in self._listeners:
            self._listeners[key] = self._listener(namespace, imports_of(listener, namespace))
        return self._listeners[key]

    def _listener(self, namespace: str, imports: Imports) -> Listener:
        return Listener(
            [
                vs
                for vs in self._seen_from(namespace)
                if imports.virtual_service(vs["metadata"]["namespace"], written_hosts_of(vs))
            ],
            one_of_each_host(
                [
                    one
                    for one in exported_to(self.services, namespace)
                    if imports.service(one.namespace, one.host) and (imports.port is None or imports.port in one.http)
                ],
                namespace,
            ),
            port=imports.port,
        )

    def _seen_from(self, namespace: str) -> Sequence[Object]:
        if namespace not in self._seen:
            self._seen[namespace] = order_for_namespace(self._for_sidecars, namespace, default=self.default_export)
        return self._seen[namespace]

    @cached_property
    def _for_sidecars(self) -> Sequence[Object]:
        return [vs for vs in merged(self.virtual_services, default=self.default_export) if MESH in gateways_of(vs)]

    @cached_property
    def _seen(self) -> dict[str, Sequence[Object]]:
        return {}

    @cached_property
    def _listeners(self) -> dict[tuple[str, int], Listener]:
        return {}

    @cached_property
    def _tables(self) -> dict[Hashable, Sequence[VirtualHost]]:
        return {}
