"""What the Gateway API's resources decide about requests to a service: routes for it, and its waypoint.

Sources: istiod ``pilot/pkg/config/kube/gateway`` (parent references of kind Service, Hostname and ServiceEntry),
``pilot/pkg/serviceregistry/kube/controller/ambient`` (which waypoint a service uses).
"""

from __future__ import annotations

from typing import Final

from chaos.istio.exports import Object
from chaos.istio.hosts import service_fqdn

WAYPOINT: Final = "istio.io/use-waypoint"
"""Label of a Service, or of its namespace, whose requests go through a waypoint."""
_NO_WAYPOINT: Final = "none"
_MESH_GROUPS: Final = ("", "core", "networking.istio.io")
"""API groups of a route's parents that stand for a service of the mesh: Service, and Istio's Hostname, ServiceEntry."""


def routes_service(route: Object, name: str, namespace: str) -> bool:
    """Whether an HTTPRoute or GRPCRoute is for the requests to a Service."""
    for parent in route.get("spec", {}).get("parentRefs") or ():
        kind, group = parent.get("kind", "Gateway"), parent.get("group", "gateway.networking.k8s.io")
        if kind == "Gateway" or group not in _MESH_GROUPS:
            continue
        home = parent.get("namespace") or route["metadata"]["namespace"]
        if parent.get("name") in (name, service_fqdn(name, namespace)) and (kind != "Service" or home == namespace):
            return True
    return False


def waypoint_of(service: Object | None, namespace: Object | None) -> str:
    """The waypoint that requests to a Service go through, by its own label or its namespace's; empty for none."""
    for obj in (service, namespace):
        named = str(((obj or {}).get("metadata", {}).get("labels") or {}).get(WAYPOINT) or "")
        if named:
            return "" if named == _NO_WAYPOINT else named
    return ""
