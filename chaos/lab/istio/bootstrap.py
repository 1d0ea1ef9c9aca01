"""With what an Envoy starts: its admin, the port for Prometheus, and where its configuration comes from."""

from __future__ import annotations

from typing import Any

from chaos.lab.istio.listeners import listeners
from chaos.lab.istio.metrics import stats_config
from chaos.lab.istio.pieces import MANAGER_TYPE, ROUTER, address, endpoints, from_file
from chaos.lab.istio.proxy import ADMIN_PORT, STATS_PORT, Proxy
from chaos.lab.istio.snapshot import Snapshot


def bootstrap(proxy: Proxy) -> dict[str, Any]:
    """The bootstrap. Clusters and routes, and a gateway's listeners, follow from files in the proxy's directory.

    A sidecar's listeners never change: they are here.
    """
    from_files = {"cds_config": from_file(proxy, "cds")}
    if proxy.kind == "router":
        from_files["lds_config"] = from_file(proxy, "lds")
    own = listeners(proxy, Snapshot()) if proxy.kind == "sidecar" else []
    return {
        "node": {"id": f"{proxy.kind}~{proxy.ip}~{proxy.pod}.{proxy.namespace}~{proxy.namespace}.svc.cluster.local",
                 "cluster": f"{proxy.identity}.{proxy.namespace}"},
        "admin": {"address": address(proxy.ip, ADMIN_PORT)},
        "stats_config": stats_config(),
        "dynamic_resources": from_files,
        "static_resources": {
            "clusters": [
                {
                    "name": "prometheus_stats", "type": "STATIC", "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": "prometheus_stats", "endpoints": endpoints(address(proxy.ip, ADMIN_PORT)),
                    },
                }
            ],
            "listeners": [_stats_listener(proxy), *({k: v for k, v in one.items() if k != "@type"} for one in own)],
        },
    }  # fmt: skip


def _stats_listener(proxy: Proxy) -> dict[str, Any]:
    manager = {
        "@type": MANAGER_TYPE,
        "stat_prefix": "stats",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "stats", "domains": ["*"],
                    "routes": [{"match": {"prefix": "/stats/prometheus"}, "route": {"cluster": "prometheus_stats"}}],
                }
            ]
        },
        "http_filters": [ROUTER],
    }  # fmt: skip
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": "stats", "address": address(proxy.ip, STATS_PORT), "filter_chains": [{"filters": filters}]}
