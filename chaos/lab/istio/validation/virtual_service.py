"""VirtualServices: the CRD's schema (1.30), the webhook's rules (istiod ``pkg/config/validation``), the lab's own limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.hosts import overlap
from chaos.istio.virtual_services import MESH
from chaos.lab.api.validation import Validation
from chaos.lab.istio.answers import REDIRECT_CODES
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.envoy import route_limits
from chaos.lab.istio.validation.hosts import export_to, gateway_names, is_address, wildcard_domain
from chaos.lab.istio.validation.http_route import HTTP, http_route
from chaos.lab.istio.validation.outcome import Told, Warned, validated
from chaos.lab.istio.validation.unreachable import unreachable
from chaos.lab.istio.validation.values import is_claim

SPEC: Final = s.obj(
    {
        "exportTo": s.STRINGS, "gateways": s.STRINGS, "hosts": s.STRINGS, "http": s.array(HTTP),
        "tcp": s.unsupported(), "tls": s.unsupported(),
    }
)  # fmt: skip


def validate_virtual_service(obj: dict[str, Any]) -> Validation:
    """The schema first, as the API server does; then the webhook's rules; then what the lab can't do."""
    return validated(SPEC, obj, _rules, _limits)


def _rules(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Told:
    hosts, gateways, routes = spec.get("hosts") or (), spec.get("gateways") or (), spec.get("http") or ()
    if not hosts and gateways:
        yield "delegate virtual service must have no gateways specified"
    yield from gateway_names(gateways)
    in_mesh = not gateways or MESH in gateways
    if in_mesh:
        yield from _claims(routes)
    yield from _hosts(hosts, in_mesh=in_mesh)
    if not routes:
        yield "http, tcp or tls must be provided in virtual service"
    for index, http in enumerate(routes):
        for told in http_route(http, is_delegate=not hosts):
            yield told if isinstance(told, Warned) else f"http[{index}]: {told}"
    yield from export_to(spec.get("exportTo") or (), meta.get("namespace", ""))
    yield from unreachable(routes)


def _claims(routes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    matches = [match for http in routes for match in http.get("match") or ()]
    for name in (name for match in matches for key in ("headers", "withoutHeaders") for name in match.get(key) or ()):
        if is_claim(name):
            yield f"JWT claim based routing (key: {name}) is only supported for gateway"


def _hosts(hosts: Sequence[str], *, in_mesh: bool) -> Iterator[str]:
    """Each is a host, and none covers another (``host.Name.Matches``): only then are they compared."""
    wrong = [told for host in hosts if not is_address(host) for told in wildcard_domain(host)]
    if in_mesh and "*" in hosts:
        wrong.append("wildcard host * is not allowed for virtual services bound to the mesh gateway")
    yield from wrong
    if wrong:
        return
    for index, host in enumerate(hosts):
        for other in hosts[index + 1 :]:
            if overlap(host, other):
                yield f"duplicate hosts in virtual service: {host} & {other}"


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    for at, http in enumerate(spec["http"]):
        code = (http.get("redirect") or {}).get("redirectCode", 0)
        if code and code not in REDIRECT_CODES:
            yield f"spec.http[{at}].redirect.redirectCode: {code}"
        yield from route_limits(http, f"spec.http[{at}]")
        for number, match in enumerate(http.get("match") or ()):
            for key in ("headers", "withoutHeaders"):
                for name in match.get(key) or ():
                    if is_claim(name):
                        yield f"spec.http[{at}].match[{number}].{key}: claims such as {name}"
