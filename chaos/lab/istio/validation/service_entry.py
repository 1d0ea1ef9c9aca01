"""ServiceEntries: hosts that the registry does not have. In the lab they are on loopback, and nowhere else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import host_problem
from chaos.lab.istio.validation.outcome import outcome

_ENDPOINT: Final = s.obj(
    {
        "address": s.STRING, "ports": s.Node(kind="object", items=s.UINT32), "labels": s.LABELS, "network": s.unsupported(),
        "locality": s.unsupported(), "weight": s.UINT32, "serviceAccount": s.STRING,
    }
)  # fmt: skip
_PORT: Final = s.obj(
    {"number": s.UINT32, "protocol": s.STRING, "name": s.STRING, "targetPort": s.UINT32}, required=("number", "name")
)
SPEC: Final = s.obj(
    {
        "hosts": s.STRINGS,
        "addresses": s.STRINGS,
        "ports": s.array(_PORT),
        "location": s.Node(kind="string", enum=("MESH_EXTERNAL", "MESH_INTERNAL")),
        "resolution": s.Node(kind="string", enum=("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")),
        "endpoints": s.array(_ENDPOINT),
        "workloadSelector": s.obj({"labels": s.LABELS}),
        "exportTo": s.STRINGS,
        "subjectAltNames": s.STRINGS,
    },
    required=("hosts",),
)
_LOCAL: Final = ("localhost", "localhost.")


def validate_service_entry(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    spec = obj.get("spec") or {}
    return outcome(s.check(SPEC, spec, ("spec",)), errors=_errors(spec), limits=_limits(spec))


def _errors(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec["hosts"]:
        yield "service entry must have at least one host"
    for host in spec["hosts"]:
        if host == "*":
            yield "invalid host *"
        else:
            yield from host_problem(host)
    resolution = spec.get("resolution", "NONE")
    endpoints = spec.get("endpoints") or ()
    if endpoints and spec.get("workloadSelector"):
        yield "only one of WorkloadSelector or Endpoints is allowed in Service Entry"
    if resolution == "NONE" and endpoints:
        yield "no endpoints should be provided for resolution type none"
    if resolution == "DNS_ROUND_ROBIN" and len(endpoints) > 1:
        yield "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN"
    if resolution not in ("NONE", "STATIC") and any("/" in str(one) for one in spec.get("addresses") or ()):
        yield "CIDR addresses are allowed only for NONE/STATIC resolution types"
    if any("*" in str(one) for one in ((spec.get("workloadSelector") or {}).get("labels") or {}).values()):
        yield "wildcard is not supported in workloadSelector"
    numbers = [port["number"] for port in spec.get("ports") or ()]
    names = [port["name"] for port in spec.get("ports") or ()]
    if not numbers:
        yield "service entry must have at least one port"
    for listed, what in ((numbers, "number"), (names, "name")):
        for one in sorted({str(x) for x in listed if listed.count(x) > 1}):
            yield f"service entry port {what} {one} already defined"
    for number in numbers:
        if not 1 <= number <= 65535:
            yield f"port number {number} must be in the range 1..65535"
    for endpoint in endpoints:
        if not endpoint.get("address"):
            yield "endpoint address or network is required"
        for name, number in (endpoint.get("ports") or {}).items():
            if name not in names:
                yield f"endpoint port {name} is not defined by the service entry"
            if not 1 <= number <= 65535:
                yield f"endpoint port {name}: {number} must be in the range 1..65535"


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    resolution = spec.get("resolution", "NONE")
    if resolution in ("NONE", "DYNAMIC_DNS"):
        yield f"spec.resolution: {resolution}"
    if spec.get("workloadSelector") and resolution != "STATIC":
        yield f"spec.workloadSelector with spec.resolution: {resolution}"
    for at, host in enumerate(spec["hosts"]):
        if host.startswith("*"):
            yield f"spec.hosts[{at}]: wildcards such as {host}"
        elif resolution.startswith("DNS") and not spec.get("endpoints") and not _is_local(host):
            yield f"spec.hosts[{at}]: {host}, which is not on loopback (give it endpoints in 127.0.0.0/8)"
    for at, endpoint in enumerate(spec.get("endpoints") or ()):
        if not _is_local(endpoint["address"]):
            yield f"spec.endpoints[{at}].address: {endpoint['address']}, which is not on loopback"
    for at, port in enumerate(spec.get("ports") or ()):
        if str(port.get("protocol", "")).upper() not in ("HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", ""):
            yield f"spec.ports[{at}].protocol: {port['protocol']}"


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in _LOCAL
