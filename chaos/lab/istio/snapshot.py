"""The objects that decide what proxies do, at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chaos.model.istio import Object, age_key, host_matches, reach, resolve_host, service_fqdn

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

    @property
    def host(self) -> str:
        """Its registry name."""
        return self.host_name or service_fqdn(self.name, self.namespace)


@dataclass(frozen=True)
class Snapshot:
    """Everything, in no particular order; ``extra`` are services that a proxy needs clusters of, but no hosts."""

    services: Sequence[Service] = ()
    virtual_services: Sequence[Object] = ()
    destination_rules: Sequence[Object] = ()
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

    def destination_rule(self, host: str, namespace: str) -> Object | None:
        """The rule for a host that clients of a namespace follow: of their own namespace, then of the service's, then any.

        istiod ``pilot/pkg/model/push_context.go`` destinationRule; the most specific host first, the oldest of several.
        """
        found = [
            rule
            for rule in self.destination_rules
            if host_matches(resolve_host(rule["spec"]["host"], rule["metadata"]["namespace"]), host)
            and reach(rule, namespace) is not None
        ]
        service = self.by_host.get(host)
        home = service.namespace if service else ""

        def rank(rule: Object) -> tuple[int, bool, tuple[str, str, str]]:
            owner = rule["metadata"]["namespace"]
            near = 0 if owner == namespace else 1 if owner == home else 2
            return near, rule["spec"]["host"].startswith("*"), age_key(rule)

        return min(found, key=rank, default=None)


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
