"""What listeners leave behind: Allure's steps in detail, CI's summary, the live line, labels that do not overlap."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from allure_commons import model2
from allure_commons.model2 import Status
from allure_commons.reporter import AllureReporter

from chaos.engine.listeners import Listeners
from chaos.judge import judge
from chaos.model.events import GuardrailTripped, Locked, Trouble, TroubleKind
from chaos.model.history import History, Mark, PhaseName, Span
from chaos.model.verdict import Outcome, Reason, ReasonCode, Verdict
from chaos.ports import Progress, Result
from chaos.reporting import timeline
from chaos.reporting.allure import AllureSteps
from chaos.reporting.console import console
from chaos.reporting.prose import share_text, verdict_markdown
from chaos.reporting.summary import VARIABLE, JobSummary
from chaos.reporting.table import Row, row_of, write_table
from chaos.reporting.terminal import Terminal
from chaos.values.answers import Answer, ExpectationResult, Interval, Tally
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
    AllureSteps(results, reporter, **options).finished(Result(history=one, verdict=judge(one)))
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
    assert inner["'answered'"].status == Status.FAILED
    assert "expected at least 99%" in inner["'answered'"].name
    assert (inner["'answered'"].start, inner["'answered'"].stop) == (steps["observe"].start, steps["observe"].stop)
    assert [step.name.split(": ")[:2] for step in steps["prove"].steps] == [
        ["staging/inventory-svc", kind] for kind in ("abort", "delay")
    ]
    assert steps["recover"].steps[0].name.startswith("recovery: at once")


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
    JobSummary().finished(Result(history=GOOD, verdict=judge(GOOD)))
    JobSummary().finished(Result(history=BAD, verdict=judge(BAD)))
    text = file.read_text()
    assert text.startswith("before\n## PASSED: orders")
    assert "## FAILED: orders" in text


def test_a_summary_that_cannot_be_written_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent" / "summary.md"))
    Listeners([JobSummary()]).finish(Result(history=GOOD, verdict=judge(GOOD)))
    told = capsys.readouterr().err
    assert "JobSummary is dropped: InputError: GITHUB_STEP_SUMMARY=" in told
    assert "expected a file that can be written" in told


def test_what_a_claim_says_ends_no_cell_and_loads_nothing() -> None:
    expectation = ExpectationResult(
        title="a | b <img src=//h/p>", phase="fault", expected="up > 3 ![p](//h/p)", observed="1 of 1", bound=1.0, tally=Tally(good=1, total=1),
        interval=Interval(low=0, high=1, confidence=0.95), answer=Answer.HOLDS,
    )  # fmt: skip
    verdict = Verdict(
        run="r1", experiment="e", outcome=Outcome.PASSED, fault=(expectation,),
        reasons=(Reason(code=ReasonCode.ALL_HELD, message="m"),),
    )  # fmt: skip
    (row,) = [line for line in verdict_markdown(verdict).splitlines() if "a " in line and line.startswith("|")]
    assert row.replace("\\|", "").count("|") == 6
    assert "<img" not in row
    assert "![" not in row


def test_a_fault_too_short_to_count_is_not_zero_of_zero() -> None:
    short = history(marks={**MARKS, Mark.RESTORE_SENT: 1030.9, Mark.RESTORED: 1031.0})
    proof = judge(short).proof
    assert proof is not None
    assert all("no request was counted" in share_text(share) for one in proof.targets for share in one.shares)


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    return Screen()


def test_the_live_line_never_wraps(screen: Screen) -> None:
    Terminal(screen, width=40).progress(
        Progress(
            run="r1", experiment="e", phase=PhaseName.OBSERVE, elapsed=1, rate=60, expectations=judge(GOOD).baseline,
            proof=judge(GOOD).proof,
        )
    )  # fmt: skip
    assert len(screen.getvalue().removeprefix("\r\x1b[2K")) == 39


@pytest.mark.parametrize(("wait", "told"), [(11.2, "at least 12 s more"), (0.0, "1 of 1 decided")])
def test_it_says_what_is_waited_for(wait: float, told: str) -> None:
    terminal = Terminal(out := io.StringIO(), width=200)
    found = judge(GOOD).baseline[:1]
    terminal.progress(
        Progress(run="r1", experiment="e", phase=PhaseName.BASELINE, elapsed=9, expectations=found, wait=wait)
    )
    assert out.getvalue().endswith(f", {told}\n")


def test_a_line_takes_the_place_of_the_live_one(screen: Screen) -> None:
    terminal = Terminal(screen, width=80)
    terminal.progress(Progress(run="r1", experiment="e", phase=PhaseName.OBSERVE, elapsed=1))
    terminal.event("r1", GuardrailTripped(at=1040.0, title="on fire"))
    assert screen.getvalue().endswith(
        "\r\x1b[2K    0.0 s  guardrail: 'on fire' is violated: the run restores at once\n"
    )


@pytest.mark.parametrize("told", ["FORCE_COLOR", "TERM=dumb"])
def test_nothing_is_redrawn_where_it_can_not_be(screen: Screen, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    name, _, value = told.partition("=")
    monkeypatch.setenv(name, value or "1")
    out = screen if value else io.StringIO()
    terminal = Terminal(out, width=80)
    terminal.progress(
        Progress(run="r1", experiment="e", phase=PhaseName.OBSERVE, elapsed=9, expectations=judge(GOOD).baseline)
    )
    terminal.finished(Result(history=GOOD, verdict=judge(GOOD)))
    assert "\r" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2


@pytest.mark.parametrize(("value", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, screen: Screen, value: str, coloured: bool) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    Terminal(screen).finished(Result(history=GOOD, verdict=judge(GOOD)))
    assert ("\x1b[32m" in screen.getvalue()) is coloured


def test_a_closed_pipe_is_the_commands_to_tell() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), os.fdopen(write, "w") as gone:
        console(gone).print("to nobody")


def test_what_looks_like_markup_is_text() -> None:
    out = io.StringIO()
    Terminal(out).say("[red]40 %[/red] :warning: a[0]")
    assert out.getvalue() == "[red]40 %[/red] :warning: a[0]\n"


def test_the_table_is_as_wide_as_its_longest_outcome() -> None:
    out = io.StringIO()
    write_table(
        [Row("a", "blast-radius-violated", ["x" * 300, "[y]"]), row_of(judge(GOOD)), Row("b", "error", [])], out
    )
    head, *lines = out.getvalue().splitlines()
    column = head.index("REASON")
    assert [line[column - 2 : column] for line in lines[:2]] == ["  ", "  "]
    assert [line[column:] for line in lines[:2]] == ["x" * 300, "[y]"], "what is no terminal wraps nothing"
    assert lines[3].split() == ["b", "error"]
    assert all(line == line.rstrip() for line in lines)


def test_a_row_has_the_hints_where_nothing_else_tells_them() -> None:
    verdict = judge(history(order=orders(bad=lambda second: 0.2 if is_faulted(second) else 0)))
    assert not [line for line in row_of(verdict).reasons if "hint:" in line]
    first, hint, *_ = row_of(verdict, hints=True).reasons
    assert first.startswith("expectation-violated: ")
    assert hint.startswith("  hint: improve the caller")


def test_the_table_stays_within_a_terminal(screen: Screen) -> None:
    write_table([Row("a", "failed", ["word " * 40])], screen, width=60)
    _, first, *others = screen.getvalue().splitlines()
    assert first.startswith("a           \x1b[31mfailed")
    assert others
    assert all(line.startswith(" " * 21) and len(line) <= 60 for line in others)


def test_labels_near_each_other_become_one() -> None:
    joined = timeline._joined([(1.0, "injected"), (3.0, "guardrail"), (3.0, "guardrail"), (50.0, "restored")], 5)
    assert joined == [(2.0, "injected, guardrail"), (50.0, "restored")]


def test_events_that_matter_get_a_line() -> None:
    events = (GuardrailTripped(at=1040.0, title="m"), Locked(at=1041.0, namespace="n", service="s"))
    assert (1040.0, "guardrail") in timeline._moments(without(GOOD, events=events))
    assert len(timeline._moments(without(GOOD, events=events))) == len(timeline._moments(GOOD)) + 1
