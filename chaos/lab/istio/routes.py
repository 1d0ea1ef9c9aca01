"""HTTP routes of VirtualServices to Envoy routes (istiod ``pilot/pkg/networking/core/route/route.go``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import MESH, Object, selects_source
from chaos.lab.istio.answers import CORS_FILTER, cors_policy, direct_response, mirror_policies, redirect_action
from chaos.lab.istio.clusters import cluster_name
from chaos.lab.istio.policies import hash_policy, policy_for
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.snapshot import Snapshot

FAULT_FILTER: Final = "envoy.filters.http.fault"
DEFAULT_RETRY_ON: Final = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
"""Of Istio 1.24 and later; before it also 503 (istiod ``retry.go``)."""
_MILLION: Final = 10_000
GRPC_CODES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip

Route = dict[str, Any]


def routes_of(
    vs: Object, proxy: Proxy, snapshot: Snapshot, *, port: int, gateways: Sequence[str] = (MESH,)
) -> list[Route]:
    """The Envoy routes of a VirtualService for one proxy; empty where none is for this proxy.

    Args:
        vs: The VirtualService.
        proxy: Whose routes.
        snapshot: Where destinations are looked up.
        port: The port that the request was sent to; also that of destinations that name none.
        gateways: As what the proxy acts: ``mesh``, or the names of its gateways.
    """
    found: list[Route] = []
    for http in vs["spec"].get("http") or ():
        blocks: Sequence[Mapping[str, Any] | None] = http.get("match") or (None,)
        for block in blocks:
            if block is not None and not _is_for(block, proxy, port=port, gateways=gateways):
                continue
            found.append(_route(http, block, vs, snapshot, port=port))
    return found


def default_route(host: str, port: int, rule: Object | None = None) -> Route:
    """How requests go where no VirtualService governs."""
    action: dict[str, Any] = {
        "cluster": cluster_name(port, "", host),
        "timeout": "0s",
        "retry_policy": _retry_policy(None),
    }
    hashed = hash_policy(policy_for(rule, "", port))
    if hashed:
        action["hash_policy"] = hashed
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def _is_for(block: Mapping[str, Any], proxy: Proxy, *, port: int, gateways: Sequence[str]) -> bool:
    if block.get("port") not in (None, 0, port):
        return False
    return selects_source(block, labels=proxy.labels, namespace=proxy.namespace, gateways=gateways)


def _route(
    http: Mapping[str, Any], block: Mapping[str, Any] | None, vs: Object, snapshot: Snapshot, *, port: int
) -> Route:
    meta = vs["metadata"]
    name = http.get("name", "")
    if block and block.get("name"):
        name = f"{name}.{block['name']}"
    route: Route = {
        "match": _match(block or {}),
        **_does(http, block or {}, vs, snapshot, port=port),
        "metadata": {
            "filter_metadata": {
                "istio": {
                    "config": f"/apis/networking.istio.io/v1/namespaces/{meta['namespace']}/virtual-service/{meta['name']}"
                }
            }
        },
    }
    if name:
        route["name"] = name
    if block and block.get("statPrefix"):
        route["stat_prefix"] = block["statPrefix"]
    destinations: Sequence[Mapping[str, Any]] = http.get("route") or ()
    route.update(_headers(http.get("headers")))
    if len(destinations) == 1:
        _join(route, _headers(destinations[0].get("headers")))
    filters = {FAULT_FILTER: _fault(http.get("fault") or {})}
    if http.get("corsPolicy") is not None:
        filters[CORS_FILTER] = cors_policy(http["corsPolicy"])
    chosen = {name: config for name, config in filters.items() if config}
    if chosen:
        route["typed_per_filter_config"] = chosen
    return route


def _does(
    http: Mapping[str, Any], block: Mapping[str, Any], vs: Object, snapshot: Snapshot, *, port: int
) -> dict[str, Any]:
    if http.get("redirect") is not None:
        return {"redirect": redirect_action(http["redirect"], port=port)}
    if http.get("directResponse") is not None:
        return {"direct_response": direct_response(http["directResponse"])}
    return {"route": _action(http, block, vs, snapshot, port=port)}


# --- what matches ------------------------------------------------------------------------------------------------------


def _match(block: Mapping[str, Any]) -> dict[str, Any]:
    uri = block.get("uri") or {}
    match: dict[str, Any] = {"prefix": "/"}
    if "exact" in uri:
        match = {"path": uri["exact"]}
    elif "prefix" in uri:
        match = {"prefix": uri["prefix"]}
    elif "regex" in uri:
        match = {"safe_regex": {"regex": uri["regex"]}}
    if block.get("ignoreUriCase"):
        match["case_sensitive"] = False
    headers = [_header(key, value) for key, value in sorted((block.get("headers") or {}).items())]
    headers += [_header(key, value, invert=True) for key, value in sorted((block.get("withoutHeaders") or {}).items())]
    for key in ("method", "authority", "scheme"):
        if block.get(key):
            headers.append(_header(f":{key}", block[key]))
    if headers:
        match["headers"] = headers
    queries = [_query(key, value) for key, value in sorted((block.get("queryParams") or {}).items())]
    if queries:
        match["query_parameters"] = queries
    return match


def _string_match(value: Mapping[str, str]) -> dict[str, Any] | None:
    if "exact" in value:
        return {"exact": value["exact"]}
    if "prefix" in value:
        # An empty prefix matches everything that is there; Envoy rejects it.
        return {"prefix": value["prefix"]} if value["prefix"] else None
    if "regex" in value:
        return None if value["regex"] == "*" else {"safe_regex": {"regex": value["regex"]}}
    return None


def _header(name: str, value: Mapping[str, str], *, invert: bool = False) -> dict[str, Any]:
    matcher: dict[str, Any] = {"name": name}
    string = _string_match(value)
    if string is None:
        matcher["present_match"] = True
    else:
        matcher["string_match"] = string
    if invert:
        matcher["invert_match"] = True
        if string is not None:
            matcher["treat_missing_header_as_empty"] = True
    return matcher


def _query(name: str, value: Mapping[str, str]) -> dict[str, Any]:
    string = _string_match(value)
    return {"name": name, "present_match": True} if string is None else {"name": name, "string_match": string}


# --- what happens ------------------------------------------------------------------------------------------------------


def _action(
    http: Mapping[str, Any], block: Mapping[str, Any], vs: Object, snapshot: Snapshot, *, port: int
) -> dict[str, Any]:
    action: dict[str, Any] = {"timeout": http.get("timeout", "0s")}
    retry = _retry_policy(http.get("retries"))
    if retry is not None:
        action["retry_policy"] = retry
    rewrite = http.get("rewrite") or {}
    if rewrite.get("uri"):
        action.update(_rewritten(rewrite["uri"], block.get("uri") or {}))
    if rewrite.get("uriRegexRewrite"):
        regex = rewrite["uriRegexRewrite"]
        action["regex_rewrite"] = {"pattern": {"regex": regex["match"]}, "substitution": regex["rewrite"]}
    if rewrite.get("authority"):
        action["host_rewrite_literal"] = rewrite["authority"]
    namespace = vs["metadata"]["namespace"]
    mirrors = mirror_policies(http, lambda where: _cluster({"destination": where}, namespace, snapshot, port))
    if mirrors:
        action["request_mirror_policies"] = mirrors
    destinations = [d for d in http["route"] if d.get("weight", 0) > 0] or list(http["route"][:1])
    hashed = [part for d in destinations for part in _hashed(d, namespace, snapshot, port)]
    if hashed:
        action["hash_policy"] = [part for at, part in enumerate(hashed) if part not in hashed[:at]]
    if len(destinations) == 1:
        action["cluster"] = _cluster(destinations[0], namespace, snapshot, port)
    else:
        action["weighted_clusters"] = {
            "clusters": [
                {
                    "name": _cluster(destination, namespace, snapshot, port),
                    "weight": destination["weight"],
                    **_headers(destination.get("headers")),
                }
                for destination in destinations
            ]
        }
    return action


def _hashed(destination: Mapping[str, Any], namespace: str, snapshot: Snapshot, port: int) -> list[dict[str, Any]]:
    """What the DestinationRule of a destination wants to be hashed."""
    where = destination["destination"]
    host = resolve_host(where["host"], namespace)
    rule = snapshot.destination_rule(host, namespace)
    return hash_policy(policy_for(rule, where.get("subset", ""), _port(where, host, snapshot, port)))


def _rewritten(to: str, uri: Mapping[str, str]) -> dict[str, Any]:
    """A prefix is replaced by the new one; after an exact or regex match the whole path is."""
    if "regex" in uri:
        return {"regex_rewrite": {"pattern": {"regex": uri["regex"]}, "substitution": to}}
    return {"prefix_rewrite": to}


def _cluster(destination: Mapping[str, Any], namespace: str, snapshot: Snapshot, port: int) -> str:
    """The cluster of a destination; without a port the Service's only one, else the one of the request."""
    where = destination["destination"]
    host = resolve_host(where["host"], namespace)
    return cluster_name(_port(where, host, snapshot, port), where.get("subset", ""), host)


