"""VirtualServices: the CRD's schema (1.30), the webhook's rules (istiod ``pkg/config/validation``), the lab's own limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.grpc import GRPC_STATUSES
from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import MESH
from chaos.lab.api.validation import Validation, dotted
from chaos.lab.istio.answers import REDIRECT_CODES
from chaos.lab.istio.durations import nanoseconds
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import gateway_problem, host_problem, label_problems

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
            one_of=("grpcStatus", "httpStatus", "http2Error"),
        ),
        "delay": s.obj(
            {"exponentialDelay": s.DURATION, "fixedDelay": s.DURATION, "percent": s.INT32, "percentage": _PERCENT},
            one_of=("fixedDelay", "exponentialDelay"),
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
        "unmatchedPreflights": s.Node(kind="string", enum=("UNSPECIFIED", "FORWARD", "IGNORE")),
    }
)  # fmt: skip
_DIRECT: Final = s.obj(
    {"body": s.obj({"bytes": s.STRING, "string": s.STRING}, one_of=("string", "bytes")), "status": s.UINT32},
    required=("status",),
)
_REDIRECT: Final = s.obj(
    {
        "authority": s.STRING,
        "derivePort": s.Node(kind="string", enum=("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")),
        "port": s.UINT32, "redirectCode": s.UINT32, "scheme": s.STRING, "uri": s.STRING,
    },
    one_of=("port", "derivePort"),
)  # fmt: skip
_HTTP: Final = s.obj(
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
SPEC: Final = s.obj(
    {
        "exportTo": s.STRINGS, "gateways": s.STRINGS, "hosts": s.STRINGS, "http": s.array(_HTTP),
        "tcp": s.unsupported(), "tls": s.unsupported(),
    }
)  # fmt: skip

_RETRY_ON: Final = {
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx",
    "refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure", "cancelled",
    "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}  # fmt: skip
_LARGEST_BODY: Final = 1024 * 1024
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"}
_HEADER_NAME: Final = re.compile(r"[-_A-Za-z0-9]+")


def validate_virtual_service(obj: dict[str, Any]) -> Validation:
    """The schema first, as the API server does; then the webhook's rules; then what the lab can't do."""
    spec = obj.get("spec") or {}
    found = s.check(SPEC, spec, ("spec",))
    if found.causes:
        return Validation(causes=found.causes, unknown=found.unknown)
    errors = list(_errors(spec, obj.get("metadata") or {}))
    denied = ""
    if errors:
        told = errors[0] if len(errors) == 1 else f"{len(errors)} errors occurred: {'; '.join(errors)}"
        denied = f"configuration is invalid: {told}"
    elif found.unsupported:
        denied = f"the lab does not support {', '.join(map(dotted, found.unsupported))} yet"
    return Validation(denied=denied, warnings=tuple(_warnings(spec)), unknown=found.unknown)


def _errors(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Iterator[str]:
    hosts, gateways = spec.get("hosts") or (), spec.get("gateways") or (MESH,)
    for gateway in spec.get("gateways") or ():
        yield from gateway_problem(gateway)
    if not hosts:
        yield from _delegate_errors(spec)
    mesh = MESH in gateways
    for host in hosts:
        if host == "*" and mesh:
            yield "wildcard host * is not allowed for virtual services bound to the mesh gateway"
        elif host != "*":
            yield from host_problem(host)
    yield from _overlaps(hosts, meta.get("namespace", ""))
    if not any(spec.get(kind) for kind in ("http", "tcp", "tls")):
        yield "http, tcp or tls must be provided in virtual service"
    for index, http in enumerate(spec.get("http") or ()):
        for message in _http_errors(http):
            yield f"http[{index}]: {message}"
    yield from _export(spec.get("exportTo") or ())


def _delegate_errors(spec: Mapping[str, Any]) -> Iterator[str]:
    """Without hosts it is a delegate (istiod validateHTTPRouteConflict, ValidateVirtualService)."""
    if spec.get("gateways"):
        yield "delegate virtual service must have no gateways specified"
    for kind in ("tls", "tcp"):
        if spec.get(kind):
            yield f"delegate virtual service must have no {kind} config specified"
    if any("delegate" in http for http in spec.get("http") or ()):
        yield "delegate HTTP route cannot contain delegate"


def _overlaps(hosts: Sequence[str], namespace: str) -> Iterator[str]:
    resolved = [resolve_host(host, namespace) for host in hosts]
    for index, one in enumerate(resolved):
        for other in resolved[:index]:
            wild = (one.startswith("*") and other.endswith(one[1:])) or (
                other.startswith("*") and one.endswith(other[1:])
            )
            if one == other or wild:
                yield f"duplicate hosts in virtual service: {hosts[index]}"


def _export(export: Sequence[str]) -> Iterator[str]:
    if len(set(export)) != len(export):
        yield "duplicate entries in exportTo"
    if "~" in export and len(export) > 1:
        yield "cannot export to both none (~) and other namespaces"
    for entry in export:
        if entry not in (".", "*", "~") and not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", entry):
            yield f"exportTo entry {entry!r} is not a namespace"


def _http_errors(http: Mapping[str, Any]) -> Iterator[str]:
    route = http.get("route") or ()
    redirect, direct, delegate = (http.get(key) is not None for key in ("redirect", "directResponse", "delegate"))
    if delegate and (route or redirect or direct):
        yield "root HTTP route cannot specify delegate beside route, redirect or direct_response"
    if redirect or direct:
        name = "redirect" if redirect else "direct_response"
        if route:
            yield f"HTTP route cannot contain both route and {name}"
        if http.get("fault") is not None:
            yield f"HTTP route cannot contain both fault and {name}"
        if redirect and http.get("rewrite") is not None:
            yield "HTTP route rule cannot contain both rewrite and redirect"
    elif not route and not delegate:
        yield "HTTP route, redirect or direct_response is required"
    if delegate and not http["delegate"].get("name"):
        yield "delegate must name a virtual service"
    yield from _redirect_errors(http.get("redirect"))
    yield from _direct_errors(http.get("directResponse"))
    yield from _mirror_errors(http)
    yield from _cors_errors(http.get("corsPolicy"))
    for block in http.get("match") or ():
        yield from _match_errors(block)
    yield from _fault_errors(http.get("fault") or {})
    yield from _route_errors(route)
    for holder in (http, *route):
        for side in ("request", "response"):
            operations = (holder.get("headers") or {}).get(side) or {}
            for name in (
                *(operations.get("set") or ()),
                *(operations.get("add") or ()),
                *(operations.get("remove") or ()),
            ):
                yield from _header_name(name)
    yield from _retry_errors(http.get("retries"))
    if http.get("timeout"):
        yield from _duration(http["timeout"])
    if http.get("rewrite") is not None:
        rewrite = http["rewrite"]
        if not (rewrite.get("uri") or rewrite.get("authority") or rewrite.get("uriRegexRewrite")):
            yield "rewrite must specify path, host, or both"
        if rewrite.get("uri") and rewrite.get("uriRegexRewrite"):
            yield "rewrite may only contain one of URI or UriRegexRewrite"
        if rewrite.get("uriRegexRewrite"):
            yield from _regex(rewrite["uriRegexRewrite"].get("match", ""))


def _redirect_errors(redirect: Mapping[str, Any] | None) -> Iterator[str]:
    if redirect is None:
        return
    if not any(redirect.get(key) for key in ("uri", "authority", "port", "derivePort", "scheme")):
        yield "redirect must specify URI, authority, scheme, or port"
    if redirect.get("scheme") not in (None, "", "http", "https"):
        yield 'redirect scheme must be "http" or "https"'
    code = redirect.get("redirectCode", 0)
    if code and code not in REDIRECT_CODES:
        yield f"{code} is not a valid redirect code, must be 301, 302, 303, 307 or 308"


def _direct_errors(response: Mapping[str, Any] | None) -> Iterator[str]:
    if response is None:
        return
    if not 200 <= response["status"] <= 599:
        yield f"HTTP status {response['status']} is not in range 200-599"
    body = response.get("body") or {}
    if len(str(body.get("string") or body.get("bytes") or "")) > _LARGEST_BODY:
        yield f"response body is greater than {_LARGEST_BODY} bytes"


def _mirror_errors(http: Mapping[str, Any]) -> Iterator[str]:
    if http.get("mirror") and http.get("mirrors"):
        yield "HTTP route cannot contain both mirror and mirrors"
    for percent in (http.get("mirrorPercent"), http.get("mirror_percent")):
        if percent is not None and percent > 100:
            yield f"mirror_percent must have a max value of 100 (it has {percent})"
    for share in (http.get("mirrorPercentage"), *(one.get("percentage") for one in http.get("mirrors") or ())):
        if share is not None and not 0 <= share.get("value", 0) <= 100:
            yield f"mirror_percentage must have a value between 0 and 100 (it has {share.get('value')})"
    for where in (http.get("mirror"), *(one["destination"] for one in http.get("mirrors") or ())):
        if where:
            yield from host_problem(where["host"])


def _cors_errors(policy: Mapping[str, Any] | None) -> Iterator[str]:
    for origin in (policy or {}).get("allowOrigins") or ():
        if not any(origin.get(key) for key in ("exact", "prefix", "regex")):
            yield "CORS policy: an origin must have a value"
        yield from _regex(origin.get("regex", ""))
    for method in (policy or {}).get("allowMethods") or ():
        if method not in _METHODS:
            yield f"CORS policy: {method!r} is not a supported HTTP method"
    for key in ("allowHeaders", "exposeHeaders"):
        for name in (policy or {}).get(key) or ():
            if name != "*":
                yield from _header_name(name)
    if (policy or {}).get("maxAge"):
        yield from _duration(policy["maxAge"] if policy else "")


def _match_errors(block: Mapping[str, Any]) -> Iterator[str]:
    if not block:
        yield "HTTP match cannot be nil"
        return
    for kind in ("headers", "withoutHeaders"):
        for name, value in (block.get(kind) or {}).items():
            yield from _header_name(name)
            yield from _regex((value or {}).get("regex", ""))
    for kind in ("uri", "method", "authority", "scheme"):
        value = block.get(kind)
        if value is not None:
            if value.get("prefix") == "" or (value.get("exact") == "" and kind == "uri"):
                yield f"{kind}: empty string match is not allowed"
            yield from _regex(value.get("regex", ""))
    for value in (block.get("queryParams") or {}).values():
        yield from _regex((value or {}).get("regex", ""))
    yield from label_problems(block.get("sourceLabels") or {})
    for gateway in block.get("gateways") or ():
        yield from gateway_problem(gateway)
    port = block.get("port")
    if port is not None and not 0 <= port <= 65535:
        yield f"port number {port} must be in the range 1..65535"


def _fault_errors(fault: Mapping[str, Any]) -> Iterator[str]:
    abort, delay = fault.get("abort"), fault.get("delay")
    if fault == {} and fault is not None:
        return
    if abort is None and delay is None:
        yield "HTTP fault injection must have an abort and/or a delay"
    if abort is not None:
        yield from _percentage(abort.get("percentage"))
        if "grpcStatus" in abort and abort["grpcStatus"] not in GRPC_STATUSES:
            yield f"gRPC status {abort['grpcStatus']!r} is not supported. See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md"
        if "http2Error" in abort:
            yield "HTTP/2 abort fault injection not supported yet"
        if "httpStatus" in abort and not 200 <= abort["httpStatus"] <= 600:
            yield f"HTTP status {abort['httpStatus']} is not in range 200-600"
    if delay is not None:
        yield from _percentage(delay.get("percentage"))
        if "fixedDelay" in delay:
            yield from _duration(delay["fixedDelay"])
        if "exponentialDelay" in delay:
            yield from _duration(delay["exponentialDelay"])
            yield "exponentialDelay not supported yet"


def _percentage(percentage: Mapping[str, Any] | None) -> Iterator[str]:
    value = (percentage or {}).get("value", 0)
    if value < 0 or value > 100 or 0 < value < 0.0001:
        yield f"percentage {value} is neither 0.0, nor in range [0.0001, 100.0]"


def _duration(text: str) -> Iterator[str]:
    """istiod agent.ValidateDuration."""
    amount = nanoseconds(text)
    if amount is None or amount < 10**6:
        yield f"duration {text!r} must be greater than 1ms"
    elif amount % 10**6:
        yield "only durations to ms precision are supported"


def _route_errors(route: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    weights = [part.get("weight", 0) for part in route]
    for part in route:
        destination = part["destination"]
        if destination["host"] == "*":
            yield f"invalid destination host {destination['host']}"
        else:
            yield from host_problem(destination["host"])
        if destination.get("subset") and not re.fullmatch(
            r"[a-z0-9A-Z]([-a-z0-9A-Z_.]*[a-z0-9A-Z])?", destination["subset"]
        ):
            yield f"subset name is invalid: {destination['subset']!r}"
        number = (destination.get("port") or {}).get("number")
        if "port" in destination and not 1 <= (number or 0) <= 65535:
            yield f"port number {number} must be in the range 1..65535"
    if any(weight < 0 for weight in weights):
        yield f"weight {min(weights)} < 0"
    elif len(route) > 1 and sum(weights) == 0:
        yield "total destination weight = 0"


def _header_name(name: str) -> Iterator[str]:
    if not name:
        yield "header name cannot be empty"
    elif not _HEADER_NAME.fullmatch(name):
        yield f"header name {name!r} is not a valid header name"


def _retry_errors(retries: Mapping[str, Any] | None) -> Iterator[str]:
    if retries is None:
        return
    attempts = retries.get("attempts", 0)
    if attempts < 0:
        yield "attempts cannot be negative"
    if attempts == 0 and (retries.get("retryOn") or retries.get("perTryTimeout")):
        yield "http retry policy configured when attempts are set to 0 (disabled)"
    for key in ("perTryTimeout", "backoff"):
        if retries.get(key):
            yield from _duration(retries[key])
    for word in (retries.get("retryOn") or "").split(",") if retries.get("retryOn") else ():
        plain = word.strip()
        if plain.isdigit():
            if not 100 <= int(plain) < 600:
                yield f"{plain} is not a valid HTTP status code"
        elif plain not in _RETRY_ON:
            yield f"{plain!r} is not a valid retryOn policy"


def _regex(pattern: str) -> Iterator[str]:
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"invalid regex {pattern!r}: {error}"


# --- warnings ----------------------------------------------------------------------------------------------------------


def _warnings(spec: Mapping[str, Any]) -> Iterator[str]:
    """What istiod's webhook warns of: faults without a kind, rules that can't be reached (IST0130) or match twice (IST0131)."""
    for index, http in enumerate(spec.get("http") or ()):
        abort = (http.get("fault") or {}).get("abort")
        if abort is not None and not any(key in abort for key in ("httpStatus", "grpcStatus", "http2Error")):
            yield "abort does not specify error type (httpStatus, grpcStatus): it will be ignored"
        if any(
            key in (block.get("headers") or {})
            for block in http.get("match") or ()
            for key in ("uri", "method", "scheme", "authority")
        ):
            yield f"http[{index}]: header match on a pseudo header name will be ignored"
    yield from _unreachable(spec.get("http") or ())


def _unreachable(routes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    catch_all: str | None = None
    seen: dict[str, str] = {}
    for index, http in enumerate(routes):
        name = f"#{index}" + (f" ({http['name']})" if http.get("name") else "")
        blocks = http.get("match") or []
        if catch_all is not None:
            yield f"virtualService rule {name} not used (only the last rule can have no matches)"
            continue
        if not blocks:
            catch_all = name
            continue
        keys = [repr(_normal(block)) for block in blocks]
        known = [key for key in keys if key in seen]
        if len(known) == len(keys):
            yield f"virtualService rule {name} not used (all matches are duplicated in {seen[known[0]]})"
        elif known:
            yield f"virtualService rule {name} match is not used (it is a duplicate of a match in {seen[known[0]]})"
        for key in keys:
            seen.setdefault(key, name)
        if any(set(block) <= {"name"} for block in blocks):
            catch_all = name


def _normal(block: Mapping[str, Any]) -> Any:
    def order(node: Any) -> Any:
        if isinstance(node, Mapping):
            return tuple(sorted((key, order(value)) for key, value in node.items()))
        return tuple(order(item) for item in node) if isinstance(node, list) else node

    return order({key: value for key, value in block.items() if key != "name"})
