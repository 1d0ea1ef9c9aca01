"""Services as the lab's control plane has them."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.istio.registry import of_kubernetes
from chaos.lab.istio.snapshot import Endpoint, Port, Service


def lab_service(
    name: str, ports: tuple[Port, ...], endpoints: Mapping[int, tuple[Endpoint, ...]], *, namespace: str = "staging"
) -> Service:
    """A Kubernetes Service with an address, whose ports' names say what they speak."""
    spec = {"clusterIP": "10.96.0.1", "ports": [{"port": port.number, "name": port.name} for port in ports]}
    return Service(of_kubernetes({"metadata": {"name": name, "namespace": namespace}, "spec": spec}), ports, endpoints)
