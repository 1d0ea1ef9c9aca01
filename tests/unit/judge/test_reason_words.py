"""Each reason tells what happened and what to do, as a real verdict has it (``python -m tests.support.every_reason``)."""

from __future__ import annotations

import re

import pytest
from pydantic.alias_generators import to_camel

from chaos.expectations import KINDS, PromqlExpectation
from chaos.expectations.kind import Finding, Kind
from chaos.judge import judge
from chaos.model.events import Trouble, TroubleKind
from chaos.model.history import Mark, PhaseName, Span
from chaos.model.verdict import Outcome, ReasonCode, RecoveryResult
from chaos.reporting.prose import headline
from chaos.values.answers import Answer, Tally
from tests.support.every_reason import EVERY, reason_of, verdict_of
from tests.support.histories import MARKS, history, scraped_until


def test_every_reason_is_among_them() -> None:
    assert set(EVERY) == set(ReasonCode)


_ABOUT_ONE = (
    ReasonCode.NOT_STEADY_BEFORE,
    ReasonCode.UNDECIDED_BEFORE,
    ReasonCode.UNDECIDED_DURING_FAULT,
    ReasonCode.UNDECIDED_RECOVERY,
    ReasonCode.BURSTY,
    ReasonCode.NO_TRAFFIC,
    ReasonCode.NO_DATA,
    ReasonCode.NO_SUCCESS,
    ReasonCode.FAULT_TOO_SMALL,
    ReasonCode.OUT_OF_REACH,
    ReasonCode.GUARDRAIL_BLIND,
    ReasonCode.REQUESTS_HANG,
    ReasonCode.EXPECTATION_VIOLATED,
    ReasonCode.GUARDRAIL_TRIPPED,
    ReasonCode.NOT_RECOVERED,
    ReasonCode.CANNOT_BREAK,
    ReasonCode.CANNOT_DECIDE,
)
"""Reasons about an expectation or a guardrail."""
_WITHOUT_PHASE = (TroubleKind.LOCKED, TroubleKind.ENTRY_UNUSABLE, TroubleKind.RECORD_LOST)

_LOST = "all callers' proxies have lost the fault"
_NOT_SEEN = (
    "the fault is restored, but it was not seen that the proxies lost it (chaosctl status shows whether one is active)"
)
_ENDS = {
    ReasonCode.RESIDUE: "the fault may still be active",
    ReasonCode.STILL_FAULTED: "the fault is still active",
    ReasonCode.INTERRUPTED: _NOT_SEEN,
    ReasonCode.TARGET_CHANGED: _LOST,
    ReasonCode.FROZEN: _LOST,
    ReasonCode.LOAD_DIED: _LOST,
    ReasonCode.METRICS_LOST: _LOST,
    ReasonCode.NOT_DISTRIBUTED: _LOST,
}
"""What became of the fault, where it is not gone for sure."""


@pytest.mark.parametrize("code", ReasonCode)
def test_it_tells_what_happened_and_what_to_do(code: ReasonCode) -> None:
    reason = reason_of(code)
    told = f"{reason.message} {reason.hint or ''}"
    assert len(reason.message.split()) >= 3, "a sentence, or the part of one"
    assert not re.search(r"\bNone\b|\{|\bobject at 0x|\d\.\d{5}", told), told
    if code.outcome is not Outcome.PASSED:
        assert reason.hint is not None
        assert len(reason.hint.split()) >= 5, "what to do, and where"


@pytest.mark.parametrize("code", ReasonCode)
def test_it_tells_which_expectation_and_when_and_what_became_of_the_fault(code: ReasonCode) -> None:
    verdict = verdict_of(code)
    for reason in (one for one in verdict.reasons if one.code in _ABOUT_ONE):
        assert re.search(r"'[^']+'", reason.message), "the expectation is told by its name, in quotation marks"
        assert re.search(r"(before|during|after) the fault|in the phase", reason.message), reason.message
    if verdict.outcome is Outcome.REFUSED:
        assert verdict.aftermath == "nothing was written"
    elif verdict.proof is None:
        assert verdict.aftermath == "nothing was injected"
    else:
        assert verdict.aftermath == _ENDS.get(code, "the fault is gone")
    assert verdict.passed or headline(verdict).endswith(f"; {verdict.aftermath}")


@pytest.mark.parametrize("kind", [kind for kind in TroubleKind if kind not in _WITHOUT_PHASE])
def test_what_ended_a_run_is_told_with_its_phase(kind: TroubleKind) -> None:
    spans = (Span(phase=PhaseName.BASELINE, start=1000, end=1020), Span(phase=PhaseName.OBSERVE, start=1020))
    trouble = Trouble(at=1030.0, kind=kind, message="something ended the run")
    (reason,) = [
        one for one in judge(history(spans=spans, troubles=(trouble,))).reasons if one.code.value == kind.value
    ]
    assert reason.message == "something ended the run (in the phase observe)"


def test_how_many_more_events_it_takes_is_told() -> None:
    before, during = reason_of(ReasonCode.UNDECIDED_BEFORE).hint, reason_of(ReasonCode.UNDECIDED_DURING_FAULT).hint
    assert before is not None
    assert "some 3 times as many events decide that it holds" in before, "92 % of 1600, at a bound of 90 %"
    assert during is not None
    assert during.startswith("change the bound (duringFault): "), "90 %, at a bound of 90 %"


@pytest.mark.parametrize("kind", KINDS)
def test_what_makes_an_expectation_expect_less_is_a_key_of_its_kind(kind: type[Kind]) -> None:
    keys = {field.alias or to_camel(name) for name, field in kind.model_fields.items()}
    assert set(kind.loosened_by.values()) <= keys


def test_a_violated_comparison_is_not_told_to_wait_for_its_windows() -> None:
    one = PromqlExpectation("orders come", promql="sum(rate(orders_total[10s])) > 1")
    violated = one.tell(Finding(Answer.VIOLATED, Tally(good=3, total=4), 1.0, 1.0), "fault")
    assert violated.hint is None
    assert one.tell(Finding(Answer.UNDECIDED, Tally(), 1.0, 1.0), "fault").hint is not None


@pytest.mark.parametrize(
    ("seconds", "uncertainty", "told"),
    [(1e-6, 1e-6, "at once"), (2.1, 2.1 - 1e-13, "within 2.1 s"), (9.0, 2.0, "between 7 and 9 s")],
)
def test_a_recovery_is_told_to_what_the_metrics_know(seconds: float, uncertainty: float, told: str) -> None:
    found = RecoveryResult(seconds=seconds, uncertainty=uncertainty, allowed=20.0, answer=Answer.HOLDS, expectations=())
    assert found.told == told


def test_a_fault_that_nobody_saw_vanish_is_not_said_to_be_gone() -> None:
    assert judge(scraped_until(history(), 1061.0)).aftermath == _NOT_SEEN
    dead = history(marks={mark: at for mark, at in MARKS.items() if mark not in (Mark.RESTORE_SENT, Mark.RESTORED)})
    assert judge(dead).aftermath == "the fault may still be active"
