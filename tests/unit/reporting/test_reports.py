from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from chaos.errors import InputError
from chaos.judge import judge
from chaos.model.history import FORMAT, PhaseName
from chaos.ports import Progress, Result
from chaos.reporting.plan_text import plan_text
from chaos.reporting.prose import headline, verdict_markdown, verdict_text
from chaos.reporting.record import read_record, write_record
from chaos.reporting.terminal import Terminal
from chaos.reporting.timeline import draw
from tests.support.histories import history, is_faulted, orders, plan

GOOD = history()
BAD = history(order=orders(bad=lambda second: 0.2 if is_faulted(second) else 0))


def test_prose_says_claim_expectation_observation_and_hint() -> None:
    verdict = judge(BAD)
    told = headline(verdict)
    assert told.startswith(
        "failed (expectation-violated): 'answered' was violated during the fault: expected at least 99% of the requests to order-svc"
    )
    assert told.endswith("; the fault is gone")
    text = verdict_text(verdict)
    assert "during the fault: 'answered': violated" in text
    assert "hint: improve the caller: a time-out" in text
    assert "at the end: the fault is gone" in text
    assert "of 2900 = 100%" in text or "= 100%" in text
    assert "| during the fault | answered |" in verdict_markdown(verdict)


def test_a_record_can_be_read_back(tmp_path: Path) -> None:
    folder = write_record(GOOD, judge(GOOD), tmp_path)
    assert read_record(folder).history == GOOD
    assert read_record(folder / "record.json").history == GOOD
    assert (folder / "verdict.txt").read_text().startswith("orders: PASSED")
    assert sorted(path.name for path in folder.iterdir()) == ["plan.txt", "record.json", "verdict.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 1}', "\x00"])
def test_what_is_no_record_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(InputError, match="expected a record"):
        read_record(tmp_path)


def test_a_record_of_another_format_is_not_guessed_at(tmp_path: Path) -> None:
    folder = write_record(GOOD, judge(GOOD), tmp_path)
    file = folder / "record.json"
    file.write_text(file.read_text().replace(f'"format":{FORMAT}', f'"format":{FORMAT + 1}', 1))
    with pytest.raises(InputError, match=f"format {FORMAT} or an earlier one, found {FORMAT + 1}"):
        read_record(file)


@pytest.mark.parametrize("one", [GOOD, BAD, history(load=(), recorded=(), marks={}, spans=())])
def test_the_timeline_is_a_picture_of_its_size(tmp_path: Path, one: object) -> None:
    assert isinstance(one, type(GOOD))
    data = draw(one, judge(one), tmp_path / "t.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (1400, 1000)


def test_the_plan_is_a_diff() -> None:
    text = plan_text(plan())
    assert "strategy:  create" in text
    assert "callers:   staging/order-svc (1 pods)" in text
    assert "+  name: chaos-r1-inventory-svc" in text


def test_plain_lines_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    sink = Terminal(out)
    sink.started(plan())
    sink.phase("r1", PhaseName.BASELINE, 1000.0)
    for second in range(12):
        expectations = judge(GOOD).baseline
        sink.progress(
            Progress(
                run="r1",
                experiment="orders",
                phase=PhaseName.BASELINE,
                elapsed=second,
                rate=60,
                expectations=expectations,
            )
        )
    sink.finished(Result(history=GOOD, verdict=judge(GOOD)))
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert sum("answers/s" in line for line in lines) == 3, "about every five seconds"
    assert lines[-1].startswith("  => passed (all-held)")
