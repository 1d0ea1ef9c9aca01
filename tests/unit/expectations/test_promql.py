"""When a PromQL comparison may decide: by its windows, with data, and only if it may be true and false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from chaos import Abort, Experiment, InputError, Limits, Load, PromqlExpectation, Request, Target
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Finding, Look, Phase
from chaos.expectations.scene import Scene
from chaos.values.answers import Answer
from chaos.values.promql import read_comparison, true_without_data
from chaos.values.questions import COMPARED, Comparison
from chaos.values.series import Series

START = 1000.0
NO, YES, NOTHING = 0.0, 1.0, -1.0


def decided(
    promql: str, looks: Sequence[float], *, phase: Phase = "fault", values: Mapping[str, Sequence[float]] | None = None
) -> tuple[Finding, str]:
    """What a look each second, from the phase's start on, amounts to."""
    one = PromqlExpectation("it holds", promql=promql)
    evidence = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    for labels, column in [({}, looks), *(({COMPARED: which}, found) for which, found in (values or {}).items())]:
        samples = tuple((START + at, value) for at, value in enumerate(column))
        evidence.add(Comparison(promql=promql), [Series(labels=labels, samples=samples)])
    window = Window(START, START + len(looks) - 1)
    found = one.decide(evidence, Look(phase=phase, window=window, namespace="staging", confidence=0.99))
    return found, one.tell(found, phase).observed


@pytest.mark.parametrize(("looks", "answer", "observed"), [
    ([YES, YES, YES], Answer.UNDECIDED, "true at 2 of 2 looks"),
    ([YES] * 4, Answer.HOLDS, "true at 3 of 3 looks"),
    ([YES, YES, NO, YES], Answer.VIOLATED, "true at 2 of 3 looks"),
    ([NO, YES, YES, YES], Answer.HOLDS, "true at 3 of 3 looks"),
    ([YES], Answer.UNDECIDED, "no look"),
])  # fmt: skip
def test_it_must_be_true_at_every_look_after_the_first_scrape(
    looks: list[float], answer: Answer, observed: str
) -> None:
    found, told = decided("sum(up) > 3", looks)
    assert (found.answer, told) == (answer, observed)


def test_a_window_that_begins_before_the_phase_says_nothing_of_it() -> None:
    promql = "sum(rate(errors_total[10s] offset 5s)) < 1"
    assert read_comparison(promql).looks_back == timedelta(seconds=15)
    early, told = decided(promql, [NO] * 16)
    assert (early.answer, told) == (Answer.UNDECIDED, "no look whose windows of 15s lie within the phase")
    assert decided(promql, [NO] * 16 + [YES] * 3)[0].answer is Answer.HOLDS
    assert decided(promql, [YES] * 16 + [NO])[0].answer is Answer.VIOLATED


@pytest.mark.parametrize(("looks", "phase", "answer"), [
    ([YES] * 5 + [NOTHING], "fault", Answer.UNDECIDED),
    ([NOTHING] * 6, "fault", Answer.UNDECIDED),
    ([NOTHING] * 3 + [YES] * 5, "fault", Answer.UNDECIDED),
    ([NOTHING] * 3 + [NO], "fault", Answer.VIOLATED),
    ([NOTHING] * 6, "baseline", Answer.UNDECIDED),
    ([NOTHING] * 3 + [YES] * 5, "baseline", Answer.HOLDS),
    ([NOTHING] * 3 + [YES] * 5 + [NOTHING], "baseline", Answer.UNDECIDED),
])  # fmt: skip
def test_missing_data_are_neither_true_nor_false(looks: list[float], phase: Phase, answer: Answer) -> None:
    found, told = decided("sum(up) > 3", looks, phase=phase)
    assert found.answer is answer
    assert found.missing is (answer is Answer.UNDECIDED)
    assert ("data" in told) is found.missing


def test_the_values_are_told() -> None:
    values = {"least": [9.0, 3.5, 3.0, 3.25], "most": [9.0, 4.0, 4.0, 4.0]}
    assert decided("sum(up) > 3", [YES, YES, NO, YES], values=values)[1] == "true at 2 of 3 looks; sum(up) was 3 to 4"


