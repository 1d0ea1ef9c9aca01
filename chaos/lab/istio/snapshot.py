"""The objects that decide what proxies do, at one moment."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from chaos.istio import registry
from chaos.istio.destination_rules import DestinationRules
from chaos.istio.exports import Object
from chaos.istio.governing import Mesh
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.ports import HTTP2, may_be_http

T = TypeVar("T")


@dataclass(frozen=True)
class Port:
    """A Service's port; its protocol is ``None`` where it is detected from the traffic."""

    number: int
    name: str
    protocol: str | None

    @property
    def is_http(self) -> bool:
        """Whether HTTP routes apply to it."""
        return may_be_http(self.protocol)

    @property
    def is_detected(self) -> bool:
        """Whether what it speaks is detected from the traffic."""
        return self.protocol is None

    @property
    def is_http2(self) -> bool:
        """Spoken to in HTTP/2."""
        return self.protocol in HTTP2


@dataclass(frozen=True)
class Endpoint:
    """One address behind a Service's port, with the labels of its pod.

    Attributes:
        identity: What its metrics name it.
        uri: Its SPIFFE id; empty for what has none.
        mutual: Whether its proxy takes mutual TLS at this port.
        hostname: By which it is asked for itself: ``web-0`` in ``web-0.web``.
    """

    ip: str
    port: int
    labels: Mapping[str, str]
    identity: Mapping[str, str]
    uri: str = ""
    mutual: bool = False
    weight: int = 1
    hostname: str = ""


@dataclass(frozen=True)
class Service:
    """A Kubernetes Service, or a host of a ServiceEntry.

    Attributes:
        registered: As Istio's registry has it.
        ports: All, or those that a proxy knows.
        endpoints: By port number.
        external: Whether it is outside the mesh (``MESH_EXTERNAL``, a ServiceEntry's default).
    """

    registered: registry.Service
    ports: tuple[Port, ...]
    endpoints: Mapping[int, tuple[Endpoint, ...]]
    external: bool = False

    @property
    def host(self) -> str:
        """Its registry name."""
        return self.registered.host

    @property
    def name(self) -> str:
        """Of the Kubernetes Service; a ServiceEntry's is the host."""
        return self.registered.name

    @property
    def namespace(self) -> str:
        """The namespace of the object that it comes from."""
        return self.registered.namespace

    @property
    def headless(self) -> bool:
        """Whether it is a Kubernetes Service without an address of its own."""
        return self.registered.headless


@dataclass(frozen=True)
class Snapshot:
    """Everything, in no particular order, or the part of it that one proxy knows.

    Attributes:
        extra: Services that a proxy needs clusters of, but no hosts.
        whole: What this is a part of.
    """

    services: Sequence[Service] = ()
    virtual_services: Sequence[Object] = ()
    destination_rules: DestinationRules = field(default_factory=DestinationRules)
    gateways: Sequence[Object] = ()
    sidecars: Sequence[Object] = ()
    peer_authentications: Sequence[Object] = ()
    authorization_policies: Sequence[Object] = ()
    secrets: Sequence[Object] = ()
    extra: Sequence[Service] = ()
    whole: Snapshot | None = None

    @cached_property
    def mesh(self) -> Mesh:
        """What of the whole decides who governs which names."""
        if self.whole is not None:
            return self.whole.mesh
        return Mesh(
            services=registry.by_age(service.registered for service in self.services),
            virtual_services=self.virtual_services,
            sidecars=self.sidecars,
            root_namespace=ROOT_NAMESPACE,
        )

    @cached_property
    def by_host(self) -> Mapping[str, Service]:
        """The services by their registry names."""
        return {service.host: service for service in (*self.extra, *self.services)}

    @cached_property
    def _known(self) -> dict[Hashable, Any]:
        return {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` says, worked out once for all proxies that ask with the same key."""
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found

    @cached_property
    def _served(self) -> frozenset[tuple[str, str]]:
        known = (*self.services, *self.extra)
        return frozenset((service.host, str(port.number)) for service in known for port in service.ports)

    def has_cluster(self, name: str) -> bool:
        """Whether the service behind a cluster's name is there, and has its port."""
        _, port, _, host = name.split("|")
        return (host, port) in self._served

    def destination_rule(self, host: str, namespace: str) -> Object | None:
        """The rule that clients of a namespace follow for a host of the registry; none for any other host."""
        service = self.by_host.get(host)
        if service is None:
            return None
        found = self.destination_rules.for_client
        return self.once(("rule", host, namespace), lambda: found(namespace, host, home=service.namespace))
