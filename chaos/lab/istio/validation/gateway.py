"""Gateways: HTTP servers, with TLS where they end it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.ports import HTTP, TLS, protocol_named
from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import is_label, listed_host, port_number
from chaos.lab.istio.validation.outcome import Told, Warned, validated

_VERSION: Final = s.choice("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
_FILES: Final = (
    "credentialNames", "caCertCredentialName", "caCertificates", "caCrl", "privateKey", "serverCertificate",
    "tlsCertificates", "verifyCertificateHash", "verifyCertificateSpki",
)  # fmt: skip
_TLS: Final = s.obj(
    {
        "mode": s.choice("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"),
        "credentialName": s.STRING,
        "httpsRedirect": s.BOOLEAN,
        "subjectAltNames": s.STRINGS,
        "minProtocolVersion": _VERSION,
        "maxProtocolVersion": _VERSION,
        "cipherSuites": s.STRINGS,
        **dict.fromkeys(_FILES, s.unsupported()),
    },
    one_of=(("tlsCertificates", "credentialNames"), ("credentialName", "credentialNames")),
)
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
_CIPHERS: Final = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA",
    }
)  # fmt: skip
"""Istiod ``security.ValidCipherSuites``."""


def validate_gateway(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    return validated(SPEC, obj, _rules, _limits)


def _rules(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Told:
    if not is_label(meta.get("name", "")):
        yield f"invalid gateway name: {meta.get('name', '')!r}"
    servers = spec.get("servers") or ()
    if not servers:
        yield "gateway must have at least one server"
    ports = [server["port"]["name"] for server in servers]
    for name in sorted({name for name in ports if ports.count(name) > 1}):
        yield f"port names in servers must be unique: duplicate name {name}"
    for server in servers:
        yield from _server(server)


def _server(server: Mapping[str, Any]) -> Told:
    port, tls = server["port"], server.get("tls")
    protocol = protocol_named(port["protocol"])
    if not server["hosts"]:
        yield "server config must contain at least one host"
    for host in server["hosts"]:
        yield from listed_host(host, gateway=True)
    if protocol is None:
        yield f"invalid protocol {port['protocol']!r}"
    yield from port_number(port["number"])
    if port.get("targetPort"):
        yield "targetPort has no impact on Gateways"
    if not port["name"]:
        yield "port name must be set"
    if tls is None:
        if protocol in TLS:
            yield "server must have TLS settings for HTTPS/TLS protocols"
        return
    yield from _tls(tls)
    if protocol not in HTTP and tls.get("httpsRedirect"):
        yield Warned("tls.httpsRedirect should only be used with http servers")
    if protocol not in TLS and not (protocol in HTTP and _mode(tls) in ("PASSTHROUGH", "AUTO_PASSTHROUGH")):
        yield "server cannot have TLS settings for ports whose protocol is neither HTTPS nor TLS"


def _mode(tls: Mapping[str, Any]) -> str:
    return str(tls.get("mode", "PASSTHROUGH"))


def _tls(tls: Mapping[str, Any]) -> Told:
    """Istiod ``validateTLSOptions``, for certificates by ``credentialName`` only."""
    suites, mode = tls.get("cipherSuites") or (), _mode(tls)
    if tls.get("minProtocolVersion") in ("TLSV1_0", "TLSV1_1") and not suites:
        yield Warned(
            "TLS version below TLSV1_2 require setting compatible ciphers as by default they no longer include compatible ciphers."
        )
    yield from _suites(suites)
    if mode == "ISTIO_MUTUAL":
        if tls.get("credentialName"):
            yield "ISTIO_MUTUAL TLS cannot have associated credentialName"
    elif mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
        if tls.get("credentialName"):
            yield Warned(f"{mode} mode does not use certificates, they will be ignored")
    elif not tls.get("credentialName"):
        yield f"{mode} TLS requires a server certificate"


def _suites(suites: Sequence[str]) -> Iterator[Warned]:
    good = [one for one in suites if one in ("", "ALL") or not one[0].isalnum() or one in _CIPHERS]
    bad = sorted(set(suites) - set(good))
    if bad:
        yield Warned(f"ignoring invalid cipher suites: [{' '.join(bad)}]")
    twice = sorted({one for one in good if good.count(one) > 1})
    if twice:
        yield Warned(f"ignoring duplicate cipher suites: [{' '.join(twice)}]")


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    for at, server in enumerate(spec["servers"]):
        protocol = server["port"]["protocol"].upper()
        mode = _mode(server.get("tls") or {})
        if protocol not in (*_PLAIN, "HTTPS"):
            yield f"spec.servers[{at}].port.protocol: {server['port']['protocol']}"
        elif protocol == "HTTPS" and mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
            yield f"spec.servers[{at}].tls.mode: {mode}"
