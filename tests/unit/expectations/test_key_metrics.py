"""Key metrics by name: their ranges, and what is no evidence for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import Experiment, parse_experiment
from chaos.errors import InputError
from chaos.expectations import Expectation, MetricExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.key_metrics import KEY_METRICS
from chaos.expectations.kind import Look, Phase
from chaos.expectations.metric import Metric
from chaos.model.verdict import Outcome
from chaos.model.verdict import ReasonCode as R
from chaos.testing.shop import Shop
from chaos.values.answers import Answer
from chaos.values.questions import Convergence, ProcessorTime, ProxyMemory, Pushes, Question, Requests
from chaos.values.series import Series
from tests.support.shop_runs import reasons, run

EVERY = (
    "{title: a, metric: request-rate, service: order-svc}",
    "{title: b, metric: latency, service: order-svc}",
    "{title: c, metric: pushes}",
    "{title: d, metric: convergence}",
    "{title: e, metric: proxy-memory}",
    "{title: f, metric: istiod-cpu}",
)
ORDERS = Requests(host="order-svc.staging.svc.cluster.local")
ROOT = Path(__file__).parents[3]
HOLDS, VIOLATED, UNDECIDED = Answer.HOLDS, Answer.VIOLATED, Answer.UNDECIDED


def test_a_shop_is_in_every_normal_range() -> None:
    verdict = run(Shop(), *EVERY)
    assert verdict.passed, verdict.reasons
    assert [one.observed for one in verdict.fault if one.title in "acdef"] == [
        "at most 20 per second", "at most 3 in a minute", "at most 0.5 s", "at most 60M bytes (payment-svc-1-a)",
        "at most 0.1 CPUs (istiod-1-a)",
    ]  # fmt: skip
    assert verdict.baseline[3].observed == "at most 0 s, since nothing was sent"


@pytest.mark.parametrize(("declared", "normal", "alarm"), [
    ("metric: request-rate, service: order-svc", "baseline * 3", "baseline * 3"), ("metric: pushes", "100", "1000"),
    ("metric: convergence", "1s", "10s"), ("metric: proxy-memory", "200M", "500M"), ("metric: istiod-cpu", "1", "1600m"),
])  # fmt: skip
def test_a_range_is_the_normal_one_or_as_a_guardrail_that_of_an_alarm(declared: str, normal: str, alarm: str) -> None:
    one = experiment(f"steadyState: [{{title: a, {declared}}}]\nguardrails: [{{title: b, {declared}}}]")
    found = [*one.steady_state, *one.guardrails]
    assert [each.at_most for each in found if isinstance(each, MetricExpectation)] == [normal, alarm]


def test_a_latency_is_judged_as_the_share_of_answers_that_it_is() -> None:
    one = experiment(
        "steadyState: [{title: a, metric: latency, service: order-svc, atMost: 1s}]\n"
        "guardrails: [{title: b, metric: latency, service: order-svc}]"
    )
    assert one.steady_state == (Expectation("a", service="order-svc", within="1s", at_least="99%"),)
    assert one.guardrails == (Expectation("b", service="order-svc", within="500ms", at_least="99%"),)


def experiment(expected: str) -> Experiment:
    return parse_experiment(
        "experiment: orders\ntarget: {namespace: staging, service: inventory-svc}\n"
        "faults: [{abort: {percentage: 50, httpStatus: 503}}]\nload: {rate: 20, requests: [{path: /orders/42}]}\n"
        + expected
    )


@pytest.mark.parametrize(("metric", "service", "most", "says"), [
    ("latency", None, "1s", "service: expected the service whose latency is meant"),
    ("pushes", "order-svc", 100, "expected no service, since pushes is not that of one"),
    ("latency", "order-svc", "300ms", "at_most: '300ms': expected a bound of the mesh's histogram: 25ms, "),
    ("request-rate", "order-svc", "100", "expected a multiple of the baseline, such as 'baseline * 3'"),
    ("convergence", None, "2s", "expected a bound of istiod's histogram: 0.1s, 0.5s, 1s, 3s"),
    ("proxy-memory", None, "200MB", "expected a quantity of memory, such as 200M or 256Mi"),
    ("istiod-cpu", None, "80%", "expected a quantity of CPUs, such as 1 or 1600m"),
    ("pushes", None, True, "at_most: True: expected a number, or a number with its unit"),
    ("pushes", None, 0, "expected a number of configurations in a minute"),
])  # fmt: skip
def test_what_is_not_of_its_form_is_told(metric: Metric, service: str | None, most: float | str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        MetricExpectation("t", metric=metric, service=service, at_most=most)
    assert says in str(caught.value)


def test_an_unknown_name_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="metric: 'p99': expected 'request-rate', 'latency', 'pushes'"):
        MetricExpectation("t", metric="p99")  # type: ignore[arg-type]


@pytest.mark.parametrize(("dark", "code"), [("istiod-1-a", R.METRICS_LOST), ("order-svc-1-a", R.CALLER_NOT_SCRAPED)])
@pytest.mark.parametrize("at", [30, 60])
def test_data_that_end_are_never_green(dark: str, code: R, at: float) -> None:
    shop = Shop()
    shop.clock.later(at, lambda: shop.traffic.dark.add(dark))
    found = run(shop, *EVERY)
    assert (found.outcome, code in reasons(found)) == (Outcome.INCONCLUSIVE, True)


def test_the_plan_refuses_what_prometheus_does_not_have() -> None:
    shop = Shop()
    shop.traffic.dark.update(["istiod-1-a", "order-svc-1-a", "inventory-svc-1-a", "payment-svc-1-a"])
    shop.clock.sleep(400)
    verdict = run(shop, *EVERY)
    assert verdict.outcome is Outcome.REFUSED
    assert [one.message.split(":")[:2] for one in verdict.reasons] == [
        ["metric-not-found", f" {name}"] for name in "cdef"
    ]


def test_the_page_has_every_key_metric_with_its_ranges_and_examples_that_are_read() -> None:
    page = (ROOT / "docs/reference/key-metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| .*? \| `([^`]+)` \| `([^`]+)` \|", page, re.MULTILINE)
    assert rows == [(name, key.normal, key.alarm) for name, key in KEY_METRICS.items()]
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    one = experiment(example)
    assert (len(one.steady_state), len(one.guardrails)) == (4, 2)


# --- what was read -----------------------------------------------------------------------------------------------------


def answer(
    one: MetricExpectation,
    question: Question,
    *counters: Callable[[float], float],
    every: float = 1.0,
    phase: Phase = "baseline",
    until: float = 100.0,
    without: tuple[float, float] = (0.0, 0.0),
) -> Answer:
    """Of a run of so many seconds, with values by the second, scraped so often but for some time; the baseline ends at 40."""
    evidence = Evidence(scrape_interval=every, histogram_lag=5.0)
    steps = [number * every + 0.3 for number in range(int(until / every))]
    for place, value in enumerate(counters):
        samples = tuple((at, value(at)) for at in steps if not without[0] <= at < without[1])
        labels = {"job": "j", "instance": f"{place}", "pod": f"pod-{place}", "le": ("1.0", "+Inf")[place % 2]}
        evidence.add(question, [Series(labels=labels, samples=samples)])
    baseline = None if phase == "baseline" else Window(0, 40)
    window = Window(0 if baseline is None else 41, until)
    found = one.decide(
        evidence, Look(phase=phase, window=window, namespace="staging", confidence=0.99, baseline=baseline)
    )
    return found.answer


RATE = MetricExpectation("t", metric="request-rate", service="order-svc")


@pytest.mark.parametrize(("after", "expected"), [(20.0, HOLDS), (55.0, HOLDS), (65.0, VIOLATED)])
def test_a_rate_is_held_against_the_baseline(after: float, expected: Answer) -> None:
    def requests(at: float) -> float:
        return 20 * min(at, 50) + after * max(0, at - 50)

    assert answer(RATE, ORDERS, requests, phase="fault") is expected
    assert answer(RATE, ORDERS, lambda at: requests(at) / 2, lambda at: requests(at) / 2, phase="fault") is expected


def test_missed_scrapes_are_no_surge_and_a_restart_is_none() -> None:
    assert answer(RATE, ORDERS, lambda at: 20 * at, phase="fault", without=(50, 75)) is HOLDS
    assert answer(RATE, ORDERS, lambda at: 20 * (at if at < 60 else at - 60), phase="fault") is HOLDS


def test_few_requests_multiply_by_chance() -> None:
    assert answer(RATE, ORDERS, lambda at: at // 10, until=40) is UNDECIDED, "four requests are no rate"
    burst = {50: 4}
    assert answer(RATE, ORDERS, lambda at: at + sum(n for s, n in burst.items() if s < at), phase="fault") is HOLDS


@pytest.mark.parametrize(("each", "until", "expected"), [
    (0.0, 15, HOLDS), (1.5, 15, HOLDS), (2.0, 15, UNDECIDED), (2.0, 70, VIOLATED), (1.5, 300, HOLDS),
])  # fmt: skip
def test_pushes_are_those_of_a_whole_minute(each: float, until: float, expected: Answer) -> None:
    """A third of a minute's number in a quarter of a minute is neither inside nor outside."""
    assert answer(MetricExpectation("t", metric="pushes"), Pushes(), lambda at: int(each * at), until=until) is expected


