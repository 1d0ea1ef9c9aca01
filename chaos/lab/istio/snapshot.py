"""The objects that decide what proxies do, at one moment."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
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
    """The mesh's VirtualServices that sidecars of one namespace consider, by host, each in istiod's order."""

    exact: Mapping[str, Sequence[Object]]
    wildcards: Sequence[tuple[Object, Sequence[str]]]
    selectors: Sequence[Mapping[str, str]]
    """The different ``sourceLabels`` of their routes."""

    def selecting(self, labels: Mapping[str, str]) -> tuple[bool, ...]:
        """Which of the source selectors select a workload; where two agree in this, so do their routes."""
        return tuple(wanted.items() <= labels.items() for wanted in self.selectors)

    def for_host(self, host: str) -> Sequence[Object]:
        """Those for a host: exact ones before wildcards, and the longest wildcard first."""
        wild = [(max(map(len, hits)), vs) for vs, own in self.wildcards if (hits := _matching(own, host))]
        return [*self.exact.get(host, ()), *(vs for _, vs in sorted(wild, key=lambda pair: -pair[0]))]


def _seen(virtual_services: Sequence[Object], namespace: str) -> Seen:
    exact: dict[str, list[Object]] = {}
    wildcards = []
    selectors: list[Mapping[str, str]] = []
    for vs in order_for_namespace(virtual_services, namespace):
        if MESH not in gateways_of(vs):
            continue
        blocks = [block for http in vs["spec"].get("http") or () for block in http.get("match") or ()]
        selectors += [block["sourceLabels"] for block in blocks if block.get("sourceLabels")]
        hosts = hosts_of(vs)
        for host in hosts:
            if "*" not in host:
                exact.setdefault(host, []).append(vs)
        wild = [host for host in hosts if host.startswith("*")]
        if wild:
            wildcards.append((vs, wild))
    distinct = {tuple(sorted(one.items())): one for one in selectors}
    return Seen(exact, wildcards, tuple(distinct.values()))


def _matching(patterns: Sequence[str], host: str) -> list[str]:
    return [pattern for pattern in patterns if host_matches(pattern, host)]


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
        return self.once(("seen", namespace), lambda: _seen(self.virtual_services, namespace))

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
