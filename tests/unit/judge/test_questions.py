from __future__ import annotations

import pytest

from chaos.judge import aside, judge, needed
from chaos.judge.callers import judge_callers
from chaos.judge.facts import Facts
from chaos.judge.metrics import judge_metrics
from chaos.model.verdict import ReasonCode
from chaos.values.questions import Comparison, Durations, Edges, End, Requests, Side
from tests.support.histories import (
    ARRIVALS,
    EXPERIMENT,
    INVENTORY,
    ORDERS,
    arrivals,
    history,
    plan,
    requests_to_target,
    with_arrivals,
)


def test_everything_is_asked_for_once() -> None:
    assert needed(plan()) == (
        Requests(host=INVENTORY), ARRIVALS, Requests(host=ORDERS), Durations(host=ORDERS, within=1000), Durations(host=ORDERS),
    )  # fmt: skip
    assert aside(plan()) == (
        Requests(host=ORDERS, side=Side.CALLED),
        Edges(namespace="staging", end=End.CALLER), Edges(namespace="staging", end=End.SERVICE),
    )  # fmt: skip


def test_a_comparison_is_asked_as_it_is() -> None:
    text = EXPERIMENT.replace("guardrails:", "  - {title: up, promql: sum(up) > 3}\nguardrails:")
    assert Comparison(promql="sum(up) > 3") in needed(plan(text))


def test_who_calls_the_target() -> None:
    assert judge_callers(Facts.of(history())) is None
    others = judge_callers(Facts.of(history(target=requests_to_target({}, caller="other"))))
    assert others is not None
    assert others.code is ReasonCode.NO_CALLERS
    assert "staging/other" in others.message
    nobody = judge_callers(Facts.of(history(target=[])))
    assert nobody is not None
    assert nobody.code is ReasonCode.NO_CALLERS
    assert "nobody" in nobody.message


def test_without_declared_callers_another_may_begin_to_call() -> None:
    """Those are known that called in the last hour."""
    seen = history(target=requests_to_target({}, caller="other"))
    (injection,) = seen.plan.injections
    anybody = injection.model_copy(update={"target": injection.target.model_copy(update={"callers": {}})})
    undeclared = seen.model_copy(update={"plan": seen.plan.model_copy(update={"injections": (anybody,)})})
    assert injection.callers
    assert judge_callers(Facts.of(seen)) is not None
    assert judge_callers(Facts.of(undeclared)) is None


@pytest.mark.parametrize("others", [[], requests_to_target({}, caller="other")])
def test_callers_without_a_proxy(others: list) -> None:  # type: ignore[type-arg]
    bare = judge_callers(Facts.of(with_arrivals(history(target=others), arrivals("unknown"))))
    assert bare is not None
    assert bare.code is ReasonCode.CALLERS_WITHOUT_PROXY
    assert bare.hint is not None


def test_metrics_that_end_before_a_phase_does_are_lost() -> None:
    assert judge_metrics(Facts.of(history())) is None
    one = history()
    cut = []
    for recorded in one.recorded:
        if recorded.question == Durations(host=ORDERS):
            series = tuple(
                s.model_copy(update={"samples": tuple(x for x in s.samples if x[0] < 1045)}) for s in recorded.series
            )
            recorded = recorded.model_copy(update={"series": series})
        cut.append(recorded)
    lost = one.model_copy(update={"recorded": tuple(cut)})
    reason = judge_metrics(Facts.of(lost))
    assert reason is not None
    assert reason.code is ReasonCode.METRICS_LOST
    assert "of the fault are missing" in reason.message
    assert not judge(lost).passed
