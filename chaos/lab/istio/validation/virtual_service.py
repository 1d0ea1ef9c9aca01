"""VirtualServices: the CRD's schema (1.30), the webhook's rules (istiod ``pkg/config/validation``), the lab's own limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.lab.api.validation import Validation, dotted
from chaos.lab.istio.routes import GRPC_CODES
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import gateway_problem, host_problem, label_problems
from chaos.model.istio import MESH, resolve_host

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
        "scheme": s.STRING_MATCH, "sourceLabels": s.LABELS, "sourceNamespace": s.STRING, "statPrefix": s.unsupported(),
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
        "retryOn": s.STRING, "retryRemoteLocalities": s.unsupported(),
    }
)  # fmt: skip
_REWRITE: Final = s.obj(
    {"authority": s.STRING, "uri": s.STRING, "uriRegexRewrite": s.obj({"match": s.STRING, "rewrite": s.STRING})}
)
_HTTP: Final = s.obj(
    {
        "corsPolicy": s.unsupported(), "delegate": s.unsupported(), "directResponse": s.unsupported(),
        "fault": _FAULT, "headers": _HEADERS, "match": s.array(_MATCH), "mirror": s.unsupported(),
        "mirror_percent": s.unsupported(), "mirrorPercent": s.unsupported(), "mirrorPercentage": s.unsupported(),
        "mirrors": s.unsupported(), "name": s.STRING, "redirect": s.unsupported(), "retries": _RETRIES,
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
        yield "virtual service must have at least one host"
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
        if "grpcStatus" in abort and abort["grpcStatus"] not in GRPC_CODES:
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
    amount = s.nanoseconds(text)
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
