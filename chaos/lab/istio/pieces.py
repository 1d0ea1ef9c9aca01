"""Small pieces of Envoy configuration that several modules write."""

from __future__ import annotations

from typing import Any, Final

from chaos.lab.istio.proxy import Proxy

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


def from_file(proxy: Proxy, kind: str) -> dict[str, Any]:
    """A configuration source; Envoy reads it again whenever the file is replaced by a rename.

    Each takes one inotify instance, of which a user has 128 by default: so only what changes comes from a file.
    """
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(proxy.directory / f"{kind}.json")},
        "initial_fetch_timeout": "5s",
    }
