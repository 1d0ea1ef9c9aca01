"""The mesh's certificate authority: a root, and certificates that name a workload by its SPIFFE id.

istiod ``security/pkg/pki``: short-lived certificates for ``spiffe://<trust domain>/ns/<namespace>/sa/<account>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TRUST_DOMAIN: Final = "cluster.local"
LIFETIME: Final = timedelta(hours=24)
"""Of a workload's certificate; istiod's default."""
_ROOT_LIFETIME: Final = timedelta(days=3650)
_SKEW: Final = timedelta(minutes=2)


def spiffe_id(namespace: str, service_account: str) -> str:
    """The identity of a workload."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, both in PEM."""

    chain: str
    key: str
    expires: datetime


class Authority:
    """Signs certificates with a root of its own that lives as long as this object."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, TRUST_DOMAIN)])
        now = datetime.now(UTC)
        self._root = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _ROOT_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def root(self) -> str:
        """What proxies trust, in PEM."""
        return _pem(self._root)

    def issue(self, identity: str, *, lifetime: timedelta = LIFETIME) -> Certificate:
        """A new certificate for a SPIFFE id, good for both sides of a connection."""
        return self._issue([x509.UniformResourceIdentifier(identity)], lifetime)

    def issue_for_server(self, address: str, *names: str) -> Certificate:
        """A certificate for a server at this IP address with these names, for as long as the authority's own."""
        where = x509.IPAddress(ip_address(address))
        return self._issue([where, *map(x509.DNSName, names)], _ROOT_LIFETIME - 2 * _SKEW)

    def _issue(self, names: Sequence[x509.GeneralName], lifetime: timedelta) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Certificate(
            chain=_pem(made),
            key=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            expires=made.not_valid_after_utc,
        )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
