"""The verdict: passed for a whole good history, and for nothing less."""

from __future__ import annotations

import random

import pytest

from chaos.judge import judge
from chaos.model.events import Trouble, TroubleKind
from chaos.model.history import History, Mark
from chaos.model.verdict import Outcome, ReasonCode, Verdict
from chaos.values.answers import Answer
from chaos.values.questions import Durations, Requests
from chaos.values.remarks import Refusal
from tests.support.histories import (
    EXPERIMENT,
    INVENTORY,
    ORDERS,
    SHARES,
    history,
    is_faulted,
    load,
    lose,
    orders,
    plan,
    requests_to_target,
    through_json,
    without,
)


def codes(verdict: Verdict) -> set[ReasonCode]:
    return {reason.code for reason in verdict.reasons}


def test_a_good_history_passes() -> None:
    verdict = judge(history())
    assert verdict.outcome is Outcome.PASSED, verdict.reasons
    assert codes(verdict) == {ReasonCode.ALL_HELD}
    assert verdict.recovery is not None
    assert verdict.recovery.seconds == 0


def test_its_record_gives_the_same_verdict() -> None:
    assert judge(through_json(history())) == judge(history())


def test_callers_that_leave_during_the_delay_draw_no_abort() -> None:
    """30 % leave, so only 70 % of the requests are drawn for an abort, and half of those are aborted."""
    assert judge(history(shares={"DI,DC": 0.3, "FI": 0.35})).passed


@pytest.mark.parametrize(
    ("spoiled", "outcome", "code"),
    [
        (history(shares={}), Outcome.INCONCLUSIVE, ReasonCode.FAULT_NOT_SEEN),
        (history(shares={**SHARES, "FI": 0.1}), Outcome.INCONCLUSIVE, ReasonCode.FAULT_SHARE_OFF),
        (history(shares={"FI": 0.85, "DI,FI": 0.15}), Outcome.INCONCLUSIVE, ReasonCode.FAULT_SHARE_OFF),
        (history(shares={"FI": 0.5}), Outcome.INCONCLUSIVE, ReasonCode.FAULT_NOT_SEEN),
        # What is bad while no request was hit, the fault has not done.
        (history(shares={}, order=orders(bad=lambda s: 0.1 if is_faulted(s) else 0)), Outcome.INCONCLUSIVE, ReasonCode.FAULT_NOT_SEEN),
        (history(shares={}, order=orders(bad=lambda s: 0.8 if is_faulted(s) else 0)), Outcome.INCONCLUSIVE, ReasonCode.FAULT_NOT_SEEN),
        (history(shares={}, order=orders(bad=lambda s: 0.1 if s > 1060 else 0)), Outcome.INCONCLUSIVE, ReasonCode.FAULT_NOT_SEEN),
        (history(order=orders(bad=lambda s: 0.1 if is_faulted(s) else 0)), Outcome.FAILED, ReasonCode.EXPECTATION_VIOLATED),
        (history(order=orders(bad=lambda s: 0.8 if is_faulted(s) else 0)), Outcome.FAILED, ReasonCode.GUARDRAIL_TRIPPED),
        (history(order=orders(slow=lambda s: 0.3 if is_faulted(s) else 0)), Outcome.FAILED, ReasonCode.EXPECTATION_VIOLATED),
        (history(order=orders(bad=lambda s: 0.1 if s > 1060 else 0)), Outcome.FAILED, ReasonCode.NOT_RECOVERED),
        (history(load=load(status=lambda s: 500 if s > 1060 else 200)), Outcome.FAILED, ReasonCode.NOT_RECOVERED),
        (history(load=load(took=5000)), Outcome.INCONCLUSIVE, ReasonCode.NOT_STEADY_BEFORE),
        (history(load=load(sent=80)), Outcome.INCONCLUSIVE, ReasonCode.LOAD_STARVED),
        (history(residue=("VirtualService staging/x",)), Outcome.CLEANUP_FAILED, ReasonCode.RESIDUE),
        (
            history(target=[*requests_to_target(SHARES), *requests_to_target(SHARES, caller="other")]),
            Outcome.BLAST_RADIUS_VIOLATED,
            ReasonCode.FAULT_OUTSIDE_SCOPE,
        ),
        (
            history(target=[*requests_to_target(SHARES), *requests_to_target(SHARES, namespace="production")]),
            Outcome.BLAST_RADIUS_VIOLATED,
            ReasonCode.FAULT_OUTSIDE_SCOPE,
        ),
    ],
)  # fmt: skip
def test_what_spoils_it(spoiled: History, outcome: Outcome, code: ReasonCode) -> None:
    verdict = judge(spoiled)
    assert verdict.outcome is outcome, verdict.reasons
    assert code in codes(verdict)


