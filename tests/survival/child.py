"""One run in a process of its own, with a real watchdog, against a real API server; made to be killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from chaos import judge
from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.place import Place
from chaos.engine.surroundings import Watched
from chaos.errors import HarnessError, Stopped
from chaos.harness.harness import Harness
from chaos.model.history import PhaseName
from chaos.model.settings import LAB
from chaos.ports import Listener, Result
from chaos.safety.watchdog import Watchdog
from chaos.testing.instruments import ShopProbe
from tests.support.api_server import CONTEXT
from tests.survival.simulated import FastShop

EXPERIMENT = """\
experiment: orders
owner: checkout
target: {namespace: staging, service: inventory-svc}
faults: [abort: {percentage: 50, httpStatus: 503}]
load: {rate: 1000, requests: [{path: /orders/42}]}
profile: quick
steadyState:
  - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}
recovery: {within: 20s}
limits: {baseline: 30s, fault: 60s}
"""
_SECOND = "{target: {namespace: staging, service: payment-svc}, abort: {percentage: 20, httpStatus: 500}}"
_FAULT = "abort: {percentage: 50, httpStatus: 503}"
_STAGES = "stages: [{for: 5s, percentage: 45}, {for: 5s}]"
"""So near to each other that it does not matter if the simulated proxies are late with the second one."""
EXPERIMENTS = {
    "several": EXPERIMENT.replace(_FAULT, f"{_SECOND}, {_FAULT}"),
    "staged": EXPERIMENT.replace(_FAULT, f"{{{_FAULT}, {_STAGES}}}"),
}
"""Others than the usual one, by what they have."""


@dataclass(kw_only=True)
class Orders:
    """What a child does.

    Args:
        api: Where the metrics look at the mesh; never spoilt.
        kubeconfig: How the run reaches the API.
        watched: How its watchdog reaches the API.
        die_in: Phase at whose beginning it kills itself.
        die_alone: The watchdog lives on.
        signals: Sent to itself at the beginning of a phase.
        alarm_in: Phase at whose beginning an alarm's handler raises, as pytest-timeout's does.
        lost_in: Phase at whose beginning Prometheus goes away.
        hangs_in: Phase whose beginning another listener hears and never returns.
        experiment: The experiment of the run.
        changes: Manifests of what is changed for a while, instead of a run.
        absent: Manifests of what is away for that while.
    """

    api: tuple[str, int]
    kubeconfig: str
    watched: str
    folder: str
    run: str
    die_in: str = ""
    die_alone: bool = True
    signals: dict[str, list[int]] = field(default_factory=dict)
    alarm_in: str = ""
    lost_in: str = ""
    load_dies_in: str = ""
    lease: float = 30.0
    timeouts: tuple[float, float] = (0.5, 0.5)
    largest_file: int = -1
    clock_step: float = 0.0
    stepped_in: str = ""
    hangs_in: str = ""
    experiment: str = EXPERIMENT
    changes: str = ""
    absent: str = ""

    @property
    def result(self) -> Path:
        return Path(self.folder) / "result.json"

    @property
    def pids(self) -> Path:
        return Path(self.folder) / "pids.json"


class _Saboteur(Listener):
    """A listener that does what its orders say once a phase begins."""

    def __init__(self, orders: Orders, shop: FastShop) -> None:
        self._orders, self._shop = orders, shop
        self.told: Result | None = None

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        orders = self._orders
        if phase == orders.die_in:
            die(orders)
        if phase == orders.lost_in:
            self._shop.metrics.lost = "Prometheus is gone"
        if phase == orders.load_dies_in:
            self._shop.load.died = "killed"
        if phase == orders.stepped_in:
            real, step = time.time, orders.clock_step
            time.time = lambda: real() + step
        if phase == PhaseName.INJECT and orders.largest_file >= 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (orders.largest_file, resource.RLIM_INFINITY))
        if phase == orders.alarm_in:
            os.kill(os.getpid(), signal.SIGALRM)
        for number in orders.signals.get(phase, ()):
            os.kill(os.getpid(), number)

    def finished(self, result: Result) -> None:
        self.told = result


class _Hanging(Listener):
    """A listener that hears a phase and never returns."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        if phase == self._orders.hangs_in:
            threading.Event().wait()


