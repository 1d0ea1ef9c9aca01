"""With what an Envoy starts: its admin, the port for Prometheus, and where its configuration comes from."""

from __future__ import annotations

from typing import Any, Final

from chaos.lab.istio.metrics import stats_config
from chaos.lab.istio.pieces import MANAGER_TYPE, ROUTER, XDS_CLUSTER, address, endpoints, from_control_plane
from chaos.lab.istio.proxy import ADMIN_PORT, STATS_PORT, Proxy

MAX_PROGRAM_SIZE: Final = 32_768
"""Of a regular expression, in RE2's instructions."""
_RUNTIME: Final = {
    "re2.max_program_size.error_level": str(MAX_PROGRAM_SIZE),
    "envoy.reloadable_features.http_reject_path_with_fragment": "false",
}
"""As Istio starts its proxies (``pkg/bootstrap/config.go`` extractRuntimeFlags): larger regular expressions, and a path's
fragment is cut off instead of being refused."""


def bootstrap(proxy: Proxy, *, control_plane: tuple[str, int]) -> dict[str, Any]:
    """The bootstrap; all else comes from the control plane at this host and port."""
    return {
        "node": {"id": proxy.node, "cluster": f"{proxy.identity}.{proxy.namespace}"},
        "admin": {"address": address(proxy.ip, ADMIN_PORT)},
        "stats_config": stats_config(),
        # Whom a request comes from is the pod, not the loopback address that the kernel would choose.
        "cluster_manager": {"upstream_bind_config": {"source_address": {"address": proxy.ip, "port_value": 0}}},
        "layered_runtime": {"layers": [{"name": "global config", "static_layer": _RUNTIME}]},
        "dynamic_resources": {"cds_config": from_control_plane(), "lds_config": from_control_plane()},
        "static_resources": {
            "clusters": [
                {
                    "name": XDS_CLUSTER, "type": "STATIC", "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": XDS_CLUSTER, "endpoints": endpoints(address(*control_plane)),
                    },
                },
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
