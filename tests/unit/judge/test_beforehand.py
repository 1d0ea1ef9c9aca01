"""What is found before a run: what its faults could never break, and what its time could never decide."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.expectations.confidence import decide, fewest_to_hold
from chaos.judge import hopeless, too_coarse
from chaos.judge.proof import fewest
from chaos.model.experiment import Experiment
from chaos.testing.shop import Shop
from chaos.values.answers import Answer

ROOT = Path(__file__).parents[3]
DECLARED: Mapping[str, str] = {
    "target": "namespace: staging, service: inventory-svc",
    "fault": "abort: {percentage: 50, httpStatus: 503}",
    "rate": "20",
    "expectation": 'service: order-svc, good: {status: "<500"}, atLeast: 90%',
    "limits": "baseline: 60s, fault: 120s",
}
ENDS_OFF = "abort: {percentage: 50, httpStatus: 503}, stages: [{for: 20s}, {for: 10s, off: true}]"
LONG = "baseline: 60s, fault: 600s"
FORM = """\
experiment: orders
target: {{{target}}}
faults: [{{{fault}}}]
load: {{rate: {rate}, requests: [{{path: /a, name: often, weight: 3}}, {{path: /b, name: seldom}}]}}
steadyState: [{{title: answered, {expectation}}}]
limits: {{{limits}}}
"""


def experiment(**declared: str) -> Experiment:
    return parse_experiment(FORM.format(**{**DECLARED, **declared}))


def found(**declared: str) -> set[tuple[str, str]]:
    """The codes, each with the key that it is about."""
    return {(one.code.value, str(one.where[-1])) for one in hopeless(experiment(**declared))}


def expecting(text: str) -> str:
    return f'service: order-svc, good: {{status: "<500"}}, {text}'


def test_an_experiment_that_can_show_something_is_fit() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("fault", "bound"),
    [
        ("delay: {percentage: 10, fixedDelay: 2s}", "atLeast: 90%"),
        ("abort: {percentage: 0.5, httpStatus: 503}", "atLeast: 50%"),
        ("abort: {percentage: 50, httpStatus: 503}", "atLeast: 90%, duringFault: 50%"),
        ("abort: {percentage: 50, httpStatus: 503}", "atLeast: 90%, duringFault: baseline - 50%"),
        ("abort: {percentage: 20, httpStatus: 503}, delay: {percentage: 10, fixedDelay: 1s}", "atLeast: 72%"),
    ],
)
def test_what_its_faults_can_not_break(fault: str, bound: str) -> None:
    key = "duringFault" if "duringFault" in bound else "atLeast"
    assert ("cannot-break", key) in found(fault=fault, expectation=expecting(bound), limits="fault: 20m")


def test_a_fault_that_hits_a_little_more_than_may_be_lost_can_break_it() -> None:
    assert found(fault="abort: {percentage: 10.1, httpStatus: 503}") == set()


def test_many_calls_for_a_request_are_broken_more_often() -> None:
    few = "abort: {percentage: 5, httpStatus: 503}"
    often = DECLARED["target"] + ", callsPerRequest: 3"
    assert found(fault=few) == {("cannot-break", "atLeast")}
    assert found(fault=few, target=often) == set()
    own = 'service: inventory-svc, good: {status: "<500"}, atLeast: 90%'
    assert found(fault=few, target=often, expectation=own) == {("cannot-break", "atLeast")}, (
        "each call is one of its own"
    )


@pytest.mark.parametrize(
    ("declared", "keys"),
    [
        ({"expectation": expecting("atLeast: 99.9%")}, {"atLeast"}),
        ({"expectation": expecting("atLeast: 90%, duringFault: 99.9%")}, {"duringFault"}),
        ({"expectation": expecting("atLeast: 90%, duringFault: baseline")}, {"duringFault"}),
        ({"expectation": 'from: client, request: seldom, good: {status: "<500"}, atLeast: 98.5%'}, {"atLeast"}),
        ({"expectation": "attempts: inventory-svc, atMost: 1"}, {"atMost"}),
        ({"expectation": "attempts: inventory-svc, per: order-svc, atMost: 1.5, duringFault: 1.1"}, {"duringFault"}),
        ({"expectation": "attempts: inventory-svc, atMost: baseline * 1.1"}, {"atMost"}),
        ({"expectation": "service: order-svc, flags: UO, atMost: 5%, duringFault: at most 0.1%"}, {"duringFault"}),
        ({"expectation": "breaker: order-svc, opensWithin: 10s, atMost: 0.1%"}, {"atMost"}),
        ({"expectation": 'fallback: {status: "503"}, atLeast: 20%, atMost: 0.1%'}, {"atMost"}),
        ({"expectation": 'fallback: {status: "503"}, atLeast: 99.9%, atMost: 5%'}, {"atLeast"}),
        ({"expectation": "unaffected: [catalog-svc], margin: 0.1%"}, {"margin"}),
        ({"expectation": "throughput: order-svc", "limits": "baseline: 25s"}, {"throughput"}),
        ({"fault": "abort: {percentage: 11, httpStatus: 503}", "rate": "3"}, {"percentage"}),
        ({"fault": "delay: {percentage: 50, fixedDelay: 119s}"}, {"atLeast", "percentage"}),
        (
            {"fault": ENDS_OFF, "expectation": expecting("atLeast: 90%, duringFault: 99.9%"), "limits": LONG},
            {"duringFault"},
        ),
    ],
)
def test_what_can_not_be_decided_in_its_limits(declared: Mapping[str, str], keys: set[str]) -> None:
    assert found(**declared) == {("cannot-decide", key) for key in keys}


def test_a_fault_whose_last_stage_is_off_is_observed_no_longer_than_its_stages() -> None:
    declared = {"expectation": expecting("atLeast: 90%, duringFault: 99.9%"), "limits": LONG}
    (refused,) = hopeless(experiment(fault=ENDS_OFF, **declared))
    assert "the time of the stages (for)" in refused.message
    assert "the time of the stages (for)" in refused.hint
    assert found(fault=ENDS_OFF.replace("{for: 10s, off: true}", "{for: 10s}"), **declared) == set()


@pytest.mark.parametrize(
    "expectation",
    [
        "attempts: inventory-svc, atMost: 1.5", "attempts: inventory-svc, per: order-svc, atMost: baseline * 2",
        "attempts: inventory-svc, atMost: 0.5", "throughput: order-svc, duringFault: 50%", "unaffected: [catalog-svc]",
        'fallback: {status: "503"}, atLeast: 20%', "service: order-svc, flags: UO, atMost: 1%",
        "metric: request-rate, service: order-svc", "ejection: order-svc, within: 10s", "promql: sum(up) > 3",
    ],
)  # fmt: skip
def test_what_can_be_decided_in_its_limits(expectation: str) -> None:
    assert found(expectation=expectation) == set()


@pytest.mark.parametrize(
    ("expectation", "least"),
    [
        ("throughput: order-svc", "6 stretches of 180 s, which are 1080 s"),
        ('promql: "sum(rate(a[50s])) > 3"', "looks back 50 s, and the metrics are scraped every 45 s"),
        ("metric: istiod-cpu", "read over 90 s"),
    ],
)
def test_what_can_not_be_decided_by_rare_scrapes(expectation: str, least: str) -> None:
    short = experiment(expectation=expectation, limits="baseline: 60s, fault: 60s")
    refused = [one for one in too_coarse(short, 45.0) if one.rule == "cannot-decide"]
    assert any(least in one.message for one in refused), refused


@pytest.mark.parametrize("bound", [0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("confidence", [0.9, 0.995])
def test_the_least_events_are_those_of_the_deciding_function(bound: float, confidence: float) -> None:
    least = fewest_to_hold(bound, confidence)
    assert decide(least, least, bound, confidence=confidence) is Answer.HOLDS
    assert decide(least - 1, least - 1, bound, confidence=confidence) is Answer.UNDECIDED


@pytest.mark.parametrize("declared", [0.005, 0.3, 1.0])
def test_the_fewest_faulted_requests_are_few_dozens(declared: float) -> None:
    assert 5 < fewest(declared, 0.99) < 60


@pytest.mark.parametrize(
    "declared",
    [
        {"expectation": expecting("atLeast: 99.5%"), "limits": "baseline: 31s, fault: 32s"},
        {"fault": "abort: {percentage: 11, httpStatus: 503}", "rate": "3", "limits": "baseline: 60s, fault: 40s"},
        {"expectation": "attempts: inventory-svc, per: order-svc, atMost: 1.3", "limits": "baseline: 31s, fault: 32s"},
        {"expectation": "throughput: order-svc", "limits": "baseline: 25s, fault: 120s"},
    ],
)
def test_with_the_time_that_the_hint_names_it_is_decided(declared: Mapping[str, str]) -> None:
    changed = dict(declared)
    hints = [one.hint for one in hopeless(experiment(**declared))]
    assert hints
    for hint in hints:
        (key, time) = re.findall(r"raise limits\.(\w+) to (\w+)", hint)[0]
        changed["limits"] = re.sub(rf"{key}: \w+", f"{key}: {time}", changed["limits"])
    with TemporaryDirectory() as folder:
        verdict = Shop().harness(report_dir=folder).run(experiment(**changed)).verdict
    assert verdict.passed, verdict.reasons


def test_every_refusal_leads_to_its_explanation() -> None:
    bad = experiment(fault="abort: {percentage: 1, httpStatus: 503}", limits="fault: 30s")
    assert {one.code.value for one in hopeless(bad)} == {"cannot-break", "cannot-decide"}
    for one in hopeless(bad):
        page, _, anchor = one.refusal.more.partition("#")
        assert f'<a id="{anchor}"></a>' in (ROOT / page).read_text()
