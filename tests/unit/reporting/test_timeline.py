"""What a run's picture shows: the run's own time, the expectations with their bounds, and counts as they are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from chaos.adapters.experiment_file import parse_experiment
from chaos.judge import judge
from chaos.model.history import History, Mark
from chaos.reporting.panels import LATE
from chaos.reporting.timeline import draw, picture
from chaos.testing.shop import Shop
from tests.support.histories import (
    EXPERIMENT,
    grow,
    history,
    is_faulted,
    is_loaded,
    load,
    orders,
    plan,
    requests_to_target,
)

METRIC = "  - {title: idle, metric: istiod-cpu}\n"


def drawn(one: History) -> dict[str, Axes]:
    """The panels, by the first word of what they show."""
    axes: list[Axes] = picture(one, judge(one)).axes
    return {axis.get_ylabel().split(":")[0].split("\n")[0]: axis for axis in axes}


def lines(panel: Axes) -> dict[str, list[Line2D]]:
    """The lines of a panel; those without a name go on with the one before."""
    found: dict[str, list[Line2D]] = {}
    name = ""
    for line in panel.get_lines():
        label = str(line.get_label())
        name = name if label.startswith("_") else label
        if line.get_linestyle() != "--":  # else a moment's
            found.setdefault(name, []).append(line)
    return found


def points(line: Line2D) -> list[tuple[float, float]]:
    xs: Any = line.get_xdata()
    ys: Any = line.get_ydata()
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def bounds(panel: Axes) -> set[tuple[float, float, float]]:
    """Dashed lines: from when to when, and at which height."""
    found = set()
    for collection in panel.collections:
        for path in collection.get_paths():
            vertices: Any = path.vertices
            (start, height), *_, (end, _) = vertices.tolist()
            if len(vertices) == 2:
                found.add((round(start), round(end), round(height, 2)))
    return found


def test_a_run_that_injected_nothing_shows_no_fault_of_the_run_before(tmp_path: Path) -> None:
    shop, text = Shop(), EXPERIMENT.replace("rate: 100", "rate: 40")
    before = shop.harness(report_dir=tmp_path).run(parse_experiment(text))
    assert Mark.INJECT_SENT in before.history.marks
    shop.traffic.broken = 0.5
    found = shop.harness(report_dir=tmp_path).run(parse_experiment(text)).history
    assert Mark.INJECT_SENT not in found.marks
    panels = drawn(found)
    left, right = panels["fault at the target"].get_xlim()
    assert (left >= -2, right <= found.marks[Mark.LOAD_STOPPED] - found.marks[Mark.LOAD_STARTED] + 2) == (True, True)
    assert [text.get_text() for text in panels["fault at the target"].texts] == ["no fault was counted"]


def test_expectations_are_lines_with_their_bounds_in_each_phase() -> None:
    panel = drawn(history(order=orders(slow=lambda second: 0.04 if is_faulted(second) else 0.0)))["expectations"]
    assert set(lines(panel)) == {"answered", "soon", "soon for clients"}
    assert bounds(panel) >= {(1, 30, 99.0), (30, 60, 90.0), (60, 95, 99.0)}
    low, _ = panel.get_ylim()
    assert 80 < low < 90, "no space is spent on shares that nobody expects"


def test_a_share_is_drawn_by_the_counts_that_decide_it() -> None:
    """The proxies' histogram, from five seconds after the phase's start; the load generator's own answers are all quick."""
    panel = drawn(history(order=orders(slow=lambda second: 0.2 if is_faulted(second) else 0.0)))["expectations"]
    (baseline, fault, _) = (points(line) for line in lines(panel)["soon"])
    assert {round(share) for _, share in baseline} == {100}
    assert baseline[0][0] > 6
    assert {round(share) for _, share in fault} == {80}


def test_a_fault_is_drawn_as_its_proof_counts_it() -> None:
    """Of the declared callers' requests alone, beside the declared share."""
    target = [*requests_to_target({"FI": 0.5}), *requests_to_target({}, caller="report-svc")]
    panel = drawn(
        history(target=target, plan=plan(EXPERIMENT.replace("    delay: {percentage: 30, fixedDelay: 1s}\n", "")))
    )
    (aborted,) = lines(panel["fault at the target"])["aborted at inventory-svc"]
    assert max(share for _, share in points(aborted)) == pytest.approx(50, abs=2)
    assert (30, 60, 50.0) in bounds(panel["fault at the target"])


@pytest.mark.parametrize("late", [True, False])
def test_what_is_counted_late_is_marked(late: bool) -> None:
    def rate(second: int) -> float:
        held = is_faulted(second) and second > 1034
        return 30.0 if held or (late and 1061 <= second <= 1064) else 0.0

    delayed = {"source_workload": "order-svc", "source_workload_namespace": "staging", "instance": "order-svc:15090"}
    series = grow({**delayed, "response_flags": "DI", "response_code": "200"}, rate)
    plain = grow(
        {**delayed, "response_flags": "-", "response_code": "200"}, lambda second: 70.0 if is_loaded(second) else 0.0
    )
    text = EXPERIMENT.replace(
        "abort: {percentage: 50, httpStatus: 503}\n    delay: {percentage: 30, fixedDelay: 1s}",
        "delay: {percentage: 30, fixedDelay: 4s}",
    )
    found = lines(drawn(history(target=[series, plain], plan=plan(text)))["fault at the target"])
    assert (LATE in found) is late
    if late:
        first, *_ = found[LATE]
        assert first.get_linestyle() == ":"
        assert 60 < points(first)[0][0] < 63
        assert max(share for _, share in points(first)) > 20


def test_expectations_that_are_no_share_have_their_answers_in_each_phase() -> None:
    found = history(plan=plan(EXPERIMENT.replace("guardrails:", METRIC + "guardrails:")))
    (panel,) = [one for one in picture(found, judge(found)).axes if not one.get_ylabel()]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["idle"]
    assert [one.get_text() for one in panel.texts] == ["undecided"] * 3


def test_titles_are_drawn_as_they_are(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("experiment: orders", "experiment: orders\ntitle: orders of $5 to $_9").replace(
        "title: soon,", "title: $^ soon for $5,"
    )
    found = history(plan=plan(text.replace("guardrails:", METRIC.replace("idle", "$_ idle $") + "guardrails:")))
    assert draw(found, judge(found), tmp_path / "t.png").stat().st_size


@pytest.mark.parametrize("took", [0.4, 20.0, 20_000.0])
def test_the_axis_of_latency_has_numbers_with_their_units(took: float) -> None:
    panel = drawn(history(load=load(took=took)))["latency"]
    low, high = panel.get_ylim()
    shown = [tick for tick in panel.get_yticks() if low <= tick <= high]
    assert 2 <= len(shown) <= 12
    assert {label.get_text().split()[-1] for label in panel.get_yticklabels()} <= {"ms", "s"}
