"""A synthetic history of a run in which everything held; tests take parts of it away or spoil them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from chaos.adapters.experiment_file import parse_experiment
from chaos.judge.facts import Facts
from chaos.judge.recovery import judge_recovery
from chaos.judge.removal import judge_removal
from chaos.model.experiment import Experiment
from chaos.model.history import Environment, History, Mark, PhaseName, ProxySeen, Span
from chaos.model.plan import Caller, Injection, Plan, Strategy
from chaos.model.verdict import RecoveryResult, RemovalResult
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Durations, Question, Requests, Side
from chaos.values.series import Recorded, Series

EXPERIMENT = """\
experiment: orders
owner: checkout
severity: critical
tags: [nightly]
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults:
  - abort: {percentage: 50, httpStatus: 503}
    delay: {percentage: 30, fixedDelay: 1s}
load: {rate: 100, requests: [{path: /orders/42}]}
observe: {atLeast: 3s}
steadyState:
  - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}
  - {title: soon, service: order-svc, good: {within: 1s}, atLeast: 99%, duringFault: 90%}
  - {title: soon for clients, from: client, good: {status: "<500", within: 1s}, atLeast: 99%}
guardrails:
  - {title: on fire, service: order-svc, good: {status: "<500"}, atLeast: 50%}
recovery: {within: 20s, stayGood: 3s}
"""
INVENTORY = "inventory-svc.staging.svc.cluster.local"
ORDERS = "order-svc.staging.svc.cluster.local"
ARRIVALS = Requests(host=INVENTORY, side=Side.CALLED)
MARKS: Mapping[Mark, float] = {
    Mark.LOAD_STARTED: 1000.0,
    Mark.BASELINE_FROM: 1001.0,
    Mark.BASELINE_UNTIL: 1030.0,
    Mark.INJECT_SENT: 1030.0,
    Mark.INJECTED: 1030.1,
    Mark.FAULT_FROM: 1030.4,
    Mark.RESTORE_SENT: 1060.0,
    Mark.RESTORED: 1060.1,
    Mark.LOAD_STOPPED: 1095.0,
}
LABELS = {"reporter": "source", "job": "istio-proxies", "grpc_response_status": ""}


def experiment(text: str = EXPERIMENT) -> Experiment:
    return parse_experiment(text)


CALLERS = (Caller(namespace="staging", workload="order-svc", pods=("o-1",)),)


def plan(text: str = EXPERIMENT, *, callers: tuple[Caller, ...] = CALLERS, **changes: Any) -> Plan:
    asked = changes.get("experiment") or experiment(text)
    injection = Injection(
        target=asked.target,
        fault=asked.fault,
        callers=callers,
        strategy=Strategy.CREATE,
        namespace="staging",
        name="chaos-r1-inventory-svc",
        before=None,
        after={"metadata": {"name": "chaos-r1-inventory-svc", "namespace": "staging"}, "spec": {}},
        route_name="chaos-r1-inventory-svc",
    )
    values = {"run": "r1", "experiment": asked, "injections": (injection,)}
    return Plan(**{**values, **changes})


def grow(labels: Mapping[str, str], rate: Callable[[int], float], *, start: int = 995, end: int = 1096) -> Series:
    """One sample a second of a counter that grows by ``rate(second)`` in each."""
    value, samples = 0.0, []
    for second in range(start, end):
        value += rate(second)
        samples.append((second + 0.3, float(round(value))))
    return Series(labels={**LABELS, **labels}, samples=tuple(samples))


def is_faulted(second: int) -> bool:
    return 1031 <= second <= 1060


def is_loaded(second: int) -> bool:
    return 1000 <= second < 1095


def requests_to_target(
    share: Mapping[str, float], *, caller: str = "order-svc", namespace: str = "staging"
) -> list[Series]:
    """100 requests a second; while the fault is on, these shares of them by their flags."""
    plain = 1 - sum(share.values())
    found = []
    for flags, code, part in [
        ("-", "200", plain),
        *((f, "0" if f == "DI,DC" else "503" if "FI" in f else "200", p) for f, p in share.items()),
    ]:

        def rate(second: int, flags: str = flags, part: float = part) -> float:
            if not is_loaded(second):
                return 0
            if is_faulted(second):
                return 100 * part
            return 100 if flags == "-" else 0

        series = grow(
            {
                "source_workload": caller,
                "source_workload_namespace": namespace,
                "response_flags": flags,
                "response_code": code,
                "instance": f"{caller}:15090",
            },
            rate,
        )
        born = [sample for sample in series.samples if sample[1] > 0]
        found.append(series if flags == "-" else Series(labels=series.labels, samples=tuple(born)))
    return found


SHARES = {"FI": 0.35, "DI": 0.15, "DI,FI": 0.15}


def orders(
    *, bad: Callable[[int], float] = lambda second: 0.0, slow: Callable[[int], float] = lambda second: 0.0
) -> list[Recorded]:
    """What order-svc's callers count: requests by status, and how many were answered within a second."""

    def labels(code: str, **more: str) -> dict[str, str]:
        return {"response_code": code, "response_flags": "-", "instance": "gateway:15090", "source_workload": "gateway",
                "source_workload_namespace": "staging", **more}  # fmt: skip

    def loaded(part: Callable[[int], float]) -> Callable[[int], float]:
        return lambda second: 100 * part(second) if is_loaded(second) else 0.0

    good = loaded(lambda second: 1 - bad(second))
    requests = [grow(labels("200"), good), grow(labels("500"), loaded(bad))]
    return [
        Recorded(question=Requests(host=ORDERS), query="q", series=tuple(requests)),
        Recorded(
            question=Durations(host=ORDERS, within=1000),
            query="q",
            series=(grow(labels("200", le="1000"), loaded(lambda second: 1 - slow(second))),),
        ),
        Recorded(
            question=Durations(host=ORDERS),
            query="q",
            series=(grow(labels("200"), loaded(lambda _: 1.0)),),
        ),
    ]


