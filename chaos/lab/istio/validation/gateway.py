"""Gateways: HTTP servers, with TLS where they end it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import host_problem
from chaos.lab.istio.validation.outcome import outcome

_VERSION: Final = s.Node(kind="string", enum=("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"))
_TLS: Final = s.obj(
    {
        "mode": s.Node(
            kind="string",
            enum=("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"),
        ),
        "credentialName": s.STRING,
        "httpsRedirect": s.BOOLEAN,
        "subjectAltNames": s.STRINGS,
        "minProtocolVersion": _VERSION,
        "maxProtocolVersion": _VERSION,
        "cipherSuites": s.STRINGS,
        **dict.fromkeys(
            (
                "credentialNames", "caCertCredentialName", "caCertificates", "caCrl", "privateKey", "serverCertificate",
                "tlsCertificates", "verifyCertificateHash", "verifyCertificateSpki",
            ),
            s.unsupported(),
        ),
    }
)  # fmt: skip
_SERVER: Final = s.obj(
    {
        "port": s.obj(
            {"number": s.UINT32, "protocol": s.STRING, "name": s.STRING, "targetPort": s.UINT32},
            required=("number", "protocol", "name"),
        ),
        "hosts": s.STRINGS,
        "name": s.STRING,
        "tls": _TLS,
        "bind": s.unsupported(),
        "defaultEndpoint": s.unsupported(),
    },
    required=("port", "hosts"),
)
SPEC: Final = s.obj({"selector": s.LABELS, "servers": s.array(_SERVER)})
_PLAIN: Final = ("HTTP", "HTTP2", "GRPC")
_OWN_FILES: Final = ("serverCertificate", "privateKey", "caCertificates", "tlsCertificates", "credentialNames")


def validate_gateway(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    spec = obj.get("spec") or {}
    return outcome(s.check(SPEC, spec, ("spec",)), errors=_errors(spec), limits=_limits(spec))


def _errors(spec: Mapping[str, Any]) -> Iterator[str]:
    servers = spec.get("servers") or ()
    if not servers:
        yield "gateway must have at least one server"
    names = [server["name"] for server in servers if server.get("name")]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"server names must be unique: {name}"
    ports = [server["port"]["name"] for server in servers]
    for name in sorted({name for name in ports if ports.count(name) > 1}):
        yield f"port names in servers must be unique: duplicate name {name}"
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
        yield from _tls(server)


def _tls(server: Mapping[str, Any]) -> Iterator[str]:
    tls, protocol = server.get("tls"), server["port"]["protocol"].upper()
    if protocol in ("HTTPS", "TLS") and not tls:
        yield f"server must have TLS settings for {protocol} protocols"
    if protocol == "HTTP" and tls and any(key not in ("httpsRedirect",) for key in tls):
        yield "server cannot have TLS settings for plain text HTTP ports"
    if not tls or protocol not in ("HTTPS", "TLS"):
        return
    if tls.get("httpsRedirect"):
        yield "tls.httpsRedirect should only be used with http servers"
    mode = tls.get("mode", "PASSTHROUGH")
    if mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL") and not (
        tls.get("credentialName") or any(tls.get(key) for key in _OWN_FILES)
    ):
        yield f"{mode} TLS requires a server certificate"
    if mode == "ISTIO_MUTUAL" and tls.get("credentialName"):
        yield "ISTIO_MUTUAL TLS cannot have associated credentialName"


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    for at, server in enumerate(spec.get("servers") or ()):
        protocol = server["port"]["protocol"].upper()
        mode = (server.get("tls") or {}).get("mode", "PASSTHROUGH")
        if protocol not in (*_PLAIN, "HTTPS"):
            yield f"spec.servers[{at}].port.protocol: {server['port']['protocol']}"
        elif protocol == "HTTPS" and mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
            yield f"spec.servers[{at}].tls.mode: {mode}"
