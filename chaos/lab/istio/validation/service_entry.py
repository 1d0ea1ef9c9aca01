"""ServiceEntries: hosts that the registry does not have. In the lab they are on loopback, and nowhere else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.istio.ports import HTTP, TLS, protocol_named
from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import (
    export_to,
    fqdn,
    is_address,
    is_label,
    labels,
    partial_wildcard,
    port_number,
    selector,
    subnet,
    wildcard_domain,
)
from chaos.lab.istio.validation.outcome import Told, Warned, validated

_UNIX: Final = "unix://"
_PORT_NAME: Final = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_ADDRESS: Final = s.text(
    longest=256,
    rules=(
        (
            "UDS must be an absolute path or abstract socket",
            lambda one: not one.startswith(_UNIX) or one[len(_UNIX) :].startswith(("/", "@")),
        ),
        ("UDS may not be a dir", lambda one: not one.startswith(_UNIX) or not one.endswith("/")),
    ),
)
_PORTS: Final = s.mapping(
    s.PORT,
    longest=128,
    rules=(
        (
            "port name must be valid",
            lambda ports: all(len(name) < 63 and _PORT_NAME.fullmatch(name) for name in ports),
        ),
    ),
)
_ENDPOINT: Final = s.obj(
    {
        "address": _ADDRESS, "ports": _PORTS, "labels": s.mapping(s.STRING, longest=256), "network": s.unsupported(),
        "locality": s.unsupported(), "weight": s.UINT32, "serviceAccount": s.text(longest=253),
    },
    rules=(
        ("Address is required", lambda one: "address" in one or "network" in one),
        ("UDS may not include ports", lambda one: not one.get("address", "").startswith(_UNIX) or "ports" not in one),
    ),
)  # fmt: skip
_PORT: Final = s.obj(
    {"number": s.PORT, "protocol": s.text(longest=256), "name": s.text(longest=256), "targetPort": s.PORT},
    required=("number", "name"),
)
SPEC: Final = s.obj(
    {
        "hosts": s.array(
            s.text(rules=(("hostname cannot be wildcard", lambda host: host != "*"),)), shortest=1, longest=256
        ),
        "addresses": s.array(s.text(longest=64), longest=256),
        "ports": s.array(
            _PORT,
            longest=256,
            unique="name",
            rules=(
                (
                    "port number cannot be duplicated",
                    lambda ports: len({port["number"] for port in ports}) == len(ports),
                ),
            ),
        ),
        "location": s.choice("MESH_EXTERNAL", "MESH_INTERNAL"),
        "resolution": s.choice("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"),
        "endpoints": s.array(_ENDPOINT, longest=4096),
        "workloadSelector": s.obj({"labels": s.SELECTED}),
        "exportTo": s.STRINGS,
        "subjectAltNames": s.STRINGS,
    },
    required=("hosts",),
    one_of=(("workloadSelector", "endpoints"),),
    rules=(
        (
            "CIDR addresses are allowed only for NONE/STATIC resolution types",
            lambda spec: (
                _resolution(spec) in ("NONE", "STATIC") or not any("/" in one for one in spec.get("addresses", ()))
            ),
        ),
        ("NONE mode cannot set endpoints", lambda spec: _resolution(spec) != "NONE" or "endpoints" not in spec),
        (
            "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
            lambda spec: _resolution(spec) != "DNS_ROUND_ROBIN" or len(spec.get("endpoints", ())) <= 1,
        ),
    ),
)
_LOCAL: Final = ("localhost", "localhost.")


def validate_service_entry(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    return validated(SPEC, obj, _rules, _limits)


def _resolution(spec: Mapping[str, Any]) -> str:
    return str(spec.get("resolution", "NONE"))


def _rules(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Told:
    resolution, hosts = _resolution(spec), spec["hosts"]
    yield from selector(
        spec.get("workloadSelector"),
        key="labels",
        why="service entry: {}, will be applied to all services in namespace",
    )
    if resolution == "NONE" and "workloadSelector" in spec:
        yield Warned("workloadSelector should not be set when resolution mode is NONE")
    for host in hosts:
        yield from wildcard_domain(host)
        yield from map(Warned, partial_wildcard(host))
    for address in spec.get("addresses") or ():
        yield from subnet(address)
    yield from _ports(spec, meta)
    yield from _endpoints(spec)
    if resolution.startswith("DNS") and not spec.get("endpoints"):
        for host in hosts:
            if list(fqdn(host)):
                yield f"hosts must be FQDN if no endpoints are provided for resolution mode {resolution}"
    yield from export_to(spec.get("exportTo") or (), meta.get("namespace", ""), nobody=True)


def _ports(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Told:
    resolution, several = _resolution(spec), len(spec["hosts"]) > 1
    opted_out = str((meta.get("labels") or {}).get("networking.istio.io/enable-autoallocate-ip", "")).lower() == "false"
    protocols = [protocol_named(port.get("protocol", "")) for port in spec.get("ports") or ()]
    for port in spec.get("ports") or ():
        protocol = port.get("protocol", "")
        if not is_label(port["name"]):
            yield f"invalid port name: {port['name']!r}"
        if protocol and protocol_named(protocol) is None:
            yield f"unsupported protocol: {protocol}"
        if not spec.get("addresses") and (opted_out or resolution == "NONE") and protocol in ("", "TCP"):
            yield Warned(
                "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled"
            )
    if not several:
        return
    if resolution != "NONE" and any(one not in (*HTTP, *TLS) for one in protocols):
        yield "multiple hosts provided with non-HTTP, non-TLS ports"
    on_tcp = any(one not in (None, *HTTP, "udp") for one in protocols)
    if resolution.startswith("DNS") and spec.get("addresses") and on_tcp:
        yield Warned("service entry can not have more than one host specified simultaneously with address and tcp port")


def _endpoints(spec: Mapping[str, Any]) -> Iterator[str]:
    names = {port["name"] for port in spec.get("ports") or ()}
    for endpoint in spec.get("endpoints") or ():
        address = endpoint.get("address", "")
        unix = _resolution(spec) == "STATIC" and address.startswith(_UNIX)
        if not address:
            yield "endpoint address is required"
        elif unix and len(names) != 1:
            yield "exactly 1 service port required for unix endpoints"
        elif not unix and not is_address(address) and (_resolution(spec) == "STATIC" or list(fqdn(address))):
            yield f"endpoint address {address!r} is not a valid IP address (or, for DNS, name)"
        for name, number in (endpoint.get("ports") or {}).items():
            if name not in names:
                yield f"endpoint port {name} is not defined by the service entry"
            if not is_label(name):
                yield f"invalid port name: {name!r}"
            yield from port_number(number)
        yield from labels(endpoint.get("labels"))


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    resolution = _resolution(spec)
    if resolution in ("NONE", "DYNAMIC_DNS"):
        yield f"spec.resolution: {resolution}"
    if spec.get("workloadSelector") and resolution != "STATIC":
        yield f"spec.workloadSelector with spec.resolution: {resolution}"
    for at, host in enumerate(spec["hosts"]):
        if host.startswith("*"):
            yield f"spec.hosts[{at}]: wildcards such as {host}"
        elif resolution.startswith("DNS") and not spec.get("endpoints") and not _is_local(host):
            yield f"spec.hosts[{at}]: {host}, which is not on loopback (give it endpoints in 127.0.0.0/8)"
    if not spec.get("ports"):
        yield "spec.ports: none"
    for at, endpoint in enumerate(spec.get("endpoints") or ()):
        if not _is_local(endpoint["address"]):
            yield f"spec.endpoints[{at}].address: {endpoint['address']}, which is not on loopback"
    for at, port in enumerate(spec.get("ports") or ()):
        if port.get("protocol", "").lower() not in ("http", "http2", "grpc", *TLS, ""):
            yield f"spec.ports[{at}].protocol: {port['protocol']}"


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in _LOCAL