class Alarm(BaseException):
    """What pytest-timeout's handler raises is no ``Exception`` either."""


def _raise_alarm(number: int, frame: object) -> None:
    raise Alarm


def die(orders: Orders) -> None:
    """Ends this process as the kernel would, and the watchdog before it where it shall not outlive it."""
    if not orders.die_alone:
        kill_watchdog(orders)
    os.kill(os.getpid(), signal.SIGKILL)


def kill_watchdog(orders: Orders) -> None:
    """Ends a run's watchdog, if it has one yet, and waits until it is dead."""
    if not orders.pids.exists():
        return
    pid = json.loads(orders.pids.read_text())["watchdog"]
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main(orders: Orders) -> None:
    """Plans and runs; leaves the verdict in ``result.json``."""
    sys.stderr = (Path(orders.folder) / "stderr.txt").open("w", encoding="utf-8")
    shop = FastShop(orders.api)
    saboteur = _Saboteur(orders, shop)
    result: dict[str, object] = {}
    signal.signal(signal.SIGALRM, _raise_alarm)
    try:
        mesh = KubernetesMesh(orders.kubeconfig, CONTEXT, timeouts=orders.timeouts)
        harness = Harness(
            Place.of(mesh, shop.metrics, LAB, entry="http://127.0.0.1:1", lab=True),
            load=lambda: shop.load,
            probe=ShopProbe,
            watchdog=lambda plan, folder: _watch(orders, mesh, plan, folder),
            clock=shop.clock,
            listeners=[saboteur, _Hanging(orders)],
            report_dir=orders.folder,
            lease=orders.lease,
        )
        if orders.changes:
            with harness.changed(orders.changes, absent=[orders.absent]):
                result = {"outcome": "passed"}
        else:
            harness.run(parse_experiment(orders.experiment), run_id=orders.run)
    except HarnessError as error:
        result = {"outcome": "error", "reasons": [error.message]}
    except Alarm:
        result = {"outcome": "alarm", "reasons": []}
    except KeyboardInterrupt:
        result = {"signal": signal.SIGINT}
    except Stopped as stopped:
        result = {"signal": int(str(stopped.code)) - 128}
    if saboteur.told is not None and "outcome" not in result:
        result |= _told(saboteur.told)
    if orders.largest_file >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    new = orders.result.with_suffix(".new")
    new.write_text(json.dumps(result))
    new.replace(orders.result)


def _told(result: Result) -> dict[str, object]:
    history, verdict = result.history, result.verdict
    assert verdict == judge.judge(history)
    if not history.plan.allowed:
        return {"outcome": "refused", "reasons": [f"{one.rule}: {one.message}" for one in history.plan.refusals]}
    return {
        "outcome": verdict.outcome,
        "reasons": [f"{reason.code}: {reason.message}" for reason in verdict.reasons],
        "phases": [span.phase for span in history.spans],
        "marks": {mark.value: at for mark, at in history.marks.items()},
        "events": [f"{event.kind}: {event.sentence}" for event in history.events],
    }


def _watch(orders: Orders, mesh: KubernetesMesh, plan: Watched, folder: Path) -> Watchdog:
    watchdog = Watchdog.start(
        kubeconfig=orders.watched,
        context=CONTEXT,
        namespaces=("staging",),
        run=plan.run,
        folder=folder,
        cluster=mesh.identity().uid,
    )
    new = orders.pids.with_suffix(".new")
    new.write_text(json.dumps({"watchdog": watchdog.pid}))
    new.replace(orders.pids)
    return watchdog


if __name__ == "__main__":
    main(Orders(**json.loads(sys.argv[1])))