def load(
    *, status: Callable[[int], int] = lambda second: 200, took: float = 20.0, sent: int = 100
) -> tuple[LoadSecond, ...]:
    """100 answers a second."""
    return tuple(
        LoadSecond(
            at=float(second),
            intended=100,
            sent=sent,
            cells=(LoadCell(request="GET /orders/42", status=status(second), latencies={took: sent}),),
        )
        for second in range(1000, 1095)
    )


def spans() -> tuple[Span, ...]:
    edges = [995.0, 1000.0, 1030.0, 1030.1, 1030.4, 1060.0, 1060.1, 1095.0, 1096.0]
    return tuple(Span(phase=p, start=a, end=b) for p, a, b in zip(PhaseName, edges, edges[1:], strict=False))


def history(
    *,
    shares: Mapping[str, float] = SHARES,
    target: list[Series] | None = None,
    order: list[Recorded] | None = None,
    **changes: Any,
) -> History:
    """The history of a run in which everything held, with changes."""
    found = target if target is not None else requests_to_target(shares)
    values: dict[str, Any] = {
        "run": "r1",
        "plan": plan(),
        "environment": Environment(context="lab", scrape_interval=1.0, histogram_lag=5.0),
        "started": 995.0,
        "ended": 1096.0,
        "spans": spans(),
        "marks": dict(MARKS),
        "recorded": (
            Recorded(question=Requests(host=INVENTORY), query="q", series=tuple(found)),
            Recorded(question=ARRIVALS, query="q"),
            *(order if order is not None else orders()),
        ),
        "load": load(),
        "proxies": (ProxySeen(at=1030.4, having=1, of=1),),
    }
    return History(**{**values, **changes})


def through_json(one: History) -> History:
    """As it comes back from its record."""
    return History.model_validate_json(one.model_dump_json(by_alias=True))


def without(one: History, **changes: Any) -> History:
    return one.model_copy(update=changes)


def lose(one: History, chance: random.Random) -> History:
    """The history with one of its ingredients gone."""
    what = chance.choice(["mark", "recorded", "load", "end"])
    if what == "mark":
        gone = chance.choice(
            [Mark.BASELINE_UNTIL, Mark.INJECTED, Mark.FAULT_FROM, Mark.RESTORED, Mark.LOAD_STOPPED, Mark.BASELINE_FROM]
        )
        return without(one, marks={mark: at for mark, at in one.marks.items() if mark is not gone})
    if what == "recorded":
        lost: Question = chance.choice([r.question for r in one.recorded if r.question != ARRIVALS])
        return without(one, recorded=tuple(r for r in one.recorded if r.question != lost))
    return without(one, load=()) if what == "load" else without(one, ended=None)


def as_dict(one: History) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(one.model_dump_json(by_alias=True))
    return loaded


def removal_of(one: History, now: float) -> RemovalResult:
    return judge_removal(Facts.of(one), now)


def recovery_of(one: History, now: float) -> RecoveryResult:
    facts = Facts.of(one)
    return judge_recovery(facts, judge_removal(facts, now), now)


def arrivals(workload: str) -> Recorded:
    labels = {"source_workload": workload, "source_workload_namespace": workload and "staging", "instance": "i:15090"}
    if workload == "unknown":
        labels["source_workload_namespace"] = "unknown"
    return Recorded(question=ARRIVALS, query="q", series=(grow(labels, lambda _: 10),))


def with_arrivals(one: History, recorded: Recorded) -> History:
    kept = tuple(r for r in one.recorded if r.question != recorded.question)
    return one.model_copy(update={"recorded": (*kept, recorded)})


def scraped_until(one: History, moment: float, *, instance: str = "") -> History:
    """Without the samples after a moment; only those of one process where named."""

    def cut(series: Series) -> Series:
        if instance and series.labels["instance"] != instance:
            return series
        return series.model_copy(update={"samples": tuple(s for s in series.samples if s[0] <= moment)})

    recorded = tuple(r.model_copy(update={"series": tuple(map(cut, r.series))}) for r in one.recorded)
    return one.model_copy(update={"recorded": recorded})