@pytest.mark.parametrize(
    ("promql", "seconds", "shown", "needed"),
    [
        ("sum(up) >= 3", 0, "sum(up)", [("sum(up)",)]),
        ("2 < sum(up)", 0, "sum(up)", [("sum(up)",)]),
        ("sum(rate(a[1m])) / sum(rate(b[5m] offset 1m)) > 0.9", 360, None, None),
        ("max_over_time(rate(a[1m])[5m:10s]) > 3", 360, None, None),
        ("job:errors:ratio_rate5m < 0.01", 300, "job:errors:ratio_rate5m", None),
        ("a > 1 and b < 2", 0, "a", [("a", "b")]),
        ("a > 1 or b < c", 0, "a", [("a",), ("b", "c")]),
        ("a > 3 unless b", 0, "a", [("a",)]),
        ("count(up == 1) >= 3", 0, "count(up == 1)", [("up",)]),
        ("(sum(rate(a[1m])) or vector(0)) < 5", 60, "(sum(rate(a[1m])) or vector(0))", [()]),
        ("absent(up) == 1", 0, "absent(up)", [()]),
        ("time() - a < 5", 0, "time() - a", [("time() - a",)]),
    ],
)
def test_it_is_known_what_it_looks_at(
    promql: str, seconds: float, shown: str | None, needed: list[tuple[str, ...]] | None
) -> None:
    found = read_comparison(PromqlExpectation("t", promql=promql).promql)
    assert found.looks_back == timedelta(seconds=seconds)
    assert shown in (None, found.shown)
    assert needed in (None, list(found.needed))


