"""Only mutual TLS, and everybody is who they are declared to be (G9)."""

from __future__ import annotations

import pytest

from chaos import Harness
from chaos.values.questions import Side
from chaos_suites.asking import Entry
from chaos_suites.configuring import Configure
from chaos_suites.counting import counted
from chaos_suites.security.pods import doors
from chaos_suites.services import Services
from chaos_suites.tables import Identities
from chaos_suites.watching import OBEYED, within

pytestmark = pytest.mark.guide("G9")
TIMES = 50


def spiffe(services: Services, identities: Identities, name: str) -> str:
    return f"spiffe://{identities.trust_domain}/ns/{services.namespace}/sa/{identities.accounts[name]}"


def test_pods_refuse_plain_text_and_show_who_they_are(
    harness: Harness, services: Services, configured: Configure
) -> None:
    """That they show a certificate is what tells a refusal from a pod that is not there."""
    identities = configured(services.identities)
    for name in identities.pods:
        for door in doors(harness, services.namespace, name):
            assert door.shows(spiffe(services, identities, name)), f"{door}: expected the certificate of its identity"
            assert within(OBEYED, door.refuses_plain_text), f"{door}: it answers a request without TLS"


def test_every_call_is_mutual_tls_between_declared_identities(
    harness: Harness, services: Services, entry: Entry, configured: Configure
) -> None:
    """As the called proxies count them."""
    identities = configured(services.identities)
    for caller, called in identities.calls:

        def send() -> int:
            for path in identities.paths:
                entry.must_answer(path, TIMES)
            return TIMES * len(identities.paths)

        labels = ("connection_security_policy", "source_principal", "destination_principal")
        seen = counted(harness, services.namespace, caller, called, send, labels=labels, side=Side.CALLED)
        who = tuple(spiffe(services, identities, one) for one in (caller, called))
        assert set(seen) == {("mutual_tls", *who)}, f"{caller} → {called}"
