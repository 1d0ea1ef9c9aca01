"""What is slow is counted late: the first events of a fault are the fast ones, and nobody may be fooled by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from chaos.judge.alpha import confidence_of_guardrail, share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.live import fault_answer, guardrail_tripped
from chaos.judge.load import judge_load
from chaos.judge.proof import judge_proof
from chaos.model.history import History, Mark
from chaos.model.verdict import ReasonCode
from chaos.values.answers import Answer
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.series import Series
from tests.support.histories import (
    EXPERIMENT,
    MARKS,
    experiment,
    grow,
    history,
    is_faulted,
    is_loaded,
    load,
    orders,
    plan,
)


def seconds(answered: Callable[[int], dict[float, int]], *, until: int = 1095) -> tuple[LoadSecond, ...]:
    """100 requests a second; the answers that come in each, by latency."""
    return tuple(
        LoadSecond(
            at=float(second),
            intended=100,
            sent=100,
            cells=(LoadCell(request="GET /orders/42", status=200, latencies=answered(second)),),
        )
        for second in range(1000, until)
    )


def delayed(second: int, *, by: int = 3) -> dict[float, int]:
    """From 1031 to 1060, 30 % of the requests take some seconds more."""
    fast = 70 if is_faulted(second) else 100
    slow = 30 if is_faulted(second - by) else 0
    return {20.0: fast, **({by * 1000 + 20.0: slow} if slow else {})}


def at(one: History, moment: float) -> History:
    """As it was known at a moment of the fault's observation."""
    marks = {mark: when for mark, when in one.marks.items() if when <= moment}
    recorded = tuple(
        r.model_copy(
            update={
                "series": tuple(
                    s.model_copy(update={"samples": tuple(x for x in s.samples if x[0] <= moment)}) for s in r.series
                )
            }
        )
        for r in one.recorded
    )
    known = tuple(second for second in one.load if second.at + 1 <= moment)
    return one.model_copy(update={"marks": marks, "recorded": recorded, "load": known, "ended": None})


def answers(one: History, title: str) -> set[Answer]:
    """What a expectation was answered at every half second of the fault."""
    found = set()
    for half in range(2 * 1031, 2 * 1060):
        expectations = fault_answer(Facts.of(at(one, half / 2)), half / 2).expectations
        found |= {expectation.answer for expectation in expectations if expectation.title == title}
    return found


@pytest.mark.parametrize(("delay", "seen"), [("3s", 3), ("1s", 3), ("1s", 9)])
def test_fast_answers_alone_are_no_proof(delay: str, seen: int) -> None:
    """70 % are in time, 75 % are asked for; until the slow ones come in, all that is counted is in time.

    The callers may wait longer than the fault delays: they try again, or have waits of their own.
    """
    text = EXPERIMENT.replace("fixedDelay: 1s", f"fixedDelay: {delay}").replace(
        '{title: soon for clients, from: client, good: {status: "<500", within: 1s}, atLeast: 99%}',
        '{title: soon for clients, from: client, good: {status: "<500", within: 1s}, atLeast: 99%, duringFault: 75%}',
    )
    slow = history(plan=plan(text), load=seconds(partial(delayed, by=seen)))
    assert Answer.HOLDS not in answers(slow, "soon for clients")


def test_requests_that_hang_are_waited_for() -> None:
    """10 % get no answer for as long as it lasts, so that no bad event is counted anywhere."""
    hanging = history(load=seconds(lambda second: {20.0: 90 if is_faulted(second) else 100}))
    assert answers(hanging, "answered") == {Answer.UNDECIDED}
    fine = history(load=seconds(lambda second: {20.0: 100}))
    assert Answer.HOLDS in answers(fine, "answered")


def test_a_sure_violation_does_not_wait_for_the_delay() -> None:
    text = EXPERIMENT.replace("fixedDelay: 1s", "fixedDelay: 20s")
    broken = history(plan=plan(text), order=orders(bad=lambda second: 0.5 if is_faulted(second) else 0))
    soon = fault_answer(Facts.of(at(broken, 1042.0)), 1042.0)
    assert soon.answer is Answer.VIOLATED
    assert soon.done
    (expectation,) = [one for one in soon.expectations if one.title == "answered"]
    assert expectation.tally.total > expectation.tally.good > 0


def overdue(one: History, start: float, end: float) -> int:
    return Facts.of(one).evidence.load.overdue(start, end)


def test_what_waits_longer_than_anything_seen_is_overdue() -> None:
    one = history(load=seconds(delayed))
    start = MARKS[Mark.FAULT_FROM]
    assert overdue(one, start, 1030.9) == 0
    assert overdue(one, start, 1033.0) in range(20, 31), "those of the second from 1031 wait, and none has come so far"
    assert overdue(one, start, 1034.0) in range(45, 61)
    assert overdue(one, start, 1036.0) == 0, "now it is known that some take three seconds"
    assert overdue(history(load=()), start, 1034.0) == 0


def test_steady_slowness_is_not_overdue() -> None:
    slow = history(load=seconds(lambda second: {2500.0: 100} if second >= 1002 else {}))
    assert [overdue(slow, 1010.0, float(end)) for end in range(1015, 1090)] == [0] * 75


def test_a_generator_that_stops_reporting_is_starved() -> None:
    silent = judge_load(Facts.of(history(load=load()[:60])))
    assert silent is not None
    assert silent.code is ReasonCode.LOAD_STARVED
    assert "60" not in silent.message.split(" of ")[1]
    assert judge_load(Facts.of(history())) is None


def test_all_decisions_together_keep_the_declared_confidence() -> None:
    declared = experiment()
    alphas = [1 - share_of_confidence(declared)] * (3 * len(declared.steady_state) + 2)
    alphas += [1 - confidence_of_guardrail(declared)] * len(declared.guardrails)
    assert sum(alphas) == pytest.approx(1 - declared.confidence)
    unguarded = experiment(EXPERIMENT.split("guardrails:")[0] + "recovery: {within: 20s}\n")
    assert (1 - share_of_confidence(unguarded)) * 11 == pytest.approx(0.05)


def test_a_guardrail_of_all_events_trips_at_the_first_bad_one() -> None:
    text = EXPERIMENT.replace('good: {status: "<500"}, atLeast: 50%', 'good: {status: "<500"}, atLeast: 100%')
    assert guardrail_tripped(Facts.of(at(history(plan=plan(text)), 1055.0)), 1055.0) is None
    once = history(plan=plan(text), order=orders(bad=lambda second: 0.01 if second == 1040 else 0))
    tripped = guardrail_tripped(Facts.of(at(once, 1055.0)), 1055.0)
    assert tripped is not None
    assert tripped.tally.total - tripped.tally.good == 1
    assert is_loaded(1040)


def test_what_a_fault_hits_in_its_first_moment_alone_is_counted() -> None:
    """A caller that keeps the first error for good calls no more; the last scrape before the fault was just before it was sent."""
    labels = {"source_workload": "order-svc", "source_workload_namespace": "staging", "instance": "order-svc:15090"}
    fine = grow({**labels, "response_flags": "-", "response_code": "200"}, lambda second: 100 * (second <= 1030))
    hit = grow({**labels, "response_flags": "FI", "response_code": "503"}, lambda second: 2 * (second == 1031))
    born = Series(labels=hit.labels, samples=tuple(sample for sample in hit.samples if sample[1]))
    marks = {**MARKS, Mark.INJECT_SENT: 1030.35, Mark.INJECTED: 1030.4, Mark.FAULT_FROM: 1030.9}
    assert judge_proof(Facts.of(history(marks=marks, target=[fine, born])), 1059.0).counted == 2
