"""A look costs about the same however long the run has lasted, for every kind: so many counts of a series, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.expectations.counting import count
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Kind, Look
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Durations, ProxyMemory, Requests
from chaos.values.series import Series
from tests.support.kinds import SAMPLES

CODES = ("200", "503")


def second(one: Kind, at: int) -> Iterator[tuple[object, list[Series]]]:
    """What proxies tell of everything that a kind asks; a few requests fail."""
    for question in one.questions("staging"):
        found = []
        for replica in ("a", "b"):
            for place, code in enumerate(CODES):
                labels = {"job": "p", "instance": replica, "pod": replica, "response_code": code, "le": "1"}
                rate = 1.0 if isinstance(question, ProxyMemory) else 50.0 - 49.0 * place
                if isinstance(question, Requests | Durations):
                    labels |= {"source_workload": "web", "source_workload_namespace": "staging", "response_flags": "-"}
                found.append(Series(labels=labels, samples=((at + 0.3, rate * at),)))
        yield question, found


def counts(one: Kind, long: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a series is counted at the last look of a phase that goes on, since its shortest time is not over."""
    evidence, number = Evidence(scrape_interval=1.0, histogram_lag=1.0), 0

    def counted(*args: object, **more: object) -> object:
        nonlocal number
        number += 1
        return count(*args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr("chaos.expectations.evidence.count", counted)
        for at in range(1, long):
            for question, found in second(one, at):
                evidence.add(question, found)  # type: ignore[arg-type]
            cell = LoadCell(request="GET /orders", status=200, latencies={20.0: 100})
            evidence.load.add([LoadSecond(at=float(at), intended=100, sent=100, cells=(cell,))])
            number = 0
            if at > 25:
                one.decide(
                    evidence,
                    Look(
                        phase="fault", window=Window(20, at + 1.0), baseline=Window(1, 19), namespace="staging",
                        confidence=0.99, at_least=1000.0,
                    ),
                )  # fmt: skip
    return number


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_a_look_counts_no_more_after_ten_minutes_than_after_one(one: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    assert counts(one, 600, monkeypatch) <= counts(one, 60, monkeypatch) + 4
