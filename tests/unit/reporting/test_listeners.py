"""What listeners leave behind: Allure's steps in detail, CI's summary, the live line, labels that do not overlap."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from allure_commons import model2
from allure_commons.model2 import Status
from allure_commons.reporter import AllureReporter

from chaos.judge import judge
from chaos.model.history import Event, History, Mark, PhaseName, Span, Trouble, TroubleKind
from chaos.model.verdict import Outcome, Reason, ReasonCode, Verdict
from chaos.ports import Finished, Progress
from chaos.reporting import timeline
from chaos.reporting.allure import AllureSteps
from chaos.reporting.prose import share_text, verdict_markdown
from chaos.reporting.sinks import finish
from chaos.reporting.summary import VARIABLE, summarise
from chaos.reporting.terminal import Row, Terminal, row_of, table
from chaos.values.answers import Answer, ClaimResult, Interval, Tally
from tests.support.histories import MARKS, history, is_faulted, orders, without

ROOT = Path(__file__).parents[3]
GOOD = history()
BAD = history(order=orders(bad=lambda second: 0.2 if is_faulted(second) else 0))


def steps_of(one: History, results: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    """The steps that a finished run leaves in its result, by phase; what would be attached is dropped."""
    for name in ("attach", "dynamic"):
        monkeypatch.setattr(f"chaos.reporting.allure.allure.{name}", _Ignoring())
    reporter = AllureReporter()
    result = model2.TestResult(uuid="t", name="t")
    reporter.schedule_test("t", result)
    AllureSteps(results, reporter, **options).finished(Finished(history=one, verdict=judge(one)))
    return {step.name.split()[0]: step for step in result.steps}


class _Ignoring:
    def __getattr__(self, name: str) -> _Ignoring:
        return self

    def __call__(self, *args: Any, **options: Any) -> None:
        """Nothing."""


def test_a_step_has_what_was_decided_in_its_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = steps_of(BAD, tmp_path, monkeypatch)
    assert steps["baseline"].status == Status.PASSED
    assert steps["observe"].status == Status.FAILED
    inner = {step.name.split(":")[0]: step for step in steps["observe"].steps}
    assert inner["answered"].status == Status.FAILED
    assert "expected at least 99%" in inner["answered"].name
    assert (inner["answered"].start, inner["answered"].stop) == (steps["observe"].start, steps["observe"].stop)
    assert [step.name.split()[0] for step in steps["prove"].steps] == ["abort", "delay"]
    assert steps["recover"].steps[0].name.startswith("recovery: within")


def test_a_trouble_is_told_in_the_step_in_which_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Trouble(at=1040.0, kind=TroubleKind.METRICS_LOST, message="no answer for 13 s")
    steps = steps_of(without(GOOD, troubles=(lost,)), tmp_path, monkeypatch)
    assert steps["observe"].statusDetails.message == "metrics-lost: no answer for 13 s"
    assert steps["observe"].status != Status.PASSED
    assert steps["baseline"].statusDetails is None


def test_steps_are_in_the_machines_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = without(GOOD, clock_offset=5.0)  # Prometheus' clock is ahead of ours, and Allure knows only ours
    assert steps_of(ahead, tmp_path, monkeypatch)["baseline"].start == 995_000


def test_a_phase_that_was_never_left_ends_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = without(GOOD, spans=(Span(phase=PhaseName.BASELINE, start=1000.0),), ended=1010.0)
    assert steps_of(broken, tmp_path, monkeypatch)["baseline"].stop == 1_010_000


def test_categories_are_the_projects_own_or_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_of(GOOD, tmp_path / "a", monkeypatch)
    packaged = json.loads((tmp_path / "a" / "categories.json").read_text())
    assert packaged == json.loads((ROOT / "reports/allure/categories.json").read_text()), "one truth in two places"
    (tmp_path / "mine.json").write_text("[]")
    steps_of(GOOD, tmp_path / "b", monkeypatch, categories=tmp_path / "mine.json")
    assert (tmp_path / "b" / "categories.json").read_text() == "[]"
    steps_of(GOOD, tmp_path / "c", monkeypatch, categories=tmp_path / "absent.json")
    assert json.loads((tmp_path / "c" / "categories.json").read_text()) == packaged
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["categories.json", "environment.properties"]


def test_the_jobs_summary_grows_with_each_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv(VARIABLE, str(file))
    summarise([judge(GOOD)])
    summarise([judge(BAD)])
    text = file.read_text()
    assert text.startswith("before\n## PASSED: orders")
    assert "## FAILED: orders" in text


def test_a_summary_that_cannot_be_written_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent" / "summary.md"))
    finish([Finished(history=GOOD, verdict=judge(GOOD), folder=Path("reports/runs/r1"))])
    told = capsys.readouterr().err
    assert "can't be written" in told
    assert "all-held" in told
    assert "record    reports/runs/r1" in told


def test_a_bar_in_a_claim_does_not_end_its_cell() -> None:
    claim = ClaimResult(
        title="a | b", phase="fault", expected="up > 3", observed="1 of 1", bound=1.0, tally=Tally(good=1, total=1),
        interval=Interval(low=0, high=1, confidence=0.95), answer=Answer.HOLDS,
    )  # fmt: skip
    verdict = Verdict(
        run="r1", experiment="e", outcome=Outcome.PASSED, fault=(claim,),
        reasons=(Reason(code=ReasonCode.ALL_HELD, message="m"),),
    )  # fmt: skip
    (row,) = [line for line in verdict_markdown(verdict).splitlines() if "a " in line and line.startswith("|")]
    assert row.replace("\\|", "").count("|") == 6


def test_a_fault_too_short_to_count_is_not_zero_of_zero() -> None:
    short = history(marks={**MARKS, Mark.RESTORE_SENT: 1030.9, Mark.RESTORED: 1031.0})
    proof = judge(short).proof
    assert proof is not None
    assert all("too short" in share_text(share) for share in proof.shares)


def test_the_live_line_never_wraps() -> None:
    out = io.StringIO()
    sink = Terminal(out, live=True, width=40)
    claims = judge(GOOD).baseline
    sink.progress(
        Progress(
            run="r1", experiment="e", phase=PhaseName.OBSERVE, elapsed=1, rate=60, good=1.0, claims=claims,
            proof=judge(GOOD).proof,
        )
    )  # fmt: skip
    assert len(out.getvalue().removeprefix("\r\x1b[2K")) == 39


@pytest.mark.parametrize(("value", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, value: str, coloured: bool) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    out = io.StringIO()
    Terminal(out, live=True).finished(Finished(history=GOOD, verdict=judge(GOOD)))
    assert ("\x1b[32m" in out.getvalue()) is coloured


def test_the_table_is_as_wide_as_its_longest_outcome() -> None:
    rows = [Row("a", "blast-radius-violated", ["x"]), row_of(judge(GOOD)), Row("b", "error", [])]
    head, _, *lines = table(rows)
    column = head.index("reason")
    assert [line[column - 2 : column] for line in lines[:2]] == ["  ", "  "]
    assert lines[0][column:] == "x"
    assert lines[2].split() == ["b", "error"]


def test_labels_near_each_other_become_one() -> None:
    joined = timeline._joined([(1.0, "injected"), (3.0, "guardrail"), (3.0, "guardrail"), (50.0, "restored")], 5)
    assert joined == [(2.0, "injected, guardrail"), (50.0, "restored")]


def test_events_that_matter_get_a_line() -> None:
    events = (Event(at=1040.0, kind="guardrail", message="m"), Event(at=1041.0, kind="locked", message="m"))
    assert (1040.0, "guardrail") in timeline._moments(without(GOOD, events=events))
    assert all(text != "locked" for _, text in timeline._moments(without(GOOD, events=events)))
