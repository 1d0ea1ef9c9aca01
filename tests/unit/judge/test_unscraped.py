"""Proxies that Prometheus never scraped: others know what they should have counted."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.verdict import Outcome, ReasonCode, Verdict
from chaos.testing.shares import Shares
from chaos.testing.shop import Shop
from chaos.values.load import LoadCell, LoadSecond

EXPERIMENT = """\
experiment: orders-survive-inventory
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults: [{abort: {percentage: 50, httpStatus: 503}}]
load: {rate: 40, requests: [{path: /orders/42}]}
steadyState: [{title: orders are answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}]
recovery: {within: 30s}
"""


RARE = EXPERIMENT.replace("rate: 40", "rate: 80") + "limits: {baseline: 120s, fault: 180s}\n"


def run(shop: Shop, tmp_path: object, text: str = EXPERIMENT) -> Verdict:
    return shop.harness(report_dir=str(tmp_path)).run(parse_experiment(text)).verdict


def blind(shop: Shop) -> None:
    """The proxies of the service at the entry are not scraped either."""
    shop.traffic.dark |= {"order-svc-1-a"}


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize(("who", "told", "around"), [
    ("ingress", "requests of staging/ingress to order-svc.staging", lambda shop: None),
    ("order-svc", "requests of staging/order-svc to inventory-svc.staging", lambda shop: None),
    ("ingress", "the proxies at the entry (staging/ingress) counted ", blind),
])  # fmt: skip
def test_a_part_of_the_callers_proxies_is_missed(
    who: str, told: str, around: Callable[[Shop], None], share: float, tmp_path: object
) -> None:
    shop = Shop()
    shop.traffic.unscraped = {who: share}
    around(shop)
    verdict = run(shop, tmp_path)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons
    found = [reason for reason in verdict.reasons if reason.code is ReasonCode.CALLER_NOT_SCRAPED]
    assert [told in reason.message for reason in found] == [True], verdict.reasons
    assert found[0].hint


@pytest.mark.parametrize(("interval", "share"), [(1.0, 0.06), (5.0, 0.2)])
@pytest.mark.parametrize("who", ["ingress", "order-svc"])
def test_few_of_a_callers_proxies_are_missed(who: str, interval: float, share: float, tmp_path: object) -> None:
    shop = Shop(scrape_interval=interval)
    shop.traffic.staggered = True
    shop.traffic.unscraped = {who: share}
    verdict = run(shop, tmp_path, RARE)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons
    (told,) = [reason.message for reason in verdict.reasons if reason.code is ReasonCode.CALLER_NOT_SCRAPED]
    assert f" requests of staging/{who} to " in told
    assert told.endswith("Prometheus scrapes only a part of its proxies")


def healthy(seed: int) -> tuple[Shop, str]:
    """A shop whose proxies are all scraped, each at its moments, with whatever else may happen; and an experiment."""
    chance = Random(seed)
    shop = Shop(
        seed=seed,
        scrape_interval=chance.choice([1.0, 2.0, 5.0, 10.0, 15.0]),
        takes=chance.choice([20.0, 400.0, 900.0]),
        retries=chance.choice([0, 0, 2]),
        replicas=chance.choice([1, 3]),
        broken=chance.choice([0.0, 0.0, 0.03]),
        bears=chance.choice([1.0, 0.95]),
        others=chance.choice([0.0, 5.0]),
        asks=chance.choice([1.0, 3.0]),
    )
    shop.traffic.staggered = True
    if chance.random() < 0.3:
        blind(shop)
    rate, share = chance.choice([20, 80, 400]), chance.choice([20, 50, 100])
    fault = chance.choice(
        [f"abort: {{percentage: {share}, httpStatus: 503}}", f"delay: {{percentage: {share}, fixedDelay: 2s}}"]
    )
    text = EXPERIMENT.replace("rate: 40", f"rate: {rate}").replace("abort: {percentage: 50, httpStatus: 503}", fault)
    return shop, text.replace("order-svc}}", f"order-svc}}, callsPerRequest: {3 if shop.traffic.asks > 1 else 1}}}")


@pytest.mark.parametrize("seed", range(int(os.environ.get("HEALTHY", "10"))))
def test_whatever_happens_where_all_are_scraped_nothing_is_said(seed: int, tmp_path: object) -> None:
    shop, text = healthy(seed)
    verdict = run(shop, tmp_path, text)
    assert ReasonCode.CALLER_NOT_SCRAPED not in {reason.code for reason in verdict.reasons}, verdict.reasons


@pytest.mark.parametrize("seed", range(8))
def test_the_entry_may_have_been_scraped_some_time_before_the_end(seed: int, tmp_path: object) -> None:
    """Nothing that is expected is counted at the entry, whose last samples are as old as a scrape interval."""
    shop = Shop(seed=seed, scrape_interval=15.0, replicas=3)
    shop.traffic.staggered = True
    text = EXPERIMENT.replace("atLeast: 90%", "atLeast: 85%, per: replica").replace("within: 30s", "within: 120s")
    verdict = run(shop, tmp_path, text + "limits: {baseline: 400s, fault: 500s}\nobserve: {atLeast: 60s}\n")
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize("who", ["ingress", "order-svc"])
def test_all_of_a_callers_proxies_are_missed(who: str, tmp_path: object) -> None:
    shop = Shop()
    shop.traffic.unscraped = {who: 1.0}
    verdict = run(shop, tmp_path)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    (told,) = [reason.message for reason in verdict.reasons if reason.code is ReasonCode.CALLER_NOT_SCRAPED]
    assert told.startswith(f"0 requests of staging/{who} to ")
    assert told.endswith("Prometheus scrapes none of its proxies")


@pytest.mark.parametrize("interval", [1.0, 5.0, 15.0])
@pytest.mark.parametrize("around", [lambda shop: None, blind])
def test_where_all_are_scraped_nothing_is_said(
    around: Callable[[Shop], None], interval: float, tmp_path: object
) -> None:
    shop = Shop(scrape_interval=interval)
    around(shop)
    verdict = run(shop, tmp_path)
    assert verdict.passed, verdict.reasons


def test_copies_of_requests_are_sent_by_nobody(tmp_path: object) -> None:
    shop = Shop()
    shop.traffic.unscraped = {"order-svc": 0.5}
    route = {"route": [{"destination": {"host": "payment-svc"}}], "mirror": {"host": "inventory-svc"}}
    shop.mesh.put({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "copies", "namespace": "staging"}, "spec": {"hosts": ["payment-svc"], "http": [route]},
    })  # fmt: skip
    assert run(shop, tmp_path).passed


def test_pods_of_several_services_count_for_one_of_them(tmp_path: object) -> None:
    shop = Shop()
    shop.traffic.unscraped = {"order-svc": 0.5}
    spec = {"ports": [{"name": "http", "port": 8080}], "selector": {"app": "inventory-svc"}}
    shop.mesh.put({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "inventory-again", "namespace": "staging"}, "spec": spec,
    })  # fmt: skip
    assert run(shop, tmp_path).passed


@pytest.mark.parametrize(("status", "asked", "times", "around"), [
    (200, "GET /news", 2.0, lambda shop: None),
    (200, "GET /news", 0.06, blind),
    (404, "GET /orders/42", 0.06, blind),
])  # fmt: skip
def test_load_that_does_not_get_to_the_shop_is_missed_by_nobody(
    status: int, asked: str, times: float, around: Callable[[Shop], None], tmp_path: object
) -> None:
    """Some requests are for services of another namespace, which the shop's proxies do not count, or a gateway has no route for them."""
    shop = Shop()
    around(shop)
    sent, more = shop.load.poll, Shares()

    def beside(second: LoadSecond) -> LoadSecond:
        number = more.whole("beside", times * second.sent)
        cell = LoadCell(request=asked, status=status, latencies={5.0: number})
        added = {"intended": second.intended + number, "sent": second.sent + number}
        return second.model_copy(update={**added, "cells": (*second.cells, *([cell] if number else []))})

    shop.load.poll = lambda: [beside(one) for one in sent()]  # type: ignore[method-assign]
    verdict = run(shop, tmp_path, RARE)
    assert verdict.passed, verdict.reasons