def _port(where: Mapping[str, Any], host: str, snapshot: Snapshot, port: int) -> int:
    number = (where.get("port") or {}).get("number")
    if number is not None:
        return int(number)
    service = snapshot.by_host.get(host)
    return service.ports[0].number if service and len(service.ports) == 1 else port


_OTHER_LOCALITIES: Final = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 2,
    },
}
"""istiod ``retry.go``. The lab's endpoints are all in one locality, so that it changes nothing there."""


def _retry_policy(retries: Mapping[str, Any] | None) -> dict[str, Any] | None:
    common = {
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": "5",
    }
    if retries is None:
        return {"num_retries": 2, "retry_on": DEFAULT_RETRY_ON, **common}
    if retries.get("attempts", 0) <= 0:
        return None
    policy: dict[str, Any] = {"num_retries": retries["attempts"], "retry_on": DEFAULT_RETRY_ON, **common}
    if retries.get("retryOn"):
        words = [word.strip() for word in retries["retryOn"].split(",") if word.strip()]
        codes = [int(word) for word in words if word.isdigit()]
        names = [word for word in words if not word.isdigit()]
        if codes:
            policy["retriable_status_codes"] = codes
            names.append("retriable-status-codes")
        policy["retry_on"] = ",".join(dict.fromkeys(names))
    if retries.get("perTryTimeout"):
        policy["per_try_timeout"] = retries["perTryTimeout"]
    if retries.get("backoff"):
        policy["retry_back_off"] = {"base_interval": retries["backoff"]}
    if retries.get("retryRemoteLocalities"):
        policy["retry_priority"] = _OTHER_LOCALITIES
    if retries.get("retryIgnorePreviousHosts") is False:
        for key in common:
            policy.pop(key)
    return policy


