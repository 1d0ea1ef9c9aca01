"""What is claimed of a service can be counted: it is there, and its callers have proxies."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.guard import Draft, check
from chaos.model.verdict import ReasonCode
from chaos.testing.shop import Shop
from chaos.testing.traffic import ENTRY
from chaos.values.questions import Question, Requests, Side
from chaos.values.remarks import Refusal
from chaos.values.series import Series
from tests.support.canaries import ANSWERED, split
from tests.support.drafts import broken, draft
from tests.support.shop_runs import reasons, run
from tests.support.situations import EXPERIMENT, service, situation

ORDERS = "order-svc.staging.svc.cluster.local"
SERVICES = [service(name) for name in ("inventory-svc", "order-svc", "orders-db")] + [
    service("session-svc", "platform")
]


def refusals(claim: str, role: str = "steadyState", **around: object) -> list[Refusal]:
    text = EXPERIMENT if role == "steadyState" else f"{EXPERIMENT}{role}:\n"
    asked = parse_experiment(f"{text}  - {claim}\n")
    made = draft(situation(services=SERVICES, **around))
    return list(
        check(Draft(experiment=asked, situation=made.situation, settings=made.settings, injection=made.injection))
    )


@pytest.mark.parametrize("role", ["steadyState", "guardrails"])
def test_a_misspelt_service_is_refused_with_the_nearest_names_first(role: str) -> None:
    (found,) = refusals('{title: taken, service: ordr-svc, good: {status: "<500"}, atLeast: 50%}', role)
    assert found.rule == "observed-not-found"
    assert found.hint.startswith("Services there: order-svc, ")
    assert found.hint.endswith("of another namespace, write namespace/name")


def test_services_of_other_namespaces_too_where_they_may_be_read() -> None:
    claim = "{title: the rest, unaffected: [platform/sesion-svc]}"
    (found,) = refusals(claim)
    assert (found.rule, found.hint) == ("observed-not-found", "Services there: session-svc")
    (found,) = refusals(claim.replace("platform/", "platfrom/"))
    assert (found.rule, found.hint) == ("observed-not-found", "Services there: none")
    assert refusals(claim, hidden=["platform"]) == []
    assert refusals(claim.replace("sesion", "session")) == []


def test_a_misspelt_target_is_told_the_nearest_names_first() -> None:
    made = draft(situation(services=SERVICES), service="inventry-svc")
    (found,) = [one for one in check(made) if one.rule == "service-not-found"]
    assert found.hint.startswith("Services there: inventory-svc, ")


@pytest.mark.parametrize(("requests", "rules"), [(240, {"observed-not-counted"}), (3, set())])
def test_a_service_that_only_callers_without_a_proxy_call(requests: int, rules: set[str]) -> None:
    assert broken(draft(situation(uncounted={ORDERS: requests}))) == rules


def used_before(shop: Shop) -> Shop:
    """Somebody sent orders before the plan is made."""
    shop.traffic.rate = 10
    shop.clock.sleep(30)
    shop.traffic.catch_up()
    shop.traffic.rate = 0
    return shop


@pytest.mark.parametrize("canary", [False, True])
def test_a_service_that_was_called_through_proxies_before_is_fine(*, canary: bool) -> None:
    shop = Shop()
    if canary:
        shop.mesh.put(split(ENTRY, {"primary": 50, "canary": 50}))
        shop.clock.sleep(1)
    assert run(used_before(shop), ANSWERED).passed


@pytest.mark.parametrize(("caller", "refused"), [("unknown", True), ("ingress", False)])
def test_one_that_only_callers_without_a_proxy_called_is_refused(
    monkeypatch: pytest.MonkeyPatch, caller: str, *, refused: bool
) -> None:
    """A caller that its proxy made known has one, which is not scraped: the baseline tells more of that."""
    shop = used_before(Shop())
    samples = shop.metrics.samples

    def without_proxies(question: Question, **when: float) -> Sequence[Series]:
        found = samples(question, **when)
        if not isinstance(question, Requests) or not question.host.startswith(ENTRY):
            return found
        bare = [one.model_copy(update={"labels": {**one.labels, "source_workload": caller}}) for one in found]
        return bare if question.side is Side.CALLED else ()

    monkeypatch.setattr(shop.metrics, "samples", without_proxies)
    told = reasons(run(shop, ANSWERED))
    assert (ReasonCode.STAGING_RULE in told) is refused
    if refused:
        assert told[ReasonCode.STAGING_RULE].startswith(
            "observed-not-counted: answered: the proxies of its callers count the requests to order-svc"
        )
