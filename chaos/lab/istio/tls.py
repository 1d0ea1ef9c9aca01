"""Transport sockets: mutual TLS between sidecars, TLS at gateways and towards servers outside the mesh."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from chaos.istio.exports import Object
from chaos.lab.istio.pieces import from_control_plane

OWN_CERTIFICATE: Final = "default"
TRUSTED: Final = "ROOTCA"
OFFERED_BY_ISTIO: Final = ("istio", "istio-http/1.1", "istio-h2")
"""Application protocols by which a sidecar recognises another one before TLS (istiod ``pilot/pkg/networking/util``)."""
MODE_KEY: Final = "tlsMode"
MODE_ISTIO: Final = "istio"
"""Value of an endpoint's ``tlsMode`` where its proxy takes mutual TLS (istiod ``pilot/pkg/model/service.go``)."""
_TLS: Final = "envoy.extensions.transport_sockets.tls.v3"
_VERSIONS: Final = {"TLSV1_0": "TLSv1_0", "TLSV1_1": "TLSv1_1", "TLSV1_2": "TLSv1_2", "TLSV1_3": "TLSv1_3"}
Config = dict[str, Any]


def _secret(name: str) -> Config:
    return {"name": name, "sds_config": from_control_plane()}


def _socket(kind: str, context: Config) -> Config:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": f"type.googleapis.com/{_TLS}.{kind}TlsContext", **context},
    }


def _sans(names: Iterable[str]) -> list[Config]:
    """A name of a certificate may be an URI or a DNS name: either will do."""
    return [
        {"san_type": kind, "matcher": {"exact": name}}
        for name in names
        for kind in (("URI",) if name.startswith("spiffe://") else ("URI", "DNS"))
    ]


def mutual_downstream() -> Config:
    """What a sidecar's inbound side wants of an Istio peer."""
    return _socket(
        "Downstream",
        {
            "require_client_certificate": True,
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [_secret(OWN_CERTIFICATE)],
                "validation_context_sds_secret_config": _secret(TRUSTED),
            },
        },
    )


def mutual_upstream(identities: Iterable[str], *, sni: str, http2: bool) -> Config:
    """How a sidecar calls a peer that takes mutual TLS; the peer has to be one of these identities."""
    return _socket(
        "Upstream",
        {
            "sni": sni,
            "common_tls_context": {
                "alpn_protocols": ["istio-h2", "istio", "h2"] if http2 else ["istio-http/1.1", "istio", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [_secret(OWN_CERTIFICATE)],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": _sans(identities)},
                    "validation_context_sds_secret_config": _secret(TRUSTED),
                },
            },
        },
    )


def automatic(identities: Sequence[str], *, sni: str, http2: bool) -> list[Config]:
    """Mutual TLS for each endpoint whose proxy takes it, plain text for the others (istiod's auto mTLS)."""
    return [
        {
            "name": f"{MODE_KEY}-{MODE_ISTIO}",
            "match": {MODE_KEY: MODE_ISTIO},
            "transport_socket": mutual_upstream(identities, sni=sni, http2=http2),
        },
        {"name": f"{MODE_KEY}-disabled", "match": {}, "transport_socket": _plain()},
    ]


def _plain() -> Config:
    kind = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    return {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {"@type": f"type.googleapis.com/{kind}"},
    }


def simple_upstream(policy: Mapping[str, Any], *, sni: str, http2: bool) -> Config:
    """TLS towards a server outside the mesh; its certificate is not verified, since no authority is configured."""
    common: Config = {"alpn_protocols": ["h2"] if http2 else ["http/1.1"]}
    return _socket("Upstream", {"sni": policy.get("sni") or sni, "common_tls_context": common})


def gateway_secret(namespace: str, credential: str) -> str:
    """How a gateway names the secret of a ``credentialName`` (istiod ``kubernetes://``)."""
    return f"kubernetes://{namespace}/{credential}"


def gateway_downstream(tls: Mapping[str, Any], *, namespace: str) -> Config:
    """A gateway's server; ``namespace`` is that of the gateway's pod, where its Secrets are."""
    mode = tls.get("mode")
    if mode == "ISTIO_MUTUAL":
        return mutual_downstream()
    secret = gateway_secret(namespace, tls["credentialName"])
    common: Config = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [_secret(secret)],
    }
    parameters = {
        name: _VERSIONS[tls[key]]
        for key, name in (
            ("minProtocolVersion", "tls_minimum_protocol_version"),
            ("maxProtocolVersion", "tls_maximum_protocol_version"),
        )
        if tls.get(key, "TLS_AUTO") != "TLS_AUTO"
    }
    if tls.get("cipherSuites"):
        common["tls_params"] = {**parameters, "cipher_suites": list(tls["cipherSuites"])}
    elif parameters:
        common["tls_params"] = parameters
    if mode in ("MUTUAL", "OPTIONAL_MUTUAL"):
        trusted = _secret(f"{secret}-cacert")
        if tls.get("subjectAltNames"):
            common["combined_validation_context"] = {
                "default_validation_context": {"match_typed_subject_alt_names": _sans(tls["subjectAltNames"])},
                "validation_context_sds_secret_config": trusted,
            }
        else:
            common["validation_context_sds_secret_config"] = trusted
    return _socket("Downstream", {"require_client_certificate": mode == "MUTUAL", "common_tls_context": common})


# --- secrets -----------------------------------------------------------------------------------------------------------


def certificate_secret(name: str, chain: str, key: str) -> Config:
    """A certificate as Envoy gets it."""
    return {
        "@type": f"type.googleapis.com/{_TLS}.Secret",
        "name": name,
        "tls_certificate": {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}},
    }


def trust_secret(name: str, root: str) -> Config:
    """Whom to trust, as Envoy gets it."""
    return {
        "@type": f"type.googleapis.com/{_TLS}.Secret",
        "name": name,
        "validation_context": {"trusted_ca": {"inline_string": root}},
    }


def gateway_secrets(secrets: Iterable[Object]) -> list[Config]:
    """Every Secret of a gateway's namespace that holds a certificate, and the authority where it holds one.

    istiod ``pilot/pkg/credentials/kube/secrets.go``: ``tls.crt`` and ``tls.key``, or ``cert`` and ``key``; the authority
    in ``ca.crt`` or ``cacert``, or in a Secret of the same name with ``-cacert`` at its end.
    """
    found: list[Config] = []
    for secret in secrets:
        meta = secret["metadata"]
        name = gateway_secret(meta["namespace"], meta["name"])
        chain, key = (_data(secret, *keys) for keys in (("tls.crt", "cert"), ("tls.key", "key")))
        root = _data(secret, "ca.crt", "cacert")
        if chain and key:
            found.append(certificate_secret(name, chain, key))
        if root:
            found.append(trust_secret(name if name.endswith("-cacert") else f"{name}-cacert", root))
    return found


def _data(secret: Object, *keys: str) -> str:
    for key in keys:
        if (secret.get("data") or {}).get(key):
            return base64.b64decode(secret["data"][key]).decode("utf-8", "replace")
    return ""
