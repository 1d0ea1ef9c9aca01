"""No hole opens while a fault is active, or while certificates are renewed (G9, G10)."""

from __future__ import annotations

from collections import Counter

import pytest

from chaos import Delay, Expectation, Experiment, Harness, Load, MeshAccess, Request, Target
from chaos_suites.asking import PODS, Entry
from chaos_suites.configuring import Configure
from chaos_suites.lab import rotate_certificates
from chaos_suites.security.pods import doors
from chaos_suites.services import Services
from chaos_suites.watching import OBEYED, meanwhile, within


@pytest.mark.guide("G9", "G10")
def test_a_fault_opens_no_hole(harness: Harness, services: Services, entry: Entry, configured: Configure) -> None:
    """Plain text is still refused by the service whose callers feel it, and what is not allowed elsewhere stays so."""
    authorization, identities = configured.both(services.authorization, services.identities)
    caller, called = identities.calls[-1]
    inside = doors(harness, services.namespace, called)

    def look() -> tuple[Counter[int], list[str]]:
        denied = sum((entry.ask(one.path, PODS, method=one.method) for one in authorization.denied), Counter[int]())
        return denied, [str(door) for door in inside if not door.refuses_plain_text()]

    within(OBEYED, lambda: (set((found := look())[0]), found[1]) == ({403}, []))
    with meanwhile(look) as seen:
        harness.check(
            Experiment(
                "a-fault-opens-no-hole",
                target=Target(services.namespace, called, callers={services.label: caller}),
                faults=[Delay(percentage=50, fixed_delay="100ms")],
                load=Load(
                    rate=services.rate, requests=[Request(path) for path in identities.paths], host=services.host
                ),
                steady_state=[Expectation("its calls are answered", service=called, status="<500", at_least="95%")],
            )
        )
    statuses, plain = sum((one for one, _ in seen), Counter[int]()), [one for _, found in seen for one in found]
    assert 403 in statuses, f"no request was denied: {dict(statuses)}"
    assert set(statuses) <= {403, 0}, f"some requests were not denied: {dict(statuses)}"  # no answer is no hole
    assert not plain, "plain text was answered"


@pytest.mark.guide("G9")
def test_no_request_is_lost_while_certificates_are_renewed(
    services: Services, entry: Entry, configured: Configure, harness: Harness, lab: MeshAccess
) -> None:
    """Only the lab renews them when it is told to; on a cluster istiod does, when they are near their end."""
    identities = configured(services.identities)
    inside = [door for name in identities.pods for door in doors(harness, services.namespace, name)]
    before = [door.certificate() for door in inside]

    def look() -> Counter[int]:
        return sum((entry.ask(path) for path in identities.paths), Counter[int]())

    with meanwhile(look) as seen:
        rotate_certificates(lab)
        renewed = within(20, lambda: all(old != door.certificate() for old, door in zip(before, inside, strict=True)))
    assert renewed, "the pods still show their old certificates"
    assert set(sum(seen, Counter[int]())) == {200}
    assert not [door for door in inside if not door.refuses_plain_text()]
