"""Services and DestinationRules to Envoy clusters, named as istiod names them: ``outbound|8080|v1|host``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.destination_rules import policy_for
from chaos.istio.exports import Object
from chaos.lab.istio import tls
from chaos.lab.istio.metrics import CLUSTER_ID
from chaos.lab.istio.pieces import BALANCING, POD_KEY, address, endpoints
from chaos.lab.istio.policies import (
    NO_LIMIT,
    Policy,
    balancing,
    connections,
    ejection,
    http_options,
    thresholds,
    upgraded,
)
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot

_TYPE: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


_ANY_OR_NAMED: Final[Mapping[str, Any]] = {
    "lb_policy": "RANDOM",
    "lb_subset_config": {
        "fallback_policy": "ANY_ENDPOINT",
        "subset_selectors": [{"keys": [POD_KEY], "fallback_policy": "NO_FALLBACK"}],
    },
}


def cluster_name(port: int, subset: str, host: str) -> str:
    """istiod ``pilot/pkg/model/service.go`` BuildSubsetKey."""
    return f"outbound|{port}|{subset}|{host}"


def clusters(proxy: Proxy, snapshot: Snapshot, *, whole: Snapshot | None = None) -> list[dict[str, Any]]:
    """All clusters of one proxy; what it serves itself is looked up in the ``whole`` mesh, whatever it sees of it."""
    sidecar = proxy.kind == "sidecar"
    key = ("clusters", proxy.namespace, sidecar)
    found = list(snapshot.once(key, lambda: _to_services(snapshot, proxy.namespace, sidecar=sidecar)))
    for number, real in proxy.inbound.items():
        at = _service_at(proxy, number, whole or snapshot)
        found.append(_inbound(proxy, number, real, at[0] if at else None, http2=bool(at and at[1].is_http2)))
    return found


def _to_services(snapshot: Snapshot, namespace: str, *, sidecar: bool) -> list[dict[str, Any]]:
    """Those that all proxies of a kind and namespace share which see the same of the mesh."""
    return [
        cluster
        for service in (*snapshot.services, *snapshot.extra)
        for port in service.ports
        for cluster in _outbound(service, port, snapshot.destination_rule(service.host, namespace), sidecar=sidecar)
    ]


def _outbound(service: Service, port: Port, rule: Object | None, *, sidecar: bool) -> Iterator[dict[str, Any]]:
    spec: Mapping[str, Any] = rule["spec"] if rule else {}
    behind = service.endpoints.get(port.number, ())
    yield _cluster(service, port, "", behind, rule, sidecar=sidecar)
    for subset in spec.get("subsets") or ():
        labels = subset.get("labels") or {}
        chosen = tuple(one for one in behind if labels.items() <= one.labels.items())
        yield _cluster(service, port, subset["name"], chosen, rule, sidecar=sidecar)


def _cluster(
    service: Service, port: Port, subset: str, behind: tuple[Endpoint, ...], rule: Object | None, *, sidecar: bool
) -> dict[str, Any]:
    policy = policy_for(rule, subset, port.number)
    name = cluster_name(port.number, subset, service.host)
    # Istio's sidecar sends to the pod of a headless Service that its application chose by DNS. The lab's applications leave
    # that to their proxy: any of its pods, or the one that is asked for by its own name.
    chosen = _ANY_OR_NAMED if service.headless and sidecar else balancing(policy)
    return {
        "@type": _TYPE,
        "name": name,
        "type": "STATIC",
        **chosen,
        **connections(policy, http2=port.is_http2, detected=sidecar and port.is_detected),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [_endpoint(one) for one in behind]}]},
        "circuit_breakers": {"thresholds": [thresholds(policy)]},
        "metadata": {
            "filter_metadata": {
                "istio": {
                    "host": service.host,
                    "name": service.name,
                    "namespace": service.namespace,
                    "subset": subset,
                    **_config(rule),
                }
            }
        },
        **_security(service, policy, name, behind, http2=port.is_http2 or upgraded(policy)),
        **ejection(policy),
    }


def _config(rule: Object | None) -> dict[str, str]:
    """Which rule a cluster is by, as istiod says it (AddConfigInfoMetadata)."""
    if rule is None:
        return {}
    meta = rule["metadata"]
    return {"config": f"/apis/networking.istio.io/v1/namespaces/{meta['namespace']}/destination-rule/{meta['name']}"}


def _security(
    service: Service, policy: Policy, name: str, behind: Sequence[Endpoint], *, http2: bool
) -> dict[str, Any]:
    """How a cluster's connections are secured: as the rule says, else mutual TLS where the endpoint takes it.

    Of a headless Service, which istiod has no endpoints for, all have to take it (BestEffortInferServiceMTLSMode); what is
    outside the mesh is never tried.
    """
    _, port, subset, host = name.split("|")
    sni = f"outbound_.{port}_.{subset}_.{host}"
    identities = sorted({one.uri for one in behind if one.uri})
    given = policy.get("tls") or {}
    mode = given.get("mode", "DISABLE") if policy.get("tls") is not None else None
    if mode == "SIMPLE":
        return {"transport_socket": tls.simple_upstream(given, sni=host, http2=http2)}
    if mode == "ISTIO_MUTUAL":
        wanted = given.get("subjectAltNames") or identities
        return {"transport_socket": tls.mutual_upstream(wanted, sni=given.get("sni") or sni, http2=http2)}
    never = service.external or (service.headless and not all(one.mutual for one in behind))
    if mode == "DISABLE" or never or not identities:
        return {}
    return {"transport_socket_matches": tls.automatic(identities, sni=sni, http2=http2)}


def _endpoint(one: Endpoint) -> dict[str, Any]:
    known: dict[str, Any] = {"istio": {**one.identity, "cluster": CLUSTER_ID} if one.identity else {}}
    if one.hostname:
        known[BALANCING] = {POD_KEY: one.hostname}
    if one.mutual:
        known["envoy.transport_socket_match"] = {tls.MODE_KEY: tls.MODE_ISTIO}
    return {
        "endpoint": {"address": address(one.ip, one.port)},
        "metadata": {"filter_metadata": known},
        **({"load_balancing_weight": one.weight} if one.weight != 1 else {}),
    }


def inbound_name(port: int) -> str:
    """The cluster of the application behind an inbound listener."""
    return f"inbound|{port}||"


def _service_at(proxy: Proxy, port: int, snapshot: Snapshot) -> tuple[Service, Port] | None:
    """The Service that this port of the proxy's pod is behind, and its port; the oldest of several (istiod ``Proxy.SetServiceTargets``)."""
    found = (
        (service, own)
        for service in snapshot.services
        for own in service.ports
        if any(one.ip == proxy.ip and one.port == port for one in service.endpoints.get(own.number, ()))
    )
    return min(found, key=lambda one: (one[0].registered.created, one[0].host), default=None)


def _inbound(proxy: Proxy, port: int, real: int, service: Service | None, *, http2: bool) -> dict[str, Any]:
    name = inbound_name(port)
    options = http_options({}, {}, http2=http2)
    known = {"host": service.host, "name": service.name, "namespace": service.namespace} if service else {}
    return {
        "@type": _TYPE,
        "metadata": {"filter_metadata": {"istio": known}},
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        **({"typed_extension_protocol_options": {_HTTP_OPTIONS: options}} if options else {}),
        "load_assignment": {"cluster_name": name, "endpoints": endpoints(address(proxy.ip, real))},
        "circuit_breakers": {
            "thresholds": [{"max_connections": NO_LIMIT, "max_pending_requests": NO_LIMIT, "max_requests": NO_LIMIT}]
        },
    }
