"""All configuration of one proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.lab.istio import ingress
from chaos.lab.istio.clusters import clusters
from chaos.lab.istio.listeners import listeners, route_headers
from chaos.lab.istio.outbound import outbound_routes
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Snapshot

_TYPE = "type.googleapis.com/envoy.config."


def translate(proxy: Proxy, snapshot: Snapshot) -> Mapping[str, list[dict[str, Any]]]:
    """Envoy's resources by kind: ``cds``, ``rds`` and, of a gateway, ``lds``, in the order in which they have to be written.

    Clusters come before the routes that lead to them, so that a change makes no 503 (istio/istio#8420).
    """
    clusters_ = [{"@type": f"{_TYPE}cluster.v3.Cluster", **cluster} for cluster in clusters(proxy, snapshot)]
    if proxy.kind == "sidecar":
        return {"cds": clusters_, "rds": [{**outbound_routes(proxy, snapshot), **route_headers(proxy)}]}
    routes = [ingress.ingress_routes(proxy, snapshot, port) for port in ingress.ports(proxy, snapshot)]
    return {
        "cds": clusters_,
        "rds": [{**route, **route_headers(proxy)} for route in routes],
        "lds": listeners(proxy, snapshot),
    }
