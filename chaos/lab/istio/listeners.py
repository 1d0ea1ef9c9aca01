"""Listeners and their HTTP filters, in istiod's order (``listener_builder.go``): peer, RBAC, fault, CORS, router; stats as access log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chaos.istio.peer_authentication import mode_of
from chaos.lab.istio import ingress, tls
from chaos.lab.istio.answers import CORS_FILTER
from chaos.lab.istio.authorization import rbac_filters
from chaos.lab.istio.clusters import inbound_name
from chaos.lab.istio.metrics import CLUSTER_ID, PEER, PEER_HEADERS, access_log, identity
from chaos.lab.istio.outbound import ROUTE_NAME
from chaos.lab.istio.pieces import MANAGER_TYPE, POD_FILTER, ROUTER, address, from_control_plane
from chaos.lab.istio.proxy import OUTBOUND_PORT, Proxy
from chaos.lab.istio.snapshot import Snapshot

_FAULT: Final = {
    "name": "envoy.filters.http.fault",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"},
}
_TLS_INSPECTOR: Final = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
}
_CORS: Final = {
    "name": CORS_FILTER,
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"},
}


def listeners(proxy: Proxy, snapshot: Snapshot) -> list[dict[str, Any]]:
    """All listeners of one proxy."""
    if proxy.kind == "router":
        return [_gateway(proxy, snapshot, port) for port in ingress.ports(proxy, snapshot)]
    outbound = [_chain(_sending(proxy, ROUTE_NAME))]
    found = [_listener(proxy, "virtualOutbound", OUTBOUND_PORT, outbound)]
    found += [_inbound(proxy, snapshot, port) for port in proxy.inbound]
    return found


def _inbound(proxy: Proxy, snapshot: Snapshot, port: int) -> dict[str, Any]:
    """A port of the application: with mutual TLS, without it, or both, told apart by what the caller offers."""
    mode = mode_of(snapshot.peer_authentications, namespace=proxy.namespace, labels=proxy.labels, port=port)
    rbac = rbac_filters(snapshot.authorization_policies, proxy)
    chains = []
    if mode != "DISABLE":
        match = {"transport_protocol": "tls", "application_protocols": list(tls.OFFERED_BY_ISTIO)}
        manager = _receiving(proxy, port, rbac, mutual=True)
        chains.append(_chain(manager, name="mutual", match=match, socket=tls.mutual_downstream()))
    if mode != "STRICT":
        chains.append(_chain(_receiving(proxy, port, rbac, mutual=False), name="plain"))
    return _listener(proxy, f"virtualInbound_{port}", port, chains, inspect=mode != "DISABLE")


def _gateway(proxy: Proxy, snapshot: Snapshot, port: int) -> dict[str, Any]:
    """A port of a gateway: plain, or a chain for each server with TLS, chosen by the name that the client asks for."""
    rbac = rbac_filters(snapshot.authorization_policies, proxy)
    secured = ingress.secured(proxy, snapshot, port)
    if not secured:
        return _listener(proxy, f"0.0.0.0_{port}", port, [_chain(_sending(proxy, ingress.route_name(port), rbac))])
    chains = [
        _chain(
            _sending(proxy, one.route_name, rbac),
            match={"server_names": names} if (names := one.names) else {},
            socket=tls.gateway_downstream(one.tls, namespace=proxy.namespace),
        )
        for one in secured
    ]
    return _listener(proxy, f"0.0.0.0_{port}", port, chains, inspect=True)


def route_headers(proxy: Proxy) -> dict[str, Any]:
    """What a caller's proxy tells the next one about itself, on every request."""
    told = [
        {"header": {"key": header, "value": identity(proxy)[name]}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, header in PEER_HEADERS.items()
    ]
    return {"request_headers_to_add": told}


def _chain(
    manager: dict[str, Any],
    *,
    name: str = "",
    match: dict[str, Any] | None = None,
    socket: dict[str, Any] | None = None,
) -> dict[str, Any]:
    typed = {"@type": MANAGER_TYPE, **manager}
    chain: dict[str, Any] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]
    }
    given = {"name": name, "filter_chain_match": match, "transport_socket": socket}
    return {**chain, **{key: value for key, value in given.items() if value}}


def _listener(
    proxy: Proxy, name: str, port: int, chains: list[dict[str, Any]], *, inspect: bool = False
) -> dict[str, Any]:
    listener: dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": address(proxy.ip, port),
        "filter_chains": chains,
    }
    if inspect:
        listener["listener_filters"] = [_TLS_INSPECTOR]
        listener["listener_filters_timeout"] = "0s"
    return listener


def _manager(proxy: Proxy, prefix: str, reporter: str, *, mutual: bool = False) -> dict[str, Any]:
    return {
        "stat_prefix": prefix,
        "codec_type": "AUTO",
        "stream_idle_timeout": "0s",
        "use_remote_address": False,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "normalize_path": True,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "access_log": [access_log(proxy, reporter=reporter, mutual=mutual)],
    }


def _sending(proxy: Proxy, route_name: str, rbac: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Outbound of a sidecar, or a gateway's server: requests that this proxy sends on."""
    return {
        **_manager(proxy, route_name, "source"),
        "rds": {"route_config_name": route_name, "config_source": from_control_plane()},
        "http_filters": [*rbac, _FAULT, _CORS, *([POD_FILTER] if proxy.kind == "sidecar" else []), ROUTER],
    }


def _receiving(proxy: Proxy, port: int, rbac: Sequence[dict[str, Any]], *, mutual: bool) -> dict[str, Any]:
    """Inbound: requests that the application gets."""
    host = {
        "name": inbound_name(port),
        "domains": ["*"],
        "routes": [
            {
                "name": "default",
                "match": {"prefix": "/"},
                "route": {"cluster": inbound_name(port), "timeout": "0s"},
            }
        ],
    }
    return {
        **_manager(proxy, f"inbound_{port}", "destination", mutual=mutual),
        "route_config": {"name": inbound_name(port), "virtual_hosts": [host], "validate_clusters": False},
        "http_filters": [_peer(), *rbac, _FAULT, ROUTER],
    }


def _peer() -> dict[str, Any]:
    """Takes the caller's identity off the request and keeps it for the metrics."""
    rules = [
        {
            "header": header,
            "on_header_present": {"metadata_namespace": PEER, "key": name, "type": "STRING"},
            "remove": True,
        }
        for name, header in PEER_HEADERS.items()
    ]
    first = next(iter(PEER_HEADERS.values()))
    rules.insert(
        0,
        {
            "header": first,
            "on_header_present": {"metadata_namespace": PEER, "key": "cluster", "value": CLUSTER_ID, "type": "STRING"},
        },
    )
    return {
        "name": "istio.metadata_exchange",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
            "request_rules": rules,
        },
    }