def _headers(operations: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side in ("request", "response"):
        wanted = (operations or {}).get(side) or {}
        add = [_set(k, v, "OVERWRITE_IF_EXISTS_OR_ADD") for k, v in sorted((wanted.get("set") or {}).items())]
        add += [_set(k, v, "APPEND_IF_EXISTS_OR_ADD") for k, v in sorted((wanted.get("add") or {}).items())]
        if add:
            found[f"{side}_headers_to_add"] = add
        if wanted.get("remove"):
            found[f"{side}_headers_to_remove"] = list(wanted["remove"])
    return found


def _set(key: str, value: str, action: str) -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": action}


def _join(route: Route, more: Mapping[str, Any]) -> None:
    for key, values in more.items():
        route[key] = [*route.get(key, ()), *values]


# --- faults ------------------------------------------------------------------------------------------------------------


def _fault(fault: Mapping[str, Any]) -> dict[str, Any] | None:
    """istiod TranslateFault: a part without what it needs is dropped without a word."""
    found: dict[str, Any] = {}
    delay, abort = fault.get("delay"), fault.get("abort")
    if delay and delay.get("fixedDelay"):
        percent = delay.get("percentage")
        share = _share(percent["value"]) if percent and "value" in percent else _share(delay.get("percent", 0))
        found["delay"] = {"fixed_delay": delay["fixedDelay"], "percentage": share}
    if abort:
        share = _share((abort.get("percentage") or {}).get("value", 0))
        if "httpStatus" in abort:
            found["abort"] = {"http_status": abort["httpStatus"], "percentage": share}
        elif "grpcStatus" in abort:
            found["abort"] = {"grpc_status": GRPC_CODES.index(abort["grpcStatus"]), "percentage": share}
    if not found:
        return None
    return {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", **found}


def _share(percent: float) -> dict[str, Any]:
    """istiod translatePercentToFractionalPercent: in millionths, truncated as Go's float64 does it."""
    return {"numerator": int(float(percent) * _MILLION), "denominator": "MILLION"}


def virtual_hosts(domains: Mapping[str, Sequence[str]], routes: Mapping[str, list[Route]]) -> Iterator[dict[str, Any]]:
    """Virtual hosts by name; a domain that an earlier one has is dropped, as istiod's dedupeDomains does."""
    taken: set[str] = set()
    for name, wanted in domains.items():
        own = [domain for domain in dict.fromkeys(wanted) if domain not in taken]
        taken.update(own)
        if own:
            yield {"name": name, "domains": own, "routes": routes[name], "include_request_attempt_count": True}
