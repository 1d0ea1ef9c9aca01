"""What one look at a run costs: judging all expectations, guardrails, proof and recovery, by how long the run has lasted.

python -m benchmarks.judging [SERIES]

Every look is judged twice, side by side: from the evidence as it grows, as a run does it, and from the same facts anew, as
a stored record is judged.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence

from chaos.adapters.experiment_file import parse_experiment
from chaos.engine.live import progress_of
from chaos.engine.recorder import Recorder
from chaos.judge import Facts, needed, stand
from chaos.model.history import Environment, Mark, PhaseName, ProxySeen
from chaos.model.plan import Caller, Injection, Plan, Strategy
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Durations, Question
from chaos.values.series import Series

EXPERIMENT = """\
experiment: long
target: {namespace: staging, service: inventory-svc}
faults: [{abort: {percentage: 50, httpStatus: 503}, delay: {percentage: 30, fixedDelay: 1s}}]
load: {rate: 100, requests: [{path: /orders/42}]}
profile: quick
steadyState:
  - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}
  - {title: soon, service: order-svc, good: {within: 1s}, atLeast: 99%, duringFault: baseline - 2%}
  - {title: soon for clients, from: client, good: {status: "<500", within: 1s}, atLeast: 99%}
  - {title: up, promql: sum(up) > 3}
guardrails:
  - {title: on fire, service: order-svc, good: {status: "<500"}, atLeast: 50%}
recovery: {within: 60s}
"""
KINDS = (("-", "200"), ("FI", "503"), ("DI", "200"), ("DI,FI", "503"), ("-", "404"))
CALLERS = 2
BEGUN = 1000


def series(question: Question, number: int, second: int, *, faulted_until: float) -> Series:
    """One sample of a counter that grows by three in a second; where it counts faults, only as long as there are any."""
    flags, code = KINDS[number % len(KINDS)] if "inventory" in str(question) else ("-", "200")
    le = {"le": "1000"} if isinstance(question, Durations) and question.within is not None else {}
    labels = {
        "job": "istio-proxies", "instance": f"proxy-{number // len(KINDS)}", "reporter": "source", "number": str(number),
        "source_workload": f"caller-{number // len(KINDS) % CALLERS}", "source_workload_namespace": "staging",
        "response_flags": flags, "response_code": code, "grpc_response_status": "", **le,
    }  # fmt: skip
    if not str(question).startswith(("requests", "durations")):
        return Series(labels={}, samples=((second + 0.3, 1.0),))
    until = min(float(second), faulted_until) if flags != "-" else second
    return Series(labels=labels, samples=((second + 0.3, 3.0 * (until - BEGUN)),))


def load(second: int) -> LoadSecond:
    latencies = {float(10 + (7 * second + n) % 190): 1 for n in range(100)}
    cell = LoadCell(request="GET /orders/42", status=200, latencies=latencies)
    return LoadSecond(at=float(second), intended=100, sent=100, cells=(cell,))


def measured(phase: PhaseName, wanted: int, lengths: Sequence[int]) -> None:
    """A run that lasts in one phase, from its beginning on."""
    callers = tuple(Caller(namespace="staging", workload=f"caller-{n}") for n in range(CALLERS))
    experiment = parse_experiment(EXPERIMENT)
    injection = Injection(
        target=experiment.target, fault=experiment.fault, callers=callers, strategy=Strategy.CREATE, namespace="staging",
        name="chaos-r-inventory-svc", before=None, after={}, route_name="chaos-r-inventory-svc",
    )  # fmt: skip
    plan = Plan(run="r", experiment=experiment, injections=(injection,))
    environment = Environment(context="lab", scrape_interval=1.0)
    recorder = Recorder(plan, environment, clock_offset=0.0, started=float(BEGUN))
    questions = needed(plan)
    each = wanted // len(questions)
    marks = {Mark.LOAD_STARTED: 1.0, Mark.BASELINE_FROM: 2.0}
    if phase is not PhaseName.BASELINE:
        marks |= {Mark.BASELINE_UNTIL: 20.0, Mark.INJECT_SENT: 20.0, Mark.INJECTED: 20.1, Mark.FAULT_FROM: 21.0}
    if phase is PhaseName.RECOVER:
        marks |= {Mark.RESTORE_SENT: 40.0, Mark.RESTORED: 40.1}
        recorder.proxies.append(ProxySeen(at=BEGUN + 40.5, having=0, of=4))
    for mark, after in marks.items():
        recorder.mark(mark, BEGUN + after)
    faulted_until = BEGUN + marks.get(Mark.RESTORED, float("inf"))
    recorder.enter(phase, float(BEGUN))
    took: list[float] = []
    for second in range(BEGUN, BEGUN + max(lengths) + 1):
        found = [
            (question, [series(question, n, second, faulted_until=faulted_until) for n in range(each)])
            for question in questions
        ]
        seconds = [load(second)]
        begun = time.process_time()
        for question, one in found:
            recorder.samples(question, "q", one)
        recorder.load(seconds)
        standing = stand(recorder.facts, phase, second + 1.0)
        progress_of(recorder.facts, phase, standing)
        took.append(1000 * (time.process_time() - begun))
        if second - BEGUN in lengths:
            begun = time.process_time()
            anew = stand(Facts.of(recorder.history()), phase, second + 1.0)
            whole = 1000 * (time.process_time() - begun)
            assert anew == standing
            growing = statistics.median(took[-20:])
            row = f"{phase:9} {second - BEGUN:6} s {each * len(questions):8} {growing:11.1f} ms {whole:8.1f} ms {whole / growing:7.0f}"
            print(row)


def main(wanted: int) -> None:
    print("phase        run      series      a look       anew    ratio")
    for phase in (PhaseName.BASELINE, PhaseName.PROVE, PhaseName.OBSERVE, PhaseName.RECOVER):
        measured(phase, wanted, (60, 150, 300, 600))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
