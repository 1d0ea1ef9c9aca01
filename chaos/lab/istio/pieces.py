"""Small pieces of Envoy configuration that several modules write."""

from __future__ import annotations

from typing import Any, Final

from chaos.lab.istio.xds import HELD

_NETWORK: Final = "envoy.extensions.filters.network"
MANAGER_TYPE: Final = f"type.googleapis.com/{_NETWORK}.http_connection_manager.v3.HttpConnectionManager"
ROUTER: Final[dict[str, Any]] = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}


def address(ip: str, port: int) -> dict[str, Any]:
    """An Envoy address."""
    return {"socket_address": {"address": ip, "port_value": port}}


def endpoints(*addresses: dict[str, Any]) -> list[dict[str, Any]]:
    """One locality with these endpoints."""
    return [{"lb_endpoints": [{"endpoint": {"address": one}} for one in addresses]}]


XDS_CLUSTER: Final = "xds-grpc"
"""As Istio names it, for who looks at its stats; the lab speaks REST with it."""


def from_control_plane() -> dict[str, Any]:
    """A configuration source: requests to the control plane that it answers when there is something new."""
    return {
        "resource_api_version": "V3",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [XDS_CLUSTER],
            "refresh_delay": "0.005s",
            "request_timeout": f"{2 * HELD:g}s",
        },
        "initial_fetch_timeout": "5s",
    }
