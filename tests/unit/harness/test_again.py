"""A record that is judged again: as it was, by other values, changed meanwhile, or by another version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chaos import Abort, ClientExpectation, Expectation, Experiment, Harness, InputError, Load, Outcome, Request, Target
from chaos.cli import app
from chaos.model.judged import Difference, Told
from chaos.reporting.prose import headline, verdict_markdown, verdict_text
from chaos.testing.shop import Shop

ANSWERED = Expectation("orders are answered", service="order-svc", status="<500", at_least="90%", during_fault="60%")
SOON = ClientExpectation("customers wait at most 1 s", within="1s", at_least="75%")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that passed: during the fault, 85 % of the orders were answered."""
    experiment = Experiment(
        "orders",
        target=Target("staging", "inventory-svc", callers={"app": "order-svc"}),
        faults=[Abort(percentage=50, http_status=503)],
        load=Load(rate=20, requests=[Request("/orders/42")]),
        steady_state=[ANSWERED, SOON],
        guardrails=[Expectation("on fire", service="order-svc", status="<500", at_least="50%")],
    )
    result = Shop(bears=0.7).harness(report_dir=tmp_path_factory.mktemp("reports")).run(experiment)
    assert result.verdict.passed
    assert result.folder is not None
    return result.folder


@pytest.fixture
def record(run: Path, tmp_path: Path) -> Path:
    """A copy of its record."""
    copy = tmp_path / "record.json"
    copy.write_bytes((run / "record.json").read_bytes())
    return copy


