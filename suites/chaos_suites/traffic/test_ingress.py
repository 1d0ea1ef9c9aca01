"""The gateway takes requests by TLS with a certificate for its name, and redirects those without (G8)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest

from chaos import Harness, MeshAccess
from chaos_suites.configuring import Configure
from chaos_suites.services import Services
from chaos_suites.tables import Ingress
from chaos_suites.watching import within

pytestmark = pytest.mark.guide("G8")


@dataclass(frozen=True)
class Door:
    """The gateway, as a client that trusts an authority sees it."""

    address: str
    ingress: Ingress
    trusted: ssl.SSLContext

    def ask(self, scheme: str, path: str) -> httpx.Response:
        """The answer to a request by the gateway's name; redirects are not followed."""
        ingress = self.ingress
        port = ingress.https_port if scheme == "https" else ingress.http_port
        with httpx.Client(trust_env=False, verify=self.trusted, timeout=10) as client:
            url = f"{scheme}://{self.address}:{port}{path}"
            return client.get(url, headers={"Host": ingress.name}, extensions={"sni_hostname": ingress.name})

    def answers(self) -> bool:
        """Whether it answers by TLS at all."""
        try:
            return self.ask("https", self.ingress.path).status_code < 400
        except httpx.TransportError:
            return False


@pytest.fixture
def door(request: pytest.FixtureRequest, harness: Harness, services: Services, configured: Configure) -> Iterator[Door]:
    """The team's gateway; on the lab with a certificate."""
    ingress, trusted = configured(services.ingress), ssl.create_default_context()
    if ingress.authority:
        trusted.load_verify_locations(ingress.authority)
    address = urlsplit(harness.place.entry.get_secret_value()).hostname or ""
    with ExitStack() as made:
        if ingress.secret and not request.config.getoption("chaos_context"):
            from chaos_suites.lab_certificate import certificate

            lab: MeshAccess = request.getfixturevalue("lab")
            authority = made.enter_context(certificate(lab, ingress.secret, services.namespace, ingress.name))
            trusted.load_verify_locations(cadata=authority)
        yield Door(address, ingress, trusted)


def test_requests_are_taken_by_tls_and_redirected_without(door: Door) -> None:
    ingress = door.ingress
    within(20, door.answers)  # until the gateway has its certificate
    assert door.ask("https", ingress.path).status_code < 400
    plain = door.ask("http", f"{ingress.path}?x=1")
    assert (plain.status_code, plain.headers.get("location")) == (301, f"https://{ingress.name}{ingress.path}?x=1")


def test_who_does_not_trust_the_authority_gets_nothing(door: Door) -> None:
    """So the certificate was looked at in the other test."""
    within(20, door.answers)
    nobody = Door(door.address, door.ingress, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(httpx.ConnectError, match="certificate"):
        nobody.ask("https", door.ingress.path)
