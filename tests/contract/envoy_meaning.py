"""What Envoy configuration means, so that the lab's and Istio's can be held against each other.

Two forms of one meaning become the same here: protojson leaves out what has its default, and writes 64-bit numbers as text;
the order of matchers that all have to hold, and of words in a list, says nothing.

What is cosmetic, that is to say left out because no request goes elsewhere or is answered differently for it:

- ``decorator`` and ``trace_sampled``: names and sampling of traces, which the lab has none of.
- ``alt_stat_name``, ``metadata`` of clusters, ``track_remaining``: names and numbers of metrics; the lab's are held against
  Istio's at Prometheus (``tests/e2e/shop/test_lab_metrics.py``).
- ``filters`` of clusters: Istio's metadata exchange over TCP; the lab tells who called by headers.
- ``type`` and where endpoints come from (``eds_cluster_config``, ``load_assignment``, DNS): the lab's control plane gives
  endpoints with the cluster, and resolves no names. The recordings have no endpoints.
- A headless Service: Istio's sidecar sends to the address that the application asked for (``ORIGINAL_DST``,
  ``CLUSTER_PROVIDED``), which an application chooses by DNS. The lab's applications use their sidecar as an HTTP proxy and
  choose no address, so the lab's sidecar does: any pod, or the one whose name was asked for (``lab.pod``), is said for
  ``CLUSTER_PROVIDED``.
- What a route says beside its cluster, where all of a virtual host's lead to clusters that do not exist: Envoy answers 503
  (``NC``) before it looks at that. The lab leaves it out; on port 80 that is half of all.
- Of transport sockets: where secrets come from, application protocols (Istio's ALPN filter sets them per request), that the
  peer may be any of the endpoints' identities (the recordings have no endpoints), and the certificate of a server outside the
  mesh, which the lab does not verify (docs/reference/lab.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

Meaning = Any
_DURATIONS: Final = {
    "timeout", "max_grpc_timeout", "per_try_timeout", "base_interval", "fixed_delay", "connect_timeout", "interval",
    "base_ejection_time", "idle_timeout", "max_connection_duration", "ttl",
}  # fmt: skip
_NUMBERS: Final = {"host_selection_retry_max_attempts", "minimum_ring_size", "table_size"}
_DEFAULTS: Final = {
    "append_action": "APPEND_IF_EXISTS_OR_ADD", "response_code": "MOVED_PERMANENTLY", "require_tls": "NONE", "name": "",
    "path_redirect": "", "host_redirect": "", "case_sensitive": True, "common_http_protocol_options": {},
    "value": "",
}  # fmt: skip
"""What protojson leaves out."""
_DENOMINATORS: Final = {"HUNDRED": 10_000, "TEN_THOUSAND": 100, "MILLION": 1}
_FRACTIONS: Final = {"percentage", "default_value"}
_UNORDERED: Final = {"headers", "query_parameters"}
_ANY_OR_NAMED: Final = {
    "lb_policy": "RANDOM",
    "lb_subset_config": {
        "fallback_policy": "ANY_ENDPOINT", "subset_selectors": [{"keys": ["pod"], "fallback_policy": "NO_FALLBACK"}],
    },
}  # fmt: skip
_COSMETIC: Final = {"decorator", "trace_sampled"}
_COSMETIC_OF_CLUSTERS: Final = {
    "@type", "alt_stat_name", "metadata", "filters", "type", "cluster_type", "eds_cluster_config", "load_assignment",
    "dns_lookup_family", "dns_refresh_rate", "dns_jitter", "respect_dns_ttl", "typed_dns_resolver_config", "name",
    "transport_socket", "transport_socket_matches",
}  # fmt: skip


def meaning(found: Any, key: str = "") -> Meaning:
    """A piece of configuration in the one form that all forms of it have."""
    if isinstance(found, Mapping):
        if key in _FRACTIONS:
            return {"millionths": found.get("numerator", 0) * _DENOMINATORS[found.get("denominator", "HUNDRED")]}
        known = {name: meaning(value, name) for name, value in found.items() if name not in _COSMETIC}
        return {name: value for name, value in known.items() if value != _DEFAULTS.get(name, ...)}
    if isinstance(found, list):
        listed = [meaning(one) for one in found]
        return sorted(listed, key=lambda one: json.dumps(one, sort_keys=True)) if key in _UNORDERED else listed
    if key in _DURATIONS:
        return _nanoseconds(found)
    if key in _NUMBERS:
        return int(found)
    if key == "retry_on":
        return sorted({*found.split(",")} - {""})
    return found


def _nanoseconds(text: str) -> int | str:
    """protobuf's form alone, which is all that Envoy reads: ``500ms`` stays what it is, and differs."""
    return int(Decimal(text[:-1]) * 10**9) if re.fullmatch(r"-?\d+(\.\d{1,9})?s", text) else f"no duration: {text}"


