"""The services that istiod's registry has: Kubernetes' own, and hosts of ServiceEntries.

Sources: istiod ``pilot/pkg/serviceregistry/kube/conversion.go`` (ConvertService),
``pilot/pkg/serviceregistry/serviceentry/conversion.go`` (convertServices), ``pilot/pkg/model/push_context.go``
(initServiceRegistry, servicesExportedToNamespace), ``pilot/pkg/model/sidecar.go`` (selectServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chaos.istio.exports import PUBLIC, Object, Reach, export_of, export_of_service, reach_of
from chaos.istio.hosts import service_fqdn
from chaos.istio.ports import declared_protocol, may_be_http, protocol_named

_HEADLESS: Final = "None"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service of the registry.

    Attributes:
        http: By port number, whether HTTP routes apply to it: it is HTTP, or detected from the traffic.
        kubernetes: Whether it is a Kubernetes Service.
        addresses: What it answers to beside names.
        headless: Whether its pods are addressed one by one.
        created: RFC 3339; of several for one host, the oldest counts.
        alias_of: The host of which it is another name (ExternalName).
    """

    host: str
    namespace: str
    name: str
    http: Mapping[int, bool]
    export: Sequence[str] = PUBLIC
    kubernetes: bool = True
    addresses: Sequence[str] = ()
    headless: bool = False
    created: str = ""
    alias_of: str = ""

    def in_lower_case(self) -> Service:
        """The same with its host as it is routed (httproute.go BuildSidecarOutboundVirtualHosts)."""
        return self if self.host.islower() else replace(self, host=self.host.lower())


def registered(services: Iterable[Object], service_entries: Iterable[Object] = ()) -> tuple[Service, ...]:
    """The services that istiod makes of Kubernetes' objects, in the order in which it considers them: by age."""
    return by_age([*map(of_kubernetes, services), *(one for entry in service_entries for one in of_entry(entry))])


def by_age(services: Iterable[Service]) -> tuple[Service, ...]:
    """The services in the order in which istiod considers them (SortServicesByCreationTime)."""
    return tuple(sorted(services, key=lambda one: (one.created, one.name, one.namespace)))


def of_kubernetes(service: Object) -> Service:
    """What a Kubernetes Service is in the registry."""
    meta, spec = service["metadata"], service.get("spec") or {}
    address = str(spec.get("clusterIP") or "")
    return Service(
        host=service_fqdn(meta["name"], meta["namespace"]),
        namespace=meta["namespace"],
        name=meta["name"],
        http={  # the first of a number
            port["port"]: may_be_http(declared_protocol(port)) for port in reversed(spec.get("ports") or ())
        },
        export=export_of_service(service),
        addresses=(address,) if address not in ("", _HEADLESS) else (),
        headless=address == _HEADLESS,
        created=str(meta.get("creationTimestamp") or ""),
        alias_of=alias_of(service),
    )


def of_entry(entry: Object) -> Iterator[Service]:
    """What the hosts of a ServiceEntry are in the registry."""
    meta, spec = entry["metadata"], entry.get("spec") or {}
    for host in spec.get("hosts") or ():
        yield Service(
            host=host,
            namespace=meta["namespace"],
            name=host,
            http={
                port["number"]: may_be_http(protocol_named(port.get("protocol") or ""))
                for port in spec.get("ports") or ()
            },
            export=export_of(entry),
            kubernetes=False,
            addresses=tuple(spec.get("addresses") or ()),
            created=str(meta.get("creationTimestamp") or ""),
        )


def alias_of(service: Object | None) -> str:
    """What an ExternalName leads to; empty for any other Service."""
    spec = (service or {}).get("spec") or {}
    return str(spec.get("externalName") or "?") if spec.get("type") == "ExternalName" else ""


def exported_to(services: Iterable[Service], namespace: str) -> list[Service]:
    """The services that clients of a namespace may see: private ones, those exported to it, public ones."""
    found: dict[Reach, list[Service]] = {"private": [], "exported": [], "public": []}
    for service in services:
        kind = reach_of(service.export, service.namespace, namespace)
        if kind is not None:
            found[kind].append(service)
    return [one for kind in found.values() for one in kind]


def one_of_each_host(services: Sequence[Service], namespace: str) -> list[Service]:
    """Of services with one host, those of one namespace: the client's own, else a Kubernetes Service's, else the first."""
    chosen: dict[str, Service] = {}
    for one in services:
        best = chosen.get(one.host)
        if (
            best is None
            or one.namespace == namespace
            or (one.kubernetes and not best.kubernetes and best.namespace != namespace)
        ):
            chosen[one.host] = one
    return [one for one in services if chosen[one.host].namespace == one.namespace]