@pytest.mark.parametrize(
    ("promql", "told"),
    [
        ("sum(", "expected PromQL: "),
        ("sum(up)", "expected a comparison, such as"),
        ('up{job!="x"}', "expected a comparison, such as"),
        ("sum(up > bool 3)", "expected a comparison, such as"),
        ("sum(up) > bool 3", "leave out `bool`"),
        ("scalar(up) > bool 3", "leave out `bool`"),
        ("vector(1) > 0", "always true"),
        ("sum(up) > 3 or vector(1)", "always true"),
        ("sum(errors) or vector(0) < 5", "in parentheses|into parentheses"),
        ("sum(rate(a[1m])) >= 0", "`sum\\(rate\\(a\\[1m\\]\\)\\) >= 0` holds for every value"),
        ("0 <= sum(rate(a[1m]))", "always true"),
        ("-sum(rate(a[1m])) <= 0", "always true"),
        ("up >= 0", "always true"),
        ("up <= 1", "always true"),
        ("avg(up) <= 1", "always true"),
        ("min_over_time(up[1m]) >= 0", "always true"),
        ("count(up) > -1", "always true"),
        ("count(up) > 0", "always true"),
        ("orders_total >= 0", "always true"),
        ("orders_total > -1", "always true"),
        ("orders_total != -1", "always true"),
        ("sum(increase(a[1m])) + count(up) >= 1", "always true"),
        ("sum(rate(a[1m])) * 100 >= 0", "always true"),
        ("sum(rate(a[1m])) / sum(rate(b[1m])) >= 0", "always true"),
        ('sum(rate(a_total{code="500"}[1m])) / sum(rate(a_total[1m])) <= 1', "always true"),
        ('1 - (sum(rate(a{code="500"}[1m])) / sum(rate(a[1m]))) >= 0', "always true"),
        ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[1m]))) >= 0", "always true"),
        ("abs(memory) >= 0", "always true"),
        ("clamp_min(memory, 3) >= 2", "always true"),
        ("clamp(memory, 1, 9) < 10", "always true"),
        ("(sum(up) > bool 3) >= 0", "always true"),
        ("(sum(rate(a[1m])) or vector(0)) >= 0", "always true"),
        ("memory == memory", "always true"),
        ("sum(memory) >= sum(memory)", "always true"),
        ("memory > 3 or up >= 0", "`up >= 0` holds"),
        ("up >= 0 and up <= 1", "always true"),
        ("count(up >= 0) > 0", "always true"),
        ("hour() < 24", "always true|compares constants"),
        ("up > 1", "never true"),
        ("sum(rate(a[1m])) < 0", "never true"),
        ("memory != memory", "never true"),
        ("memory > 3 and up > 1", "never true"),
        ("absent(memory) == 0", "never true"),
        ("vector(1) > 2", "never changes"),
        ("up @ 1600000000 > 3", "leave it out"),
        ("up offset -5m > 3", "looks at the future"),
    ],
)
def test_what_can_not_be_both_true_and_false_is_refused(promql: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        PromqlExpectation("t", promql=promql)


@pytest.mark.parametrize(
    "promql",
    [
        "memory >= -1",
        "memory >= 0",
        "delta(orders_total[1m]) >= 0",
        "deriv(memory[1m]) >= 0",
        "sum(a_total) - sum(b_total) >= 0",
        "1 - sum(rate(a[1m])) / sum(rate(b[1m])) >= 0",
        "count(up == 1) > 0",
        "count(up == 1) >= 3",
        "sum(rate(a[1m])) > 0",
        "up > 0",
        "up == 1",
        "up < 1",
        "avg(up) >= 1",
        "sum(up) >= 1",
        "sum(up) <= 1",
        "orders_total != 0",
        "absent(ALERTS) == 1",
        "absent(up == 0) == 1",
        "memory >= memory offset 5m",
        "sum(rate(a[1m])) / sum(rate(b[1m])) <= 1",
        'sum by (pod) (rate(a{code="500"}[1m])) / sum(rate(a[1m])) <= 1',
        "memory > 3 and up >= 0",
        "memory > 3 or up > 1",
        "(sum(rate(a[1m])) or vector(0)) < 5",
        "histogram_quantile(0.9, sum by (le) (rate(a_bucket[1m]))) < 0.3",
    ],
)
def test_what_may_be_both_true_and_false_is_not_refused(promql: str) -> None:
    assert PromqlExpectation("t", promql=promql).promql == promql


@pytest.mark.parametrize(
    ("promql", "series"),
    [
        ('(sum(rate(errors_total{app="a"}[1m])) or vector(0)) < 5', ('errors_total{app="a"}',)),
        ("absent(panics) == 1", ("panics{}",)),
        ("absent(panics) or up == 1", ("panics{}", "up{}")),
        ("(vector(1) unless panics) == 1", ("panics{}",)),
        ("(sum(orders) or vector(0)) > 5", ()),
        ("sum(up) > 3", ()),
        ("time() - orders < 5", ()),
    ],
)
def test_what_is_true_without_data_is_known(promql: str, series: tuple[str, ...]) -> None:
    assert true_without_data(promql) == series


@pytest.mark.parametrize("there", [True, False])
def test_a_comparison_that_is_true_without_data_is_warned_of_where_there_are_none(*, there: bool) -> None:
    one = PromqlExpectation("few errors", promql="(sum(rate(errors_total[1m])) or vector(0)) < 5")
    unanswered = () if there else one.answered_always("staging")
    scene = Scene(namespace="staging", target="inventory-svc", unanswered=frozenset(unanswered))
    assert [warn.code for warn in one.unshown(scene)] == ([] if there else ["true-without-data"])


@pytest.mark.parametrize(("limits", "fits"), [
    (Limits(baseline="60s", fault="120s"), False), (Limits(baseline="120s", fault="60s"), False),
    (Limits(baseline="90s", fault="90s"), True),
])  # fmt: skip
def test_windows_that_are_longer_than_a_phase_are_refused(limits: Limits, fits: bool) -> None:
    def experiment() -> Experiment:
        return Experiment(
            "orders",
            target=Target("staging", "inventory-svc"),
            faults=[Abort(percentage=50, http_status=503)],
            load=Load(requests=[Request("/orders/42")]),
            steady_state=[PromqlExpectation("few errors", promql="sum(rate(errors_total[1m])) < 5")],
            limits=limits,
        )

    if fits:
        assert experiment().limits == limits
    else:
        with pytest.raises(
            InputError, match="few errors: the comparison looks back 60s, and a phase lasts 60s at most"
        ):
            experiment()
