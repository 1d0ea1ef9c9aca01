"""What a route does beside forwarding: redirect, direct response, mirroring, CORS (istiod ``route.go``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from chaos.lab.istio.durations import whole_seconds
from chaos.lab.istio.faults import fraction

CORS_FILTER: Final = "envoy.filters.http.cors"
_CORS_TYPE: Final = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
REDIRECT_CODES: Final = {
    301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT",
}  # fmt: skip
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def redirect_action(redirect: Mapping[str, Any], *, port: int, tls: bool = False) -> dict[str, Any]:
    """istiod ApplyRedirect; ``derivePort: FROM_REQUEST_PORT`` is the port that this configuration is made for."""
    action: dict[str, Any] = {}
    if redirect.get("authority"):
        action["host_redirect"] = redirect["authority"]
    if redirect.get("uri"):
        action["path_redirect"] = redirect["uri"]
    scheme = redirect.get("scheme", "")
    if scheme:
        action["scheme_redirect"] = scheme
    wanted = redirect.get("port") or (port if redirect.get("derivePort") == "FROM_REQUEST_PORT" else 0)
    if wanted and wanted != _DEFAULT_PORTS.get(scheme or ("https" if tls else "http")):
        action["port_redirect"] = wanted
    code = redirect.get("redirectCode") or 301
    if code != 301:
        action["response_code"] = REDIRECT_CODES[code]
    return action


def direct_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """A status, with a body where one is given."""
    answer: dict[str, Any] = {"status": response["status"]}
    body = response.get("body") or {}
    if "string" in body:
        answer["body"] = {"inline_string": body["string"]}
    elif "bytes" in body:
        answer["body"] = {"inline_bytes": body["bytes"]}
    return answer


def mirror_policies(http: Mapping[str, Any], cluster: Callable[[Mapping[str, Any]], str]) -> list[dict[str, Any]]:
    """Where copies go: fire and forget, with the request's own host (istiod ``DISABLE_SHADOW_HOST_SUFFIX``).

    Without a percentage all are mirrored; 0 % is no policy at all.
    """
    found = []
    for destination, percent in _mirrors(http):
        if percent > 0:
            found.append(
                {
                    "cluster": cluster(destination),
                    "runtime_fraction": {"default_value": fraction({"value": percent})},
                    "disable_shadow_host_suffix_append": True,
                }
            )
    return found


def _mirrors(http: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], float]]:
    if http.get("mirror"):
        old = http.get("mirrorPercent", http.get("mirror_percent", 100.0))
        yield http["mirror"], _percent(http.get("mirrorPercentage"), without=float(old))
    for one in http.get("mirrors") or ():
        yield one["destination"], _percent(one.get("percentage"))


def _percent(percent: Mapping[str, Any] | None, *, without: float = 100.0) -> float:
    return float(percent.get("value", 0)) if percent is not None else without


def cors_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """istiod TranslateCORSPolicy."""
    found: dict[str, Any] = {
        "@type": _CORS_TYPE,
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
    }
    origins = [_origin(value) for value in policy.get("allowOrigins") or ()]
    origins += [{"exact": value} for value in policy.get("allowOrigin") or ()]
    if origins:
        found["allow_origin_string_match"] = origins
    for key, name in (
        ("allowMethods", "allow_methods"), ("allowHeaders", "allow_headers"), ("exposeHeaders", "expose_headers"),
    ):  # fmt: skip
        if policy.get(key):
            found[name] = ",".join(policy[key])
    if policy.get("maxAge"):
        found["max_age"] = str(whole_seconds(policy["maxAge"]))
    if policy.get("allowCredentials") is not None:
        found["allow_credentials"] = policy["allowCredentials"]
    found["forward_not_matching_preflights"] = policy.get("unmatchedPreflights") != "IGNORE"
    return found


def _origin(value: Mapping[str, str]) -> dict[str, Any]:
    if "regex" in value:
        return {"safe_regex": {"regex": value["regex"]}}
    return {key: value[key] for key in ("exact", "prefix") if key in value}
