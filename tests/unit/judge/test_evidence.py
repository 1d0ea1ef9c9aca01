from __future__ import annotations

import re

import pytest

from chaos.istio.metrics import BUCKETS_MS
from chaos.judge import judge, needed
from chaos.judge.callers import judge_callers
from chaos.judge.metrics import judge_metrics
from chaos.model.history import History
from chaos.model.verdict import ReasonCode
from chaos.values.series import QueryKind, Recorded
from tests.support.histories import EXPERIMENT, INVENTORY, ORDERS, grow, history, plan, requests_to_target


def test_everything_is_asked_for_once_and_raw() -> None:
    queries = needed(plan())
    assert [query.key for query in queries] == [
        f"requests:{INVENTORY}", f"arrivals:{INVENTORY}", f"requests:{ORDERS}", f"buckets:{ORDERS}:1000",
        f"durations:{ORDERS}",
    ]  # fmt: skip
    for query in queries:
        assert not re.search(r"\b(rate|irate|increase|sum)\b", query.selector)
        assert 'reporter="destination"' in query.selector or 'reporter=~"source|waypoint"' in query.selector


@pytest.mark.parametrize(("bound", "written"), [
    ("0.5", ["0.5"]), ("1000", ["1000", "1000.0"]), ("300000", ["300000", "300000.0"]),
    ("1800000", ["1800000", "1800000.0", "1.8e+06"]), ("3600000", ["3600000", "3.6e+06"]),
])  # fmt: skip
def test_a_bucket_is_found_however_its_bound_is_written(bound: str, written: list[str]) -> None:
    from datetime import timedelta

    from chaos.expectations.claim import Expectation, Good

    claim = Expectation.model_construct(
        title="t", service="order-svc", good=Good.model_construct(within=timedelta(milliseconds=float(bound))),
        source="mesh", promql=None,
    )  # fmt: skip
    declared = plan().experiment.model_copy(update={"steady_state": (claim,), "guardrails": ()})
    (query,) = [q for q in needed(plan().model_copy(update={"experiment": declared})) if q.kind is QueryKind.BUCKETS]
    found = re.search(r'le=~"([^"]*)"', query.selector)
    assert found is not None
    pattern = found[1].replace("\\\\", "\\")  # as PromQL reads the string
    for form in written:
        assert re.fullmatch(pattern, form), (pattern, form)
    for other in BUCKETS_MS:
        if other != float(bound):
            assert not re.fullmatch(pattern, f"{other:g}")


def test_a_claim_of_promql_is_asked_as_it_is() -> None:
    text = EXPERIMENT.replace("guardrails:", "  - {title: up, promql: sum(up) > 3}\nguardrails:")
    (query,) = [q for q in needed(plan(text)) if q.kind is QueryKind.PROMQL]
    assert (query.key, query.selector) == ("promql:up", "sum(up) > 3")


def arrivals(workload: str) -> Recorded:
    labels = {"source_workload": workload, "source_workload_namespace": workload and "staging", "instance": "i:15090"}
    if workload == "unknown":
        labels["source_workload_namespace"] = "unknown"
    return Recorded(
        key=f"arrivals:{INVENTORY}", kind=QueryKind.REQUESTS, query="q", series=(grow(labels, lambda _: 10),)
    )


def with_arrivals(one: History, recorded: Recorded) -> History:
    kept = tuple(r for r in one.recorded if r.key != recorded.key)
    return one.model_copy(update={"recorded": (*kept, recorded)})


def test_who_calls_the_target() -> None:
    assert judge_callers(history()) is None
    others = judge_callers(history(target=requests_to_target({}, caller="other")))
    assert others is not None
    assert others.code is ReasonCode.NO_CALLERS
    assert "staging/other" in others.message
    nobody = judge_callers(history(target=[]))
    assert nobody is not None
    assert nobody.code is ReasonCode.NO_CALLERS
    assert "nobody" in nobody.message


@pytest.mark.parametrize("others", [[], requests_to_target({}, caller="other")])
def test_callers_without_a_proxy(others: list) -> None:  # type: ignore[type-arg]
    bare = judge_callers(with_arrivals(history(target=others), arrivals("unknown")))
    assert bare is not None
    assert bare.code is ReasonCode.CALLERS_WITHOUT_PROXY
    assert bare.hint is not None


def test_metrics_that_end_before_a_phase_does_are_lost() -> None:
    assert judge_metrics(history()) is None
    one = history()
    cut = []
    for recorded in one.recorded:
        if recorded.key == f"durations:{ORDERS}":
            series = tuple(
                s.model_copy(update={"samples": tuple(x for x in s.samples if x[0] < 1045)}) for s in recorded.series
            )
            recorded = recorded.model_copy(update={"series": series})
        cut.append(recorded)
    lost = one.model_copy(update={"recorded": tuple(cut)})
    reason = judge_metrics(lost)
    assert reason is not None
    assert reason.code is ReasonCode.METRICS_LOST
    assert "of the fault are missing" in reason.message
    assert not judge(lost).passed
