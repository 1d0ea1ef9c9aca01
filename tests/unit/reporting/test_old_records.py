"""Records of format 1 and what the version that wrote them judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.errors import InputError
from chaos.judge import judge
from chaos.model.history import FORMAT
from chaos.reporting.record import read_record, write_record
from chaos.values.answers import Answer
from tests.support.histories import as_dict, history, orders

RECORDS = Path(__file__).parent / "format_1"


@pytest.mark.parametrize("name", ["held", "violated"])
def test_a_record_of_format_1_is_judged_as_it_was(name: str, tmp_path: Path) -> None:
    history = read_record(RECORDS / f"{name}.json").history
    verdict = judge(history)
    assert verdict.proof is not None
    assert verdict.removal is not None
    assert verdict.recovery is not None
    results = (*verdict.baseline, *verdict.fault, *verdict.guardrails, *verdict.recovery.expectations)
    assert json.loads((RECORDS / f"{name}.verdict.json").read_text()) == {
        "outcome": verdict.outcome,
        "reasons": [reason.code for reason in verdict.reasons],
        "tallies": {f"{one.phase}: {one.title}": [one.tally.good, one.tally.total, one.answer] for one in results},
        "shares": [[share.tally.good, share.tally.total] for one in verdict.proof.targets for share in one.shares],
        "removal": verdict.removal.seconds,
        "recovery": verdict.recovery.seconds,
    }
    assert history.format == FORMAT
    again = read_record(write_record(history, verdict, tmp_path)).history
    assert again == history, "written anew, it is of today's format"


@pytest.mark.parametrize(("context", "lab"), [("chaos-lab", True), ("chaos-lab-own-1", True), ("staging", False)])
def test_a_record_of_format_1_may_not_say_whether_it_is_the_labs(tmp_path: Path, context: str, lab: bool) -> None:
    document = json.loads((RECORDS / "held.json").read_text())
    document["environment"]["context"] = context
    (tmp_path / "record.json").write_text(json.dumps(document))
    assert read_record(tmp_path).history.environment.lab is lab
    document["environment"]["lab"] = not lab
    (tmp_path / "record.json").write_text(json.dumps(document))
    assert read_record(tmp_path).history.environment.lab is not lab


def test_what_was_allowed_when_a_record_was_written_is_not_refused_now(tmp_path: Path) -> None:
    text = (RECORDS / "held.json").read_text()
    (tmp_path / "record.json").write_text(text.replace("sum(up) > 3", "vector(1) > 0"))
    (up,) = [one for one in judge(read_record(tmp_path).history).baseline if one.title == "up"]
    assert up.expected == "vector(1) > 0 to be true at every look"


def test_what_happened_in_a_record_of_format_1_is_still_told(tmp_path: Path) -> None:
    document = json.loads((RECORDS / "held.json").read_text())
    document["events"] = [{"at": 1030.2, "kind": "injected", "message": "create: staging/chaos-r1", "data": {}}]
    (tmp_path / "record.json").write_text(json.dumps(document))
    assert [(event.kind, event.at, event.sentence) for event in read_record(tmp_path).history.events] == [
        ("noted", 1030.2, "injected: create: staging/chaos-r1")
    ]


def test_in_a_record_of_format_2_a_plan_had_one_fault(tmp_path: Path) -> None:
    document = as_dict(history())
    (injection,) = document["plan"].pop("injections")
    document["plan"]["callers"] = injection.pop("callers")
    old = {key: value for key, value in injection.items() if key not in ("target", "fault", "route_name")}
    document["plan"]["injection"] = {**old, "route_names": [injection["route_name"]]}
    document["format"] = 2
    document["events"] = [{"kind": "restored", "at": 1060.1, "strategy": "create", "exact": None}]
    (tmp_path / "record.json").write_text(json.dumps(document))
    read = read_record(tmp_path).history
    assert read.plan.injections == history().plan.injections
    assert read.plan.allowed
    assert [event.sentence for event in read.events] == ["staging/chaos-r1-inventory-svc is deleted"]
    document["plan"]["injection"] = None
    (tmp_path / "record.json").write_text(json.dumps({**document, "events": []}))
    assert not read_record(tmp_path).history.plan.allowed


@pytest.mark.parametrize(("share", "answer"), [(0.2, Answer.VIOLATED), (0.0, Answer.HOLDS)])
def test_a_record_of_format_3_had_a_mark_of_what_was_known_of_a_violation(
    tmp_path: Path, share: float, answer: Answer
) -> None:
    """Few errors up to the mark decide, although many good answers came after it."""
    document = as_dict(history(order=orders(bad=lambda second: share if 1031 <= second < 1040 else 0.0)))
    document["format"] = 3
    document["marks"]["violated"] = 1040.0
    (tmp_path / "record.json").write_text(json.dumps(document))
    read = read_record(tmp_path).history
    assert [(one.phase, one.at) for one in read.decisions] == [("fault", 1040.0)]
    (answered, *_) = judge(read).fault
    assert answered.answer is answer
    assert answered.tally.total <= 800, "100 a second, between the first and the last scrape up to the mark"


@pytest.mark.parametrize(
    "text", ['{"format": 1}', '{"format": 1, "plan": null}', '{"format": 1, "plan": {"experiment": []}}']
)
def test_a_broken_record_of_format_1_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(InputError, match="expected a record"):
        read_record(tmp_path)