def test_the_injection_itself_counts_to_the_fault() -> None:
    """It is sent between the baseline and the fault, and so may be all that is ever sent."""
    late = MetricExpectation("t", metric="convergence")

    def sent(at: float) -> float:
        return 12.0 if at > 40.5 else 0.0

    assert answer(late, Convergence(), sent, sent, phase="fault") is HOLDS
    assert answer(late, Convergence(), lambda _: 0.0, sent, phase="fault") is VIOLATED
    assert answer(late, Convergence(), lambda _: 0.0, lambda _: 0.0, phase="fault") is UNDECIDED, (
        "a fault has to be sent"
    )
    assert answer(late, Convergence(), lambda _: 0.0, lambda _: 0.0) is HOLDS, "nothing was to be sent"
    assert answer(late, Convergence()) is UNDECIDED, "there is no istiod"


def test_memory_is_that_of_the_largest_proxy() -> None:
    one = MetricExpectation("t", metric="proxy-memory", at_most="200Mi")
    asked = ProxyMemory(namespace="staging")
    assert answer(one, asked, lambda _: 50e6, lambda _: 209e6) is HOLDS
    assert answer(one, asked, lambda _: 50e6, lambda at: 209e6 + 2e6 * (at > 70)) is VIOLATED
    assert answer(one, asked, lambda _: 50e6, until=2) is UNDECIDED, "two scrapes are few"


def test_processor_time_is_read_over_some_seconds_and_survives_a_restart() -> None:
    one = MetricExpectation("t", metric="istiod-cpu")
    assert answer(one, ProcessorTime(), lambda at: 0.9 * at) is HOLDS
    assert answer(one, ProcessorTime(), lambda at: 0.2 * at + 2 * (at > 30)) is HOLDS, "a second with all CPUs"
    assert answer(one, ProcessorTime(), lambda at: 1.1 * at) is VIOLATED
    assert answer(one, ProcessorTime(), lambda at: 0.5 * (at if at < 40 else at - 40)) is HOLDS
    assert answer(one, ProcessorTime(), lambda at: 0.5 * at, every=15.0, until=20) is UNDECIDED
