"""Gateways: plain HTTP servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation, dotted
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import host_problem

_SERVER: Final = s.obj(
    {
        "port": s.obj(
            {"number": s.UINT32, "protocol": s.STRING, "name": s.STRING, "targetPort": s.UINT32},
            required=("number", "protocol", "name"),
        ),
        "hosts": s.STRINGS,
        "name": s.STRING,
        "tls": s.unsupported(),
        "bind": s.unsupported(),
        "defaultEndpoint": s.unsupported(),
    },
    required=("port", "hosts"),
)
SPEC: Final = s.obj({"selector": s.LABELS, "servers": s.array(_SERVER)})


def validate_gateway(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    spec = obj.get("spec") or {}
    found = s.check(SPEC, spec, ("spec",))
    if found.causes:
        return Validation(causes=found.causes, unknown=found.unknown)
    errors = list(_errors(spec))
    other = sorted({x["port"]["protocol"] for x in spec.get("servers") or ()} - {"HTTP", "HTTP2", "GRPC"})
    denied = ""
    if errors:
        denied = f"configuration is invalid: {'; '.join(errors)}"
    elif found.unsupported:
        denied = f"the lab does not support {', '.join(map(dotted, found.unsupported))} yet"
    elif other:
        denied = f"the lab does not support servers with protocol {', '.join(other)} yet"
    return Validation(denied=denied, unknown=found.unknown)


def _errors(spec: Mapping[str, Any]) -> Iterator[str]:
    servers = spec.get("servers") or ()
    if not servers:
        yield "gateway must have at least one server"
    names = [server["name"] for server in servers if server.get("name")]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"server names must be unique: {name}"
    for server in servers:
        if not server["hosts"]:
            yield "server config must contain at least one host"
        if not 1 <= server["port"]["number"] <= 65535:
            yield f"port number {server['port']['number']} must be in the range 1..65535"
        for host in server["hosts"]:
            namespace, slash, name = host.rpartition("/")
            if name != "*":
                yield from host_problem(name)
            if slash and not namespace:
                yield f"invalid host {host!r}"
