"""With what an Envoy starts: its admin, the port for Prometheus, and where its configuration comes from."""

from __future__ import annotations

from typing import Any, Final

from chaos.lab.istio.metrics import stats_config
from chaos.lab.istio.proxy import ADMIN_PORT, STATS_PORT, Proxy

_NETWORK: Final = "envoy.extensions.filters.network"
MANAGER_TYPE: Final = f"type.googleapis.com/{_NETWORK}.http_connection_manager.v3.HttpConnectionManager"


def address(ip: str, port: int) -> dict[str, Any]:
    """An Envoy address."""
    return {"socket_address": {"address": ip, "port_value": port}}


def endpoints(*addresses: dict[str, Any]) -> list[dict[str, Any]]:
    """One locality with these endpoints."""
    return [{"lb_endpoints": [{"endpoint": {"address": one}} for one in addresses]}]


def bootstrap(proxy: Proxy) -> dict[str, Any]:
    """The bootstrap. Listeners, routes and clusters follow from files in the proxy's directory."""
    return {
        "node": {"id": f"{proxy.kind}~{proxy.ip}~{proxy.pod}.{proxy.namespace}~{proxy.namespace}.svc.cluster.local",
                 "cluster": f"{proxy.identity}.{proxy.namespace}"},
        "admin": {"address": address(proxy.ip, ADMIN_PORT)},
        "stats_config": stats_config(),
        "dynamic_resources": {
            "cds_config": from_file(proxy, "cds"),
            "lds_config": from_file(proxy, "lds"),
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "prometheus_stats", "type": "STATIC", "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": "prometheus_stats", "endpoints": endpoints(address(proxy.ip, ADMIN_PORT)),
                    },
                }
            ],
            "listeners": [_stats_listener(proxy)],
        },
    }  # fmt: skip


def from_file(proxy: Proxy, kind: str) -> dict[str, Any]:
    """A configuration source; Envoy reads it again whenever the file is replaced by a rename."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(proxy.directory / f"{kind}.json")},
        "initial_fetch_timeout": "5s",
    }


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


ROUTER: dict[str, Any] = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
