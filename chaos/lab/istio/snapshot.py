"""The objects that decide what proxies do, at one moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from chaos.istio.hosts import host_matches, service_fqdn
from chaos.istio.virtual_services import MESH, Object, gateways_of, hosts_of, order_for_namespace
from chaos.lab.istio.destination_rules import DestinationRules

T = TypeVar("T")
HTTP_PROTOCOLS = ("http", "http2", "grpc", "grpc-web", "h2c")


@dataclass(frozen=True)
class Port:
    """A Service's port."""

    number: int
    name: str
    protocol: str

    @property
    def is_http(self) -> bool:
        """HTTP by name or appProtocol, or to be detected from the traffic."""
        return self.protocol in HTTP_PROTOCOLS or not self.protocol

    @property
    def is_detected(self) -> bool:
        """Whether what it speaks is detected from the traffic."""
        return not self.protocol

    @property
    def is_http2(self) -> bool:
        """Spoken to in HTTP/2."""
        return self.protocol in ("http2", "grpc", "grpc-web", "h2c")


@dataclass(frozen=True)
class Endpoint:
    """One address behind a Service's port, with the labels of its pod.

    Attributes:
        identity: What its metrics name it.
        uri: Its SPIFFE id; empty for what has none.
        mutual: Whether its proxy takes mutual TLS at this port.
    """

    ip: str
    port: int
    labels: Mapping[str, str]
    identity: Mapping[str, str]
    uri: str = ""
    mutual: bool = False
    weight: int = 1


@dataclass(frozen=True)
class Service:
    """A Kubernetes Service, or a host of a ServiceEntry, as Istio's registry has it."""

    name: str
    namespace: str
    address: str
    ports: tuple[Port, ...]
    endpoints: Mapping[int, tuple[Endpoint, ...]]
    host_name: str = ""
    export_to: tuple[str, ...] = ("*",)
    external: bool = False
    """Whether it is outside the mesh (``MESH_EXTERNAL``, a ServiceEntry's default)."""

    @cached_property
    def host(self) -> str:
        """Its registry name."""
        return self.host_name or service_fqdn(self.name, self.namespace)

    @property
    def headless(self) -> bool:
        """Whether it is a Kubernetes Service without an address of its own."""
        return self.address == "None"


@dataclass(frozen=True)
class Seen:
    """The mesh's VirtualServices that sidecars of one namespace consider, in istiod's order."""

    virtual_services: Sequence[Object]

    @cached_property
    def _exact(self) -> Mapping[str, Sequence[Object]]:
        found: dict[str, list[Object]] = {}
        for vs in self.virtual_services:
            for host in hosts_of(vs):
                if not host.startswith("*"):
                    found.setdefault(host, []).append(vs)
        return found

    @cached_property
    def _wild(self) -> Mapping[str, Object]:
        """By wildcard the first VirtualService that has it."""
        pairs = [(host, vs) for vs in self.virtual_services for host in hosts_of(vs) if host.startswith("*")]
        return dict(reversed(pairs))

    @cached_property
    def _selectors(self) -> Sequence[Mapping[str, str]]:
        """The different ``sourceLabels`` of their routes."""
        routes = [http for vs in self.virtual_services for http in vs["spec"].get("http") or ()]
        found = [block.get("sourceLabels") for http in routes for block in http.get("match") or ()]
        return tuple({tuple(sorted(one.items())): one for one in found if one}.values())

    def selecting(self, labels: Mapping[str, str]) -> tuple[bool, ...]:
        """Which of the source selectors select a workload; where two agree in this, so do their routes."""
        return tuple(wanted.items() <= labels.items() for wanted in self._selectors)

    def naming(self, hosts: Collection[str]) -> list[Object]:
        """Those that have one of these hosts of the registry, or a wildcard for it (istiod selectVirtualServices)."""
        named = {id(vs) for host in hosts for vs in self._exact.get(host, ())}
        wild = [pattern for pattern in self._wild if any(host_matches(pattern, host) for host in hosts)]
        return [
            vs for vs in self.virtual_services if id(vs) in named or any(pattern in hosts_of(vs) for pattern in wild)
        ]

    def most_specific(self, host: str) -> Object | None:
        """The VirtualService of the host itself, else of the longest wildcard; the first of several.

        istiod ``pilot/pkg/model/sidecar.go`` computeWildcardHostVirtualServiceIndex.
        """
        if host in self._exact:
            return self._exact[host][0]
        fitting = [pattern for pattern in self._wild if host_matches(pattern, host)]
        return self._wild[max(fitting, key=len)] if fitting else None


@dataclass(frozen=True)
class Snapshot:
    """Everything, in no particular order; ``extra`` are services that a proxy needs clusters of, but no hosts."""

    services: Sequence[Service] = ()
    virtual_services: Sequence[Object] = ()
    destination_rules: DestinationRules = field(default_factory=DestinationRules)
    gateways: Sequence[Object] = ()
    sidecars: Sequence[Object] = ()
    peer_authentications: Sequence[Object] = ()
    authorization_policies: Sequence[Object] = ()
    secrets: Sequence[Object] = ()
    extra: Sequence[Service] = ()

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

    def seen_from(self, namespace: str) -> Seen:
        """What sidecars of a namespace consider."""

        def make() -> Seen:
            ordered = order_for_namespace(self.virtual_services, namespace)
            return Seen([vs for vs in ordered if MESH in gateways_of(vs)])

        return self.once(("seen", namespace), make)

    def destination_rule(self, host: str, namespace: str) -> Object | None:
        """The rule that clients of a namespace follow for a host of the registry; none for any other host."""
        service = self.by_host.get(host)
        if service is None:
            return None
        found = self.destination_rules.for_client
        return self.once(("rule", host, namespace), lambda: found(namespace, host, home=service.namespace))


def protocol_of(port: Mapping[str, Any]) -> str:
    """A port's protocol by ``appProtocol`` or by the prefix of its name; empty: detected from the traffic."""
    if port.get("appProtocol"):
        return str(port["appProtocol"]).lower().removeprefix("kubernetes.io/")
    known = {*HTTP_PROTOCOLS, "https", "tls", "tcp", "udp", "mongo", "mysql", "redis"}
    name = str(port.get("name") or "")
    for prefix in ("grpc-web", name.partition("-")[0].lower()):
        if prefix in known and (name == prefix or name.startswith(f"{prefix}-")):
            return prefix
    return ""