def test_faults_that_go_on_after_the_restore_are_residue() -> None:
    series = requests_to_target({})
    from tests.support.histories import grow

    forever = grow(
        {"source_workload": "order-svc", "source_workload_namespace": "staging", "response_flags": "FI",
         "response_code": "503", "instance": "order-svc:15090"},
        lambda second: 50 if second > 1030 else 0,
    )  # fmt: skip
    assert judge(history(target=[*series, forever])).outcome is Outcome.CLEANUP_FAILED


@pytest.mark.parametrize("kind", list(TroubleKind))
def test_no_trouble_is_ever_green(kind: TroubleKind) -> None:
    troubled = without(history(), troubles=(Trouble(at=1050.0, kind=kind, message="m"),))
    assert not judge(troubled).passed


def test_a_refused_plan_is_refused() -> None:
    broken = Refusal(rule="r", value="v", message="m", hint="h")
    refused = without(history(), plan=plan(refusals=(broken,)), marks={}, recorded=(), load=())
    assert judge(refused).outcome is Outcome.REFUSED


@pytest.mark.parametrize("seed", range(40))
def test_less_than_everything_never_passes(seed: int) -> None:
    assert not judge(lose(history(), random.Random(seed))).passed


def test_a_baseline_that_does_not_hold_injects_nothing() -> None:
    marks = {
        mark: at
        for mark, at in history().marks.items()
        if mark in (Mark.LOAD_STARTED, Mark.BASELINE_FROM, Mark.BASELINE_UNTIL, Mark.LOAD_STOPPED)
    }
    verdict = judge(without(history(order=orders(bad=lambda _: 0.2)), marks=marks))
    assert codes(verdict) == {ReasonCode.NOT_STEADY_BEFORE}
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_bound_relative_to_the_baseline() -> None:
    text = EXPERIMENT.replace("duringFault: 90%", "duringFault: baseline - 2%")
    held = judge(history(plan=plan(text), order=orders(slow=lambda s: 0.001)))
    assert held.passed, held.reasons
    (claim,) = [one for one in held.fault if one.title == "soon"]
    assert claim.bound == pytest.approx(0.979, abs=0.002)
    worse = judge(history(plan=plan(text), order=orders(slow=lambda s: 0.1 if is_faulted(s) else 0.001)))
    assert worse.outcome is Outcome.FAILED


def test_recovery_is_the_first_moment_from_which_everything_holds() -> None:
    late = judge(history(order=orders(bad=lambda s: 0.5 if is_faulted(s) or 1060 < s <= 1066 else 0)))
    assert late.recovery is not None
    assert late.recovery.answer is Answer.HOLDS
    assert late.recovery.seconds is not None
    assert late.recovery.seconds - late.recovery.uncertainty < 6 <= late.recovery.seconds <= 7, late.recovery.told


def test_errors_of_grpc_are_not_good_although_they_are_http_200() -> None:
    spoiled = []
    for recorded in orders():
        series = tuple(
            one.model_copy(update={"labels": {**one.labels, "grpc_response_status": "14"}}) for one in recorded.series
        )
        spoiled.append(
            recorded.model_copy(update={"series": series}) if isinstance(recorded.question, Requests) else recorded
        )
    assert not judge(history(order=spoiled)).passed


def test_only_our_load_says_who_drops_the_header() -> None:
    text = EXPERIMENT.replace("callers: {app: order-svc}}", "callers: {app: order-svc}, onlyOurLoad: true}")
    verdict = judge(history(plan=plan(text), shares={}))
    assert ReasonCode.HEADER_NOT_FORWARDED in codes(verdict)
    assert "staging/order-svc" in verdict.reasons[0].message


def test_a_scrape_between_two_queries_makes_no_slow_answers() -> None:
    """The histogram's count was asked for after a scrape that its bucket had not seen yet."""
    spoiled = []
    for recorded in orders():
        if recorded.question == Durations(host=ORDERS, within=1000):
            late = tuple(one.model_copy(update={"samples": one.samples[:-30]}) for one in recorded.series)
            elsewhere = late[0].model_copy(
                update={"labels": {**late[0].labels, "instance": "another"}, "samples": ((1095.3, 1.0),)}
            )
            spoiled.append(recorded.model_copy(update={"series": (*late, elsewhere)}))
            continue
        spoiled.append(recorded)
    (soon,) = [claim for claim in judge(history(order=spoiled)).fault if claim.title == "soon"]
    assert soon.tally.good == soon.tally.total > 0


def test_nobody_calls_the_target() -> None:
    marks = {
        mark: at
        for mark, at in history().marks.items()
        if mark in (Mark.LOAD_STARTED, Mark.BASELINE_FROM, Mark.BASELINE_UNTIL, Mark.LOAD_STOPPED)
    }
    silent = without(
        history(), marks=marks, recorded=tuple(r for r in history().recorded if r.question != Requests(host=INVENTORY))
    )
    assert codes(judge(silent)) == {ReasonCode.NO_CALLERS}


@pytest.mark.parametrize("kind", TroubleKind)
def test_every_trouble_is_a_reason(kind: TroubleKind) -> None:
    assert ReasonCode(kind).value == kind.value