def change(record: Path, how: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(record.read_text())
    how(document)
    record.write_text(json.dumps(document))


def test_a_record_that_is_as_it_was_has_nothing_to_say(record: Path) -> None:
    assert Harness.judge(record).again is None


def test_another_order_of_keys_other_spaces_and_another_form_of_numbers_are_no_change(record: Path) -> None:
    document = json.loads(record.read_text(), parse_int=float)
    document["format"] = int(document["format"])
    record.write_text(json.dumps(document, indent=3, sort_keys=True))
    assert Harness.judge(record).again is None


@pytest.mark.parametrize(
    "how",
    [
        lambda document: document["recorded"][0]["series"].pop(),
        lambda document: document["marks"].update({"restored": document["marks"]["restored"] - 0.25}),
        lambda document: document["plan"]["experiment"].update(confidence="90%"),
    ],
    ids=["samples", "a moment", "the experiment"],
)
def test_a_record_that_was_changed_says_so_and_is_never_green(record: Path, how: Callable[[Any], object]) -> None:
    change(record, how)
    verdict = Harness.judge(record)
    assert verdict.again is not None
    assert verdict.again.changed
    assert verdict.outcome is not Outcome.PASSED
    assert "record-changed: the record was changed after its verdict" in verdict_text(verdict)
    assert "no signature" in verdict_text(verdict)


def test_a_record_without_a_verdict_says_that_it_can_not_tell(record: Path) -> None:
    change(record, lambda document: document.pop("judged"))
    verdict = Harness.judge(record)
    assert verdict.passed
    assert "the record holds no verdict" in verdict_text(verdict)


def test_where_this_version_judges_differently_is_told_with_what_was_said_before(record: Path) -> None:
    def older(document: dict[str, Any]) -> None:
        before = document["judged"]
        before.update(harness="0.0.9", outcome="failed", reasons={"not-recovered": ["not within 60 s"]})
        before["answers"]["recovery"] = {"answer": "violated", "text": "violated within 60 s"}
        del before["answers"]["proof: staging/inventory-svc: abort"]

    change(record, older)
    verdict = Harness.judge(record)
    assert verdict.passed
    assert verdict.again is not None
    assert not verdict.again.changed
    assert set(map(str, verdict.again.differences)) == {
        "outcome: was failed, now passed",
        "not-recovered: was a reason (not within 60 s), now no reason",
        "recovery: was violated (violated within 60 s), now holds",
        "proof: staging/inventory-svc: abort: was not judged, now holds",
    }
    assert "differs from version 0.0.9: outcome: was failed, now passed" in verdict_text(verdict)


def test_other_words_are_no_difference(record: Path) -> None:
    change(record, lambda document: document["judged"]["answers"]["recovery"].update(text="other words"))
    assert Harness.judge(record).again is None


@pytest.mark.parametrize(
    ("place", "value", "outcome", "places"),
    [
        ("orders are answered.duringFault", "85%", Outcome.INCONCLUSIVE, {"steadyState[0].duringFault"}),
        ("atLeast", "99.9%", Outcome.INCONCLUSIVE, {"steadyState[0].atLeast", "steadyState[1].atLeast"}),
        ("duringFault", "50%", Outcome.PASSED, {"steadyState[0].duringFault"}),
        ("confidence", "60%", Outcome.PASSED, {"confidence"}),
        ("recovery.within", "2s", Outcome.PASSED, {"recovery.within"}),
        ("on fire.atLeast", "99.99%", Outcome.FAILED, {"guardrails[0].atLeast"}),
        ("steadyState[0].good.status", ">=500", Outcome.INCONCLUSIVE, {"steadyState[0].good.status"}),
        ("steadyState[1].good.within", "10ms", Outcome.INCONCLUSIVE, {"steadyState[1].good.within"}),
    ],
)
def test_another_value_is_supposed_by_its_place_a_title_or_its_last_name(
    run: Path, place: str, value: str, outcome: Outcome, places: set[str]
) -> None:
    verdict = Harness.judge(run, what_if={place: value})
    assert verdict.again is not None
    assert verdict.again.what_if == dict.fromkeys(places, value)
    assert verdict.outcome is outcome, verdict.reasons


def test_what_was_not_steady_before_by_other_values_is_no_violation(run: Path) -> None:
    verdict = Harness.judge(run, what_if={"customers wait at most 1 s.good.status": "500", "duringFault": "50%"})
    assert [reason.code for reason in verdict.reasons] == ["not-steady-before"]


def test_a_bound_that_the_facts_refute_fails_hypothetically(run: Path) -> None:
    verdict = Harness.judge(run, what_if={"orders are answered.duringFault": "99%"})
    assert [reason.code for reason in verdict.reasons] == ["expectation-violated"]


def test_a_hypothetical_verdict_is_marked_everywhere_and_written_nowhere(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.iterdir()}
    verdict = Harness.judge(run, what_if={"atLeast": "99.9%"})
    assert headline(verdict).startswith("inconclusive (hypothetical, undecided-before)")
    assert verdict_text(verdict).startswith("orders: INCONCLUSIVE (hypothetical, run ")
    assert "Hypothetical, run" in verdict_markdown(verdict)
    assert "what if steadyState[0].atLeast = 99.9%" in verdict_markdown(verdict)
    assert verdict.again is not None
    assert verdict.again.differences[0] == Difference(
        what="outcome", before=Told(answer="passed"), now=Told(answer="inconclusive")
    )
    assert {path: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("atLest", "99%", "did you mean 'atLeast'?"),
        ("limits.fault", "9s", "expected a value by which a record is judged"),
        ("faults[0].abort.percentage", "9", "expected a value by which a record is judged"),
        ("load.rate", 9, "need another run"),
        ("atLeast", "101%", r"steadyState\[0\].atLeast: '101%': expected a share from 0% to 100%"),
        ("atLeast", 7, "expected a share with its percent sign"),
        ("recovery.within", "soon", "recovery.within: 'soon': expected a duration"),
        ("orders are answered.good.within", "1s", "the record has no durations of requests to order-svc.staging"),
        ("within", "1s", r"in several places, so expected one of them: steadyState\[1\].good.within, recovery.within"),
    ],
)
def test_what_can_not_be_supposed_is_told(run: Path, place: str, value: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Harness.judge(run, what_if={place: value})


def test_the_command_supposes_too_and_ends_by_the_hypothetical_outcome(run: Path) -> None:
    done = CliRunner().invoke(app, ["judge", str(run), "--what-if", "atLeast=99.9%", "--json"])
    assert done.exit_code == Outcome.INCONCLUSIVE.exit_code
    (verdict,) = json.loads(done.stdout)
    assert verdict["again"]["what_if"] == {"steadyState[0].atLeast": "99.9%", "steadyState[1].atLeast": "99.9%"}


def test_the_command_tells_what_it_can_not_read(run: Path) -> None:
    done = CliRunner().invoke(app, ["judge", str(run), "--what-if", "atLeast"])
    assert "expected a place and a value, such as atLeast=99.5%" in str(done.exception)
