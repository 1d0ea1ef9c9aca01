"""All configuration of one proxy."""

from __future__ import annotations

from typing import Any

from chaos.lab.istio import ingress
from chaos.lab.istio.clusters import clusters
from chaos.lab.istio.listeners import listeners, route_headers
from chaos.lab.istio.outbound import outbound_routes
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.scope import scoped
from chaos.lab.istio.snapshot import Snapshot
from chaos.lab.istio.xds import Kind


def translate(proxy: Proxy, snapshot: Snapshot) -> dict[Kind, list[dict[str, Any]]]:
    """Envoy's resources by kind; its secrets are the control plane's own business."""
    whole, snapshot = snapshot, scoped(proxy, snapshot)
    if proxy.kind == "sidecar":
        routes = [outbound_routes(proxy, snapshot)]
    else:
        routes = [r for port in ingress.ports(proxy, snapshot) for r in ingress.ingress_routes(proxy, snapshot, port)]
    return {
        "clusters": clusters(proxy, snapshot, whole=whole),
        "routes": [{**route, **route_headers(proxy)} for route in routes],
        "listeners": listeners(proxy, snapshot),
    }
