"""A shop in memory, and one run on it."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Unpack

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.history import History
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Behaviour, Shop

RUN = "abcdefgh"
EXPERIMENT = """\
experiment: orders
owner: checkout
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{fault}]
load: {{rate: 10, requests: [{{path: /orders/42}}]}}
profile: quick
steadyState:
  - {{title: answered, service: order-svc, good: {{status: "<500"}}, atLeast: 90%}}
  {more}
guardrails:
  - {{title: on fire, service: order-svc, good: {{status: "<500"}}, atLeast: 30%}}
"""
ABORT = "abort: {percentage: 50, httpStatus: 503}"


class Watch:
    """Whoever would clean up when the process is killed, and what it was told."""

    def __init__(self) -> None:
        self.told = ""

    def release(self) -> None:
        self.told = "released"

    def abandon(self) -> None:
        self.told = "abandoned"


class World(Shop):
    """A shop, and one run on it."""

    def __init__(self, **behaviour: Unpack[Behaviour]) -> None:
        super().__init__(**behaviour)
        self.watch = Watch()

    def run(self, fault: str = ABORT, more: str = "") -> tuple[History, Verdict]:
        return self.run_of(EXPERIMENT.format(fault=fault, more=more))

    def run_of(self, text: str) -> tuple[History, Verdict]:
        """A run of an experiment file."""
        with TemporaryDirectory() as folder:
            harness = self.harness(report_dir=folder, watchdog=lambda _plan, _folder: self.watch)
            finished = harness.run(parse_experiment(text), run_id=RUN)
        return finished.history, finished.verdict


def codes(verdict: Verdict) -> set[ReasonCode]:
    return {reason.code for reason in verdict.reasons}


def nothing_left(world: World, history: History) -> bool:
    return not world.mesh.injected() and not history.residue and world.watch.told == "released"
