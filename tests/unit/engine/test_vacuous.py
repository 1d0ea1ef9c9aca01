"""Ways in which a run tests nothing although every expectation holds: none of them is green, and each says why."""

from __future__ import annotations

from collections.abc import Mapping
from tempfile import TemporaryDirectory

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.verdict import Outcome
from chaos.reporting.prose import verdict_text
from chaos.testing.shop import Shop
from tests.support.shop_runs import run as shop_run
from tests.support.vacuous import (
    CLIENT,
    EXPERIMENT,
    FORM,
    WAYS,
    R,
    Way,
    expecting,
    run,
)

TESTED: Mapping[str, Way] = {
    "the same": Way(R.ALL_HELD),
    "a rare fault at a target that is called five times for an order": Way(
        R.ALL_HELD,
        {"target": f"{EXPERIMENT['target']}, callsPerRequest: 5", "fault": "abort: {percentage: 5, httpStatus: 503}"},
        traffic={"asks": 5.0},
    ),
    "404 that is declared": Way(
        R.ALL_HELD, expecting('service: order-svc, good: {status: "404"}, atLeast: 90%'), traffic={"status": 404}
    ),
    "a target that fails now and then anyway": Way(R.ALL_HELD, traffic={"broken": 0.02}),
    "others who call less than the load": Way(
        R.ALL_HELD, expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%'), traffic={"others": 5.0}
    ),
    "others whose orders are counted too": Way(R.ALL_HELD, traffic={"others": 40.0}),
    "some requests that are answered late": Way(
        R.ALL_HELD,
        {"load": "locustfile: shop.py, users: 10", "fault": "delay: {percentage: 50, fixedDelay: 2s}"},
        faulted={"waiting": (1.5, 1.5)},
    ),
}


@pytest.mark.parametrize("name", TESTED)
def test_a_run_that_tests_something_is_green(name: str) -> None:
    _, verdict = run(TESTED[name])
    assert verdict.passed, verdict.reasons


def test_what_the_fault_could_not_reach_beside_other_things_is_told() -> None:
    beside = '}, {title: catalog works, service: catalog-svc, good: {status: "<500"}, atLeast: 90%'
    _, verdict = run(Way(R.ALL_HELD, expecting(EXPERIMENT["expectation"] + beside)))
    assert verdict.passed, verdict.reasons
    (told,) = verdict.unshown
    assert "what is expected of catalog-svc ('catalog works')" in told
    assert f"not shown: {told}" in verdict_text(verdict)


def test_the_next_run_does_not_take_the_last_ones_load_for_that_of_others() -> None:
    shop = Shop()
    text = FORM.format(**{**EXPERIMENT, **expecting(CLIENT + 'good: {status: "<500"}, atLeast: 90%')})
    with TemporaryDirectory() as folder:
        harness = shop.harness(report_dir=folder)
        verdicts = [harness.run(parse_experiment(text)).verdict for _ in range(2)]
    assert all(verdict.passed for verdict in verdicts), verdicts


def test_fast_errors_are_not_in_time() -> None:
    way = Way(
        R.EXPECTATION_VIOLATED,
        expecting("service: order-svc, good: {within: 1s}, atLeast: 90%"),
        traffic={"bears": 0.0},
    )
    _, verdict = run(way)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.baseline[0].observed.endswith(
        f"status 200 for {verdict.baseline[0].tally.total} of {verdict.baseline[0].tally.total} requests"
    )


@pytest.mark.parametrize("name", WAYS)
def test_a_run_that_tests_nothing_is_never_green(name: str) -> None:
    way = WAYS[name]
    shop, verdict = run(way)
    assert verdict.outcome in (Outcome.INCONCLUSIVE, Outcome.REFUSED), verdict.reasons
    told = {reason.code: reason for reason in verdict.reasons}
    assert way.reason in told, verdict.reasons
    hint = told[way.reason].hint
    assert hint
    assert way.hints in hint
    assert not shop.mesh.injected()


@pytest.mark.parametrize("bears", [0.0, 1.0])
def test_what_a_fault_broke_does_not_make_it_large_enough(bears: float) -> None:
    """One of 25 orders needs the target, so that half of its calls make at most 2 % bad, whether they do or not."""
    expected = '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 95%}'
    verdict = shop_run(Shop(asks=0.04, bears=bears), expected, load="rate: 40, requests: [{path: /orders/42}]")
    assert {one.code for one in verdict.reasons} == {R.FAULT_TOO_SMALL}, verdict.reasons
