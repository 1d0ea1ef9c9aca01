"""One HTTP route of a VirtualService, and its rules (istiod ``validateHTTPRoute``)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from chaos.istio.grpc import GRPC_STATUSES
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import gateway_names, is_label, labels, number, port_number, wildcard_domain
from chaos.lab.istio.validation.outcome import Told, Warned, errors
from chaos.lab.istio.validation.values import (
    cors_header_name,
    duration,
    header_name,
    is_authority,
    operations,
    regex,
    string_match,
)

_PERCENT: Final = s.obj({"value": s.NUMBER})
_OPERATIONS: Final = s.obj({"add": s.LABELS, "remove": s.STRINGS, "set": s.LABELS})
_HEADERS: Final = s.obj({"request": _OPERATIONS, "response": _OPERATIONS})
_DESTINATION: Final = s.obj(
    {"host": s.STRING, "port": s.obj({"number": s.UINT32}), "subset": s.STRING}, required=("host",)
)
_MATCH: Final = s.obj(
    {
        "authority": s.STRING_MATCH, "gateways": s.STRINGS, "headers": s.STRING_MATCHES, "ignoreUriCase": s.BOOLEAN,
        "method": s.STRING_MATCH, "name": s.STRING, "port": s.UINT32, "queryParams": s.STRING_MATCHES,
        "scheme": s.STRING_MATCH, "sourceLabels": s.LABELS, "sourceNamespace": s.STRING, "statPrefix": s.STRING,
        "uri": s.STRING_MATCH, "withoutHeaders": s.STRING_MATCHES,
    }
)  # fmt: skip
_FAULT: Final = s.obj(
    {
        "abort": s.obj(
            {"grpcStatus": s.STRING, "http2Error": s.STRING, "httpStatus": s.INT32, "percentage": _PERCENT},
            one_of=(("grpcStatus", "httpStatus", "http2Error"),),
        ),
        "delay": s.obj(
            {"exponentialDelay": s.DURATION, "fixedDelay": s.DURATION, "percent": s.INT32, "percentage": _PERCENT},
            one_of=(("fixedDelay", "exponentialDelay"),),
        ),
    }
)
_RETRIES: Final = s.obj(
    {
        "attempts": s.INT32, "backoff": s.DURATION, "perTryTimeout": s.DURATION, "retryIgnorePreviousHosts": s.BOOLEAN,
        "retryOn": s.STRING, "retryRemoteLocalities": s.BOOLEAN,
    }
)  # fmt: skip
_REWRITE: Final = s.obj(
    {"authority": s.STRING, "uri": s.STRING, "uriRegexRewrite": s.obj({"match": s.STRING, "rewrite": s.STRING})}
)
_CORS: Final = s.obj(
    {
        "allowCredentials": s.BOOLEAN, "allowHeaders": s.STRINGS, "allowMethods": s.STRINGS, "allowOrigin": s.STRINGS,
        "allowOrigins": s.array(s.STRING_MATCH), "exposeHeaders": s.STRINGS, "maxAge": s.DURATION,
        "unmatchedPreflights": s.choice("UNSPECIFIED", "FORWARD", "IGNORE"),
    }
)  # fmt: skip
_DIRECT: Final = s.obj(
    {
        "body": s.obj({"bytes": s.Node(kind="bytes"), "string": s.STRING}, one_of=(("string", "bytes"),)),
        "status": s.UINT32,
    },
    required=("status",),
)
_REDIRECT: Final = s.obj(
    {
        "authority": s.STRING, "derivePort": s.choice("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"), "port": s.UINT32,
        "redirectCode": s.UINT32, "scheme": s.STRING, "uri": s.STRING,
    },
    one_of=(("port", "derivePort"),),
)  # fmt: skip
HTTP: Final = s.obj(
    {
        "corsPolicy": _CORS, "delegate": s.obj({"name": s.STRING, "namespace": s.STRING}), "directResponse": _DIRECT,
        "fault": _FAULT, "headers": _HEADERS, "match": s.array(_MATCH), "mirror": _DESTINATION,
        "mirror_percent": s.UINT32, "mirrorPercent": s.UINT32, "mirrorPercentage": _PERCENT,
        "mirrors": s.array(s.obj({"destination": _DESTINATION, "percentage": _PERCENT}, required=("destination",))),
        "name": s.STRING, "redirect": _REDIRECT, "retries": _RETRIES,
        "rewrite": _REWRITE,
        "route": s.array(
            s.obj({"destination": _DESTINATION, "headers": _HEADERS, "weight": s.INT32}, required=("destination",))
        ),
        "timeout": s.DURATION,
    }
)  # fmt: skip

_RETRY_ON: Final = {
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx",
    "refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure", "cancelled",
    "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}  # fmt: skip
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"}
_STATUS: Final = frozenset(HTTPStatus)
_LARGEST_BODY: Final = 1024 * 1024
_LARGE_BODY: Final = 100 * 1024


def http_route(http: Mapping[str, Any], *, is_delegate: bool) -> Told:
    """What istiod says of a route.

    Args:
        http: The route.
        is_delegate: Whether it is in a VirtualService without hosts.
    """
    yield from _conflicts(http, is_delegate=is_delegate)
    for match in http.get("match") or ():
        yield from _match(match)
    yield from operations(http.get("headers"))
    yield from _cors(http.get("corsPolicy") or {})
    yield from _fault(http.get("fault"))
    yield from _mirrors(http)
    yield from _redirect(http.get("redirect"))
    yield from _direct(http.get("directResponse"))
    yield from _retries(http.get("retries"))
    yield from _rewrite(http.get("rewrite"))
    yield from _authority(http)
    yield from _destinations(http.get("route") or ())
    yield from duration(http.get("timeout"))


def _conflicts(http: Mapping[str, Any], *, is_delegate: bool) -> Iterator[str]:
    route = http.get("route") or ()
    if "delegate" in http and not is_delegate:
        if "redirect" in http:
            yield "root HTTP route must not specify redirect"
        if http.get("route"):
            yield "root HTTP route must not specify route"
        return
    if "delegate" in http:
        yield "delegate HTTP route cannot contain delegate"
    ends = [key for key in ("redirect", "directResponse") if key in http]
    for end in ends:
        yield from (f"HTTP route cannot contain both {key} and {end}" for key in ("fault", "rewrite") if key in http)
        if route:
            yield f"HTTP route cannot contain both route and {end}"
    if len(ends) > 1:
        yield "HTTP route cannot contain both redirect and directResponse"
    if not ends and not route:
        yield "HTTP route, redirect or direct_response is required"
    if "mirror" in http and http.get("mirrors"):
        yield "HTTP route cannot contain both mirror and mirrors"


def _match(match: Mapping[str, Any]) -> Iterator[str]:
    for name, value in (match.get("headers") or {}).items():
        yield from header_name(name)
        yield from string_match(value, "headers")
    for name, value in (match.get("withoutHeaders") or {}).items():
        yield from header_name(name)
        if value.get("regex") != "*":  # which is no regex: it means that the header is there
            yield from string_match(value, "withoutHeaders")
    yield from string_match({k: v for k, v in (match.get("uri") or {}).items() if k == "regex"}, "uri")
    for key in ("scheme", "method", "authority"):
        yield from string_match(match.get(key), key)
    for value in (match.get("queryParams") or {}).values():
        yield from string_match(value, "queryParams")
    if match.get("port"):
        yield from port_number(match["port"])
    yield from labels(match.get("sourceLabels"))
    yield from errors(gateway_names(match.get("gateways") or ()))
    if match.get("sourceNamespace") and not is_label(match["sourceNamespace"]):
        yield f"sourceNamespace match {match['sourceNamespace']!r} is invalid"


def _cors(policy: Mapping[str, Any]) -> Iterator[str]:
    for origin in policy.get("allowOrigins") or ():
        if not any(origin.values()):
            yield "CORS policy: an origin must have a value"
        yield from string_match(origin, "corsPolicy.allowOrigins")
    for method in policy.get("allowMethods") or ():
        if method not in _METHODS:
            yield f"CORS policy: {method!r} is not a supported HTTP method"
    for key in ("allowHeaders", "exposeHeaders"):
        for name in policy.get(key) or ():
            yield from cors_header_name(name)
    yield from duration(policy.get("maxAge"), unit="s")


def _fault(fault: Mapping[str, Any] | None) -> Iterator[str]:
    if fault is None:
        return
    abort, delay = fault.get("abort"), fault.get("delay")
    if abort is None and delay is None:
        yield "HTTP fault injection must have an abort and/or a delay"
    for part in (abort, delay):
        value = ((part or {}).get("percentage") or {}).get("value", 0)
        if not (value == 0 or 0.0001 <= value <= 100):
            yield f"percentage {value} is neither 0.0, nor in range [0.0001, 100.0]"
    if abort is not None:
        if "grpcStatus" in abort and abort["grpcStatus"] not in GRPC_STATUSES:
            yield f"gRPC status {abort['grpcStatus']!r} is not supported. See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md"
        if "http2Error" in abort:
            yield "HTTP/2 abort fault injection not supported yet"
        if "httpStatus" in abort:
            yield from _status(abort["httpStatus"])
    if delay is not None:
        yield from duration(delay.get("fixedDelay"))
        if "exponentialDelay" in delay:
            yield "exponentialDelay not supported yet"


def _status(status: int) -> Iterator[str]:
    if not 200 <= status <= 600:
        yield f"HTTP status {status} is not in range 200-600"


def _mirrors(http: Mapping[str, Any]) -> Told:
    for key in ("mirror_percent", "mirrorPercent"):
        if key in http:
            if http[key] > 100:
                yield f"mirror_percent must have a max value of 100 (it has {http[key]})"
            yield Warned('using deprecated setting "mirrorPercent", use "mirrorPercentage" instead')
    for share in (http.get("mirrorPercentage"), *(one.get("percentage") for one in http.get("mirrors") or ())):
        if share is not None and not 0 <= share.get("value", 0) <= 100:
            yield f"mirror_percentage must have a value between 0 and 100 (it has {share.get('value')})"
    if "mirror" in http:
        yield from _destination(http["mirror"])
    for one in http.get("mirrors") or ():
        yield from _destination(one["destination"])


def _destination(destination: Mapping[str, Any]) -> Iterator[str]:
    if destination["host"] == "*":
        yield "invalid destination host *"
    else:
        yield from wildcard_domain(destination["host"])
    if destination.get("subset") and not is_label(destination["subset"]):
        yield f"subset name is invalid: {destination['subset']!r}"
    if "port" in destination:
        yield from port_number(destination["port"].get("number", 0))


def _destinations(route: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for part in route:
        yield from operations(part.get("headers"))
        yield from _destination(part["destination"])
        if part.get("weight", 0) < 0:
            yield f"weight {part['weight']} < 0"
    if (
        len(route) > 1 and sum(part.get("weight", 0) for part in route) % 2**32 == 0
    ):  # istiod adds them as 32-bit numbers
        yield "total destination weight = 0"


def _redirect(redirect: Mapping[str, Any] | None) -> Iterator[str]:
    if redirect is None:
        return
    if not any(redirect.get(key) for key in ("uri", "authority", "scheme")) and not redirect.keys() & {
        "port",
        "derivePort",
    }:
        yield "redirect must specify URI, authority, scheme, or port"
    if redirect.get("scheme") not in (None, "", "http", "https"):
        yield 'redirect scheme must be "http" or "https"'
    code = redirect.get("redirectCode", 0)
    if code and not 300 <= code <= 399:
        yield f"{code} is not a valid redirect code, must be 3xx"
    if redirect.get("port"):
        yield from port_number(redirect["port"])


def _direct(response: Mapping[str, Any] | None) -> Told:
    if response is None:
        return
    body = response.get("body") or {}
    size = len(base64.b64decode(body["bytes"])) if "bytes" in body else len(body.get("string", "").encode())
    if size > _LARGEST_BODY:
        yield "large direct_responses may impact control plane performance, must be less than 1MB"
    elif size > _LARGE_BODY:
        yield Warned("large direct_responses may impact control plane performance")
    yield from _status(response["status"])


def _retries(retries: Mapping[str, Any] | None) -> Iterator[str]:
    if retries is None:
        return
    attempts = retries.get("attempts", 0)
    if attempts < 0:
        yield "attempts cannot be negative"
    told = retries.get("retryOn") or "perTryTimeout" in retries or "retryRemoteLocalities" in retries
    if attempts == 0 and told:
        yield "http retry policy configured when attempts are set to 0 (disabled)"
    yield from duration(retries.get("perTryTimeout"))
    yield from duration(retries.get("backoff"))
    for word in retries["retryOn"].split(",") if retries.get("retryOn") else ():
        if word not in _RETRY_ON and number(word) not in _STATUS:
            yield f"{word!r} is not a valid retryOn policy"


def _rewrite(rewrite: Mapping[str, Any] | None) -> Iterator[str]:
    if rewrite is None:
        return
    by = rewrite.get("uriRegexRewrite")
    if rewrite.get("uri") and by is not None:
        yield "rewrite may only contain one of URI or UriRegexRewrite"
    if not rewrite.get("uri") and not rewrite.get("authority") and by is None:
        yield "rewrite must specify at least one of URI, UriRegexRewrite, or authority"
    if by is not None:
        if not by.get("match") or not by.get("rewrite"):
            yield "UriRegexRewrite requires both Rewrite and Match fields to be specified"
        else:
            yield from regex(by["match"], "rewrite.uriRegexRewrite.match")


def _authority(http: Mapping[str, Any]) -> Iterator[str]:
    """The host is rewritten at one place."""
    request = (http.get("headers") or {}).get("request") or {}
    headers = [*(request.get("set") or {}).items(), *(request.get("add") or {}).items()]
    given = [
        (http.get("rewrite") or {}).get("authority", ""),
        *(value for name, value in headers if is_authority(name)),
    ]
    if any(given[:-1]):
        yield f"authority header cannot be set multiple times: {', '.join(map(repr, given))}"
