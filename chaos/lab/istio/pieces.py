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

BALANCING: Final = "envoy.lb"
"""Metadata of requests and endpoints that have to agree."""
POD_KEY: Final = "pod"
POD_FILTER: Final[dict[str, Any]] = {
    "name": "lab.pod",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"},
}
"""Sends requests for a pod of a headless Service to it; see :func:`pod_of_request`."""


def pod_of_request() -> dict[str, Any]:
    """For a virtual host of such names (``web-0.web``): their first word is the pod."""
    first = {"pattern": {"regex": r"^([^.]+)\..*$"}, "substitution": r"\1"}
    present = {"metadata_namespace": BALANCING, "key": POD_KEY, "type": "STRING", "regex_value_rewrite": first}
    rules = [{"header": ":authority", "on_header_present": present}]
    return {POD_FILTER["name"]: {**POD_FILTER["typed_config"], "request_rules": rules}}


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
