"""A look costs about the same however long the run has lasted, for every kind and phase: so many steps of the interpreter, and no more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Kind, Look, Phase
from chaos.expectations.metric import MetricExpectation
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Alerts, Convergence, Durations, ProxyMemory, Question, Requests
from chaos.values.series import Series
from tests.support.kinds import SAMPLES

KINDS = (
    *SAMPLES,
    MetricExpectation("sent rarely", metric="pushes", at_most="100k"),
    MetricExpectation("sent soon", metric="convergence", at_most="1s"),
    MetricExpectation("idle", metric="istiod-cpu", at_most="500"),
)
REPLICAS = ("a", "b", "c")
CODES = ("200", "503", "UH")


def second(one: Kind, at: int) -> Iterator[tuple[Question, list[Series]]]:
    """What proxies tell of everything that a kind asks; a few requests fail, and a few are refused."""
    for question in one.questions("staging"):
        found = []
        for replica in REPLICAS:
            for place, code in enumerate(CODES):
                labels = {"job": "p", "instance": replica, "pod": replica, "response_code": code, "le": "1"}
                value = float(int((50, 0.5, 0.3)[place] * at))
                if isinstance(question, ProxyMemory):
                    value = 1e6 + at
                if isinstance(question, Alerts):
                    labels, value = {"alertname": question.name}, float(at % 50 > 40)
                if isinstance(question, Convergence):
                    labels["le"] = ("1", "5", "+Inf")[place]
                if isinstance(question, Requests | Durations):
                    flags = "UH" if code == "UH" else "-"
                    labels |= {
                        "source_workload": "web",
                        "source_workload_namespace": "staging",
                        "response_flags": flags,
                    }
                found.append(Series(labels=labels, samples=((at + 0.3, value),)))
        yield question, found


def steps(call: Callable[[], object]) -> int:
    """How many instructions the interpreter takes for a call: what is gone through once more shows, whatever it is."""
    number = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal number
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        number += event == "opcode"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        call()
    finally:
        sys.settrace(before)
    return number


def taken(one: Kind, phase: Phase, lengths: tuple[int, ...]) -> list[int]:
    """The steps of a look at each of some lengths, at a phase that goes on since its shortest time is not over; all looks are taken in between."""
    evidence, found = Evidence(scrape_interval=1.0, histogram_lag=1.0), []
    for at in range(1, max(lengths) + 1):
        for question, series in second(one, at):
            evidence.add(question, series)
        cell = LoadCell(request="GET /orders", status=200 if at % 7 else 503, latencies={20.0: 100})
        evidence.load.add([LoadSecond(at=float(at), intended=100, sent=100, cells=(cell,))])
        if at > 25:
            look = Look(
                phase=phase, window=Window(20, at + 1.0), namespace="staging", confidence=0.99,
                baseline=None if phase == "baseline" else Window(1, 19),
                faulted=Window(10, 19) if phase == "recovery" else None,
            )  # fmt: skip
            if at in lengths:
                found.append(steps(lambda look=look: one.decide(evidence, look)))  # type: ignore[misc]
            else:
                one.decide(evidence, look)
    return found


@pytest.mark.parametrize("phase", ["baseline", "fault", "recovery"])
@pytest.mark.parametrize("one", KINDS, ids=str)
def test_a_look_takes_as_many_steps_after_ten_minutes_as_after_one(one: Kind, phase: Phase) -> None:
    """Up to some for batches of one more length with each doubling, for candidates, and for what changes in a row of looks."""
    early, late = (max(pair) for pair in zip(*[iter(taken(one, phase, (100, 101, 600, 601)))] * 2, strict=True))
    assert late <= 1.3 * early + 600