def cluster(found: Mapping[str, Any]) -> Meaning:
    """What a cluster means."""
    said = {key: value for key, value in found.items() if key not in _COSMETIC_OF_CLUSTERS}
    if said.get("lb_policy") == "CLUSTER_PROVIDED":
        said |= _ANY_OR_NAMED
    thresholds = [
        {key: value for key, value in one.items() if key != "track_remaining"}
        for one in (said.pop("circuit_breakers", None) or {}).get("thresholds") or ()
    ]
    options = (said.pop("typed_extension_protocol_options", None) or {}).values()
    panic = (said.pop("common_lb_config", None) or {}).get("healthy_panic_threshold")
    return meaning(
        {
            **said,
            "lb_policy": said.get("lb_policy", "ROUND_ROBIN"),
            "panic_threshold": 50 if panic is None else panic.get("value", 0),
            "thresholds": thresholds,
            "http": _http(next(iter(options), {})),
            "secured": _secured(found),
        }
    )


def _http(options: Mapping[str, Any]) -> Meaning:
    said = {key: value for key, value in options.items() if key != "@type"}
    if not said.keys() & {"explicit_http_config", "use_downstream_protocol_config"}:
        said["explicit_http_config"] = {"http_protocol_options": {}}
    return said


def _secured(found: Mapping[str, Any]) -> Meaning:
    if "transport_socket_matches" in found:
        named = {one["name"]: _socket(one["transport_socket"]) for one in found["transport_socket_matches"]}
        return {"by endpoint": named}
    return _socket(found["transport_socket"]) if "transport_socket" in found else "not"


def _socket(socket: Mapping[str, Any]) -> Meaning:
    config = socket["typed_config"]
    if not config["@type"].endswith("UpstreamTlsContext"):
        return config["@type"].rpartition(".")[2]
    common = config["common_tls_context"]
    checks = (common.get("combined_validation_context") or {}).get("default_validation_context") or {}
    names = checks.get("match_typed_subject_alt_names") or checks.get("match_subject_alt_names") or ()
    return {
        "sni": config.get("sni", ""),
        "mutual": bool(common.get("tls_certificate_sds_secret_configs")),
        "peer": sorted({one.get("matcher", one)["exact"] for one in names} - {"spiffe://of/endpoints"}),
    }


# --- virtual hosts -----------------------------------------------------------------------------------------------------


def virtual_host(found: Mapping[str, Any], known: Collection[str] | None) -> Meaning:
    """What a virtual host means beside its names; ``known`` as in ``answered``, ``None`` where nobody knows."""
    said = {key: value for key, value in found.items() if key not in ("name", "domains", "typed_per_filter_config")}
    filters = {name: one for name, one in (found.get("typed_per_filter_config") or {}).items() if name != "lab.pod"}
    routes = found.get("routes") or []
    own = {"typed_per_filter_config": filters} if filters else {}
    return meaning({**said, **own, "routes": routes if known is None else answered(routes, known)})


def chosen(virtual_hosts: Iterable[Mapping[str, Any]], host: str) -> Mapping[str, Any] | None:
    """The virtual host that Envoy takes for a ``Host`` header: exact, then the longest suffix."""
    patterns = {domain.lower(): one for one in virtual_hosts for domain in one["domains"]}
    asked = host.lower()
    if asked in patterns:
        return patterns[asked]
    covering = [one for one in patterns if one[0] == "*" and asked.endswith(one[1:]) and len(asked) >= len(one)]
    return patterns[max(covering, key=len)] if covering else None


def listening(cluster_name: str) -> str:
    """Host and port of a cluster's name; whatever subset there is, without these there is none."""
    return "|".join(cluster_name.split("|")[1::2])


def answered(routes: Sequence[Mapping[str, Any]], known: Collection[str]) -> Sequence[Mapping[str, Any]]:
    """The routes of a virtual host; where every request ends with 503 for want of a cluster, the last one alone says so.

    Envoy answers so before it looks at time-outs, retries, rewrites or mirrors. Whose route it is (metadata) stays.
    """

    def nowhere(route: Mapping[str, Any]) -> bool:
        action = route.get("route") or {}
        parts = (action.get("weighted_clusters") or {}).get("clusters") or ()
        names = [action["cluster"]] if "cluster" in action else [one["name"] for one in parts]
        own = route.keys() & {"typed_per_filter_config", "response_headers_to_add", "response_headers_to_remove"}
        return bool(names) and not own and not any(listening(one) in known for one in names)

    last = routes[-1] if routes else {}
    everything = (last.get("match") or {}).get("prefix") == "/" and last["match"].keys() <= {"prefix", "case_sensitive"}
    if not everything or not all(map(nowhere, routes)):
        return routes
    kept = {key: last[key] for key in ("name", "match", "metadata") if key in last}
    return [{**kept, "answers": "503: no cluster"}]


def differing(lab: Meaning, istio: Meaning, path: str = "") -> Iterable[tuple[str, Meaning, Meaning]]:
    """Every path at which two meanings differ, with both."""
    if isinstance(lab, dict) and isinstance(istio, dict):
        for key in sorted({*lab, *istio}):
            yield from differing(lab.get(key, "-"), istio.get(key, "-"), f"{path}.{key}")
    elif isinstance(lab, list) and isinstance(istio, list) and len(lab) == len(istio):
        for one, two in zip(lab, istio, strict=True):
            yield from differing(one, two, f"{path}[]")
    elif lab != istio:
        yield path, lab, istio
