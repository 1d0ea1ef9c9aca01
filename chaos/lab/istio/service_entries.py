"""ServiceEntries as services of the registry (istiod ``pilot/pkg/serviceregistry/serviceentry/conversion.go``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaos.istio.exports import Object
from chaos.istio.ports import protocol_named
from chaos.istio.registry import of_entry
from chaos.lab.istio.snapshot import Endpoint, Port, Service

_LOOPBACK = "127.0.0.1"


def services_of(entry: Object, pods: Sequence[Endpoint] = ()) -> Iterator[Service]:
    """A service for each of its hosts.

    Args:
        entry: The ServiceEntry.
        pods: What its ``workloadSelector`` selects: the port of each is filled in.
    """
    spec = entry["spec"]
    listed = spec.get("ports") or ()
    ports = tuple(Port(one["number"], one["name"], protocol_named(one.get("protocol") or "")) for one in listed)
    for registered in of_entry(entry):
        yield Service(
            registered,
            ports,
            endpoints={one["number"]: tuple(_endpoints(spec, one, pods)) for one in listed},
            external=spec.get("location", "MESH_EXTERNAL") == "MESH_EXTERNAL",
        )


def _endpoints(spec: Mapping[str, Any], port: Mapping[str, Any], pods: Sequence[Endpoint]) -> Iterator[Endpoint]:
    target = port.get("targetPort") or port["number"]
    for pod in pods:
        yield Endpoint(pod.ip, target, pod.labels, pod.identity, uri=pod.uri, mutual=pod.mutual)
    for one in spec.get("endpoints") or ():
        number = (one.get("ports") or {}).get(port["name"], target)
        address = _LOOPBACK if one["address"].startswith("localhost") else one["address"]
        yield Endpoint(address, number, one.get("labels") or {}, {}, weight=one.get("weight") or 1)
    if spec.get("resolution", "").startswith("DNS") and not spec.get("endpoints"):
        yield Endpoint(_LOOPBACK, target, {}, {})
