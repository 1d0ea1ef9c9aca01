"""A service behind whose name routes lead to several: what is claimed of it is counted at all of them, and told apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import pytest

from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop
from tests.support.canaries import ANSWERED, split
from tests.support.disturbed import when_faulted
from tests.support.shop_runs import reasons, run

Object = dict[str, Any]
IN_TIME: Final = "{title: in time, service: order-svc, good: {within: 1s}, atLeast: 95%}"


def delegated(service: str, weights: Mapping[str, int]) -> list[Object]:
    """The same, with the routes in a delegate."""
    whole = split(service, weights)
    leaf = {**whole, "metadata": {"name": "routes", "namespace": "staging"}, "spec": {"http": whole["spec"]["http"]}}
    return [{**whole, "spec": {"hosts": [service], "http": [{"delegate": {"name": "routes"}}]}}, leaf]


def with_split(service: str, weights: Mapping[str, int], *, spoils: Mapping[str, float] | None = None) -> Shop:
    shop = Shop(spoils=spoils or {})
    shop.mesh.put(split(service, weights))
    shop.clock.sleep(1)
    return shop


def breaks(shop: Shop, name: str, share: float) -> None:
    shop.traffic.catch_up()
    shop.traffic.spoils = {name: share}


def told(verdict: Verdict) -> str:
    return reasons(verdict)[ReasonCode.EXPECTATION_VIOLATED]


@pytest.mark.parametrize("claim", [ANSWERED, IN_TIME, "{title: as before, unaffected: [order-svc]}"])
@pytest.mark.parametrize("names", [("primary", "canary"), ("stable", "canary")])
def test_a_broken_canary_is_found_and_named(claim: str, names: tuple[str, str]) -> None:
    first, canary = names
    shop = with_split("order-svc", {first: 70, canary: 30})
    when_faulted(shop, partial(breaks, shop, f"order-svc-{canary}", 0.8))
    verdict = run(shop, claim)
    assert f"at order-svc-{canary}" in told(verdict)
    (result,) = verdict.fault
    assert result.apart[f"order-svc-{first}"].share == 1
    assert (result.apart[f"order-svc-{canary}"].share or 1) < 0.5
    assert f"only order-svc-{canary} is worse than expected" in (verdict.reasons[0].hint or "")


@pytest.mark.parametrize("claim", [ANSWERED, IN_TIME])
def test_its_healthy_twin_passes_and_both_are_counted(claim: str) -> None:
    verdict = run(with_split("order-svc", {"primary": 70, "canary": 30}), claim)
    assert verdict.passed, verdict.reasons
    (result,) = verdict.fault
    assert list(result.apart) == ["order-svc-canary", "order-svc-primary"]
    assert sum(tally.total for tally in result.apart.values()) == result.tally.total
    assert "at order-svc-canary" in result.observed


def test_a_target_behind_a_split_is_called_hit_and_proven() -> None:
    shop = with_split("inventory-svc", {"primary": 50, "canary": 50})
    verdict = run(shop, ANSWERED)
    assert verdict.passed, verdict.reasons
    assert not verdict.changed, "what the target's own destinations felt is no change elsewhere"
    hard = with_split("inventory-svc", {"primary": 50, "canary": 50})
    hard.traffic.bears = 0.0
    assert set(reasons(run(hard, ANSWERED))) == {ReasonCode.EXPECTATION_VIOLATED}


@pytest.mark.parametrize("broken", [0.0, 0.8])
def test_routes_of_a_delegate_count(broken: float) -> None:
    shop = Shop()
    for vs in delegated("order-svc", {"primary": 60, "canary": 40}):
        shop.mesh.put(vs)
    shop.clock.sleep(1)
    when_faulted(shop, partial(breaks, shop, "order-svc-canary", broken))
    verdict = run(shop, ANSWERED)
    assert verdict.passed is not bool(broken), verdict.reasons
    assert "at order-svc-canary" in verdict.fault[0].observed


@pytest.mark.parametrize("broken", [0.0, 0.8])
def test_a_canary_that_begins_while_the_fault_is_active_counts_from_then_on(broken: float) -> None:
    shop = with_split("order-svc", {"primary": 100, "canary": 0}, spoils={"order-svc-canary": broken})
    when_faulted(shop, lambda: shop.mesh.put(split("order-svc", {"primary": 60, "canary": 40})))
    verdict = run(shop, ANSWERED)
    if broken:
        assert "at order-svc-canary" in told(verdict)
    else:
        assert verdict.passed, verdict.reasons
        assert "order-svc-canary" in verdict.fault[0].apart


@pytest.mark.parametrize("host", ["inventory-svc-canary", "inventory-svc-other"])
def test_a_canary_of_the_target_may_shift_its_weight_before_the_injection(host: str) -> None:
    """Where requests go may not change: that is what was planned."""
    shop = with_split("inventory-svc", {"primary": 100, "canary": 0})
    later = split("inventory-svc", {"primary": 60, "canary": 40})
    later["spec"]["http"][0]["route"][1]["destination"]["host"] = host
    shop.clock.later(12, lambda: shop.mesh.put(later))
    verdict = run(shop, ANSWERED)
    if host == "inventory-svc-canary":
        assert verdict.passed, verdict.reasons
    else:
        assert ReasonCode.TARGET_CHANGED in reasons(verdict)


@pytest.mark.parametrize("storm", [False, True])
def test_attempts_count_under_the_name_by_which_the_pods_know_themselves(storm: bool) -> None:
    """Two Services of the same pods, of which Istio's proxies know the oldest: a headless one beside the usual one, for instance."""
    shop = Shop(tries=8 if storm else 1)
    selector = {"selector": {"app": "inventory-svc"}, "ports": [{"name": "http", "port": 8080}]}
    shop.mesh.put({"kind": "Service", "metadata": {"name": "stock", "namespace": "staging"}, "spec": selector})
    home = "staging.svc.cluster.local"
    shop.traffic.known_as = {f"inventory-svc.{home}": f"stock.{home}"}
    verdict = run(
        shop,
        "{title: no storm, attempts: inventory-svc, per: order-svc, atMost: 1.5, duringFault: 3}",
        fault="abort: {percentage: 100, httpStatus: 503}",
    )
    assert list(reasons(verdict)) == [ReasonCode.EXPECTATION_VIOLATED if storm else ReasonCode.ALL_HELD]
