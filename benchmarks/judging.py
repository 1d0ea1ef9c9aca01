"""What one look at a run costs: judging all expectations, guardrails, proof and recovery, by how long the run has lasted.

python -m benchmarks.judging [SERIES] [kinds]

Every look is judged twice, side by side: from the evidence as it grows, as a run does it, and from the same facts anew, as
a stored record is judged. With ``kinds``, each kind of expectation by itself, in every phase, with some bad events and ten replicas.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.adapters.experiment_file import parse_experiment
from chaos.engine.live import progress_of
from chaos.engine.recorder import Recorder
from chaos.judge import Facts, Standing, needed, stand
from chaos.model.experiment import Experiment
from chaos.model.history import Environment, Mark, PhaseName, ProxySeen
from chaos.model.plan import Caller, Injection, Plan, Strategy
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Alerts, Comparison, Durations, ProxyMemory, Question, Requests
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
EACH = {
    "share": "service: order-svc, good: {status: '<500'}, atLeast: 99%",
    "share in time": "service: order-svc, good: {within: 1s}, atLeast: 99%, duringFault: baseline - 2%",
    "of clients": "from: client, good: {status: '<500', within: 1s}, atLeast: 99%",
    "per: replica": "service: order-svc, per: replica, good: {status: '<500'}, atLeast: 95%",
    "attempts per": "attempts: inventory-svc, per: order-svc, atMost: baseline * 3",
    "attempts": "attempts: order-svc, caller: caller-0, atMost: 1.5",
    "flags": "service: inventory-svc, flags: [UO, UC], atMost: 5%, duringFault: at least 10%",
    "breaker": "breaker: inventory-svc, opensWithin: 8s",
    "ejection": "ejection: order-svc, within: 20s",
    "throughput": "throughput: order-svc, atLeast: 80%, duringFault: 50%",
    "unaffected": "unaffected: [order-svc, catalog-svc], margin: 2%",
    "fallback": "fallback: {status: '503'}, atLeast: 1%, atMost: 5%",
    "alert": "alert: OrdersDegraded, firesWithin: 30s, only: true",
    "promql": "promql: sum(up) > 3",
    "request-rate": "metric: request-rate, service: order-svc",
    "latency": "metric: latency, service: order-svc",
    "pushes": "metric: pushes",
    "convergence": "metric: convergence",
    "proxy-memory": "metric: proxy-memory",
    "istiod-cpu": "metric: istiod-cpu, atMost: 500m",
}
KINDS = (("-", "200"), ("FI", "503"), ("DI", "200"), ("DI,FI", "503"), ("-", "404"))
PHASES = (PhaseName.BASELINE, PhaseName.PROVE, PhaseName.OBSERVE, PhaseName.RECOVER)
CALLERS = 2
BEGUN = 1000


def series(question: Question, number: int, second: int, *, faulted_until: float) -> Series:
    """One sample of a counter that grows by three in a second; where it counts faults, only as long as there are any."""
    process, place = divmod(number, len(KINDS))
    labels = {"job": "istio-proxies", "instance": f"proxy-{process}", "pod": f"pod-{process}", "number": str(number)}
    rate, until = 3.0, float(second)
    if isinstance(question, Requests | Durations):
        flags, code = KINDS[place] if "inventory" in str(question) else ("-", "200" if place else "503")
        labels |= {
            "reporter": "source", "source_workload": f"caller-{process % CALLERS}", "source_workload_namespace": "staging",
            "response_flags": flags, "response_code": code, "grpc_response_status": "",
        }  # fmt: skip
        if isinstance(question, Durations) and question.within is not None:
            labels["le"] = "1000"
        rate = 0.03 if (flags, code) == ("-", "503") else rate
        until = min(until, faulted_until) if flags != "-" else until
    value = float(int(rate * (until - BEGUN)))
    if isinstance(question, Comparison):
        labels, value = {}, 1.0
    elif isinstance(question, Alerts):
        labels, value = {"alertname": f"other-{number}" if number else question.name}, float(second > BEGUN + 25)
    elif isinstance(question, ProxyMemory):
        value = 50e6 + number
    elif not isinstance(question, Requests | Durations):
        labels["le"], value = ("0.5", "1", "+Inf")[number % 3], 0.2 * (until - BEGUN)
    return Series(labels=labels, samples=((second + 0.3, value),))


def load(second: int) -> LoadSecond:
    latencies = {float(10 + (7 * second + n) % 190): 1 for n in range(100)}
    cell = LoadCell(request="GET /orders/42", status=200, latencies=latencies)
    return LoadSecond(at=float(second), intended=100, sent=100, cells=(cell,))


def looks(experiment: Experiment, phase: PhaseName, wanted: int, long: int) -> Iterator[Look]:
    """All looks of a run that lasts in one phase, from its beginning on."""
    callers = tuple(Caller(namespace="staging", workload=f"caller-{n}") for n in range(CALLERS))
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
    for second in range(BEGUN, BEGUN + long + 1):
        found = [
            (question, [series(question, n, second, faulted_until=faulted_until) for n in range(each)])
            for question in questions
        ]
        seconds = [load(second)]
        begun = time.process_time()
        for question, one in found:
            recorder.samples(question, "q", one)
        recorder.load(seconds)
        if second > BEGUN + max(marks.values()):
            standing = stand(recorder.facts, phase, second + 1.0)
            progress_of(recorder.facts, phase, standing)
            took = 1000 * (time.process_time() - begun)
            yield Look(second - BEGUN, took, standing, recorder, each * len(questions))


@dataclass(frozen=True)
class Look:
    """One look: after how many seconds, the milliseconds that it took, and what it said."""

    after: int
    took: float
    standing: Standing
    recorder: Recorder
    series: int


def measured(phase: PhaseName, wanted: int, lengths: Sequence[int]) -> None:
    """All expectations together in one phase, from the growing evidence and anew."""
    took: list[float] = []
    for look in looks(parse_experiment(EXPERIMENT), phase, wanted, max(lengths)):
        took.append(look.took)
        if look.after in lengths:
            begun = time.process_time()
            anew = stand(Facts.of(look.recorder.history()), phase, look.standing.now)
            whole = 1000 * (time.process_time() - begun)
            assert anew == look.standing
            growing = statistics.median(took[-20:])
            print(
                f"{phase:9} {look.after:6} s {look.series:8} {growing:11.1f} ms {whole:8.1f} ms {whole / growing:7.0f}"
            )


def each_kind(wanted: int, lengths: Sequence[int]) -> None:
    """Each kind by itself in every phase: milliseconds of a look at each of some lengths."""
    head = EXPERIMENT.partition("steadyState:")[0]
    print("kind           phase    ", *(f"{length:6} s" for length in lengths))
    for name, declared in EACH.items():
        text = f"{head}steadyState:\n  - {{title: one, {declared}}}\nrecovery: {{within: 60s}}\n"
        for phase in PHASES:
            took = {look.after: look.took for look in looks(parse_experiment(text), phase, wanted, max(lengths))}
            medians = (
                statistics.median(took[at] for at in range(length - 19, length + 1) if at in took) for length in lengths
            )
            print(f"{name:14} {phase:9}", *(f"{one:8.1f}" for one in medians), flush=True)


def main(wanted: int, *, kinds: bool) -> None:
    if kinds:
        each_kind(wanted, (60, 150, 300, 600))
        return
    print("phase        run      series      a look       anew    ratio")
    for phase in PHASES:
        measured(phase, wanted, (60, 150, 300, 600))


if __name__ == "__main__":
    main(next((int(one) for one in sys.argv[1:] if one.isdigit()), 150), kinds="kinds" in sys.argv[1:])
