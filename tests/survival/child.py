"""One run in a process of its own, with a real watchdog, against a real API server; made to be killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from chaos import judge
from chaos.adapters import kubernetes_api
from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.clock import StopRequest
from chaos.engine.listeners import Listeners
from chaos.engine.run import Run
from chaos.engine.surroundings import Surroundings
from chaos.errors import HarnessError
from chaos.model.history import Environment, History, PhaseName
from chaos.model.plan import Plan
from chaos.model.settings import LAB
from chaos.model.verdict import Verdict
from chaos.ports import Listener
from chaos.reporting.record import run_folder
from chaos.safety.watchdog import Watchdog
from chaos.wiring import Place, conclude, plan_experiment
from tests.survival.simulated import FastClock, ShopMetrics, SteadyLoad
from tests.unit.safety.api_server import CONTEXT

EXPERIMENT = """\
experiment: orders
owner: checkout
target: {namespace: staging, service: inventory-svc}
faults: [abort: {percentage: 50, httpStatus: 503}]
load: {rate: 1000, requests: [{path: /orders/42}]}
steadyState:
  - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}
recovery: {within: 20s}
limits: {baseline: 30s, fault: 60s}
"""


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

    @property
    def result(self) -> Path:
        return Path(self.folder) / "result.json"

    @property
    def pids(self) -> Path:
        return Path(self.folder) / "pids.json"


class _Saboteur(Listener):
    """A listener that does what its orders say once a phase begins."""

    def __init__(self, orders: Orders, metrics: ShopMetrics, load: SteadyLoad) -> None:
        self._orders, self._metrics, self._load = orders, metrics, load

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        orders = self._orders
        if phase == orders.die_in:
            die(orders)
        if phase == orders.lost_in:
            self._metrics.gone = True
        if phase == orders.load_dies_in:
            self._load.died = "killed"
        if phase == orders.stepped_in:
            real, step = time.time, orders.clock_step
            time.time = lambda: real() + step
        if phase == PhaseName.INJECT and orders.largest_file >= 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (orders.largest_file, resource.RLIM_INFINITY))
        if phase == orders.alarm_in:
            os.kill(os.getpid(), signal.SIGALRM)
        for number in orders.signals.get(phase, ()):
            os.kill(os.getpid(), number)


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
    kubernetes_api.TIMEOUTS = orders.timeouts  # type: ignore[misc]
    clock = FastClock()
    metrics = ShopMetrics(clock, orders.api)
    load = SteadyLoad(clock)
    stop = StopRequest(clock)
    result: dict[str, object] = {}
    signal.signal(signal.SIGALRM, _raise_alarm)
    with stop.on_signals():
        try:
            mesh = KubernetesMesh(orders.kubeconfig, CONTEXT)
            environment = Environment(
                context=CONTEXT, cluster=mesh.identity().uid, entry="http://127.0.0.1:1", scrape_interval=1.0
            )
            place = Place(mesh, metrics, LAB, environment, CONTEXT, orders.kubeconfig)
            plan = plan_experiment(parse_experiment(EXPERIMENT), place=place, run=orders.run)
            folder = run_folder(Path(orders.folder), plan.run)
            folder.mkdir(parents=True, exist_ok=True)
            if plan.allowed:
                history, verdict = _run(plan, orders, place, folder, clock, metrics, load, stop)
                result = {"outcome": verdict.outcome, "reasons": [f"{r.code}: {r.message}" for r in verdict.reasons]}
                result["phases"] = [span.phase for span in history.spans]
                marks = history.marks
                result["marks"] = {mark.value: at for mark, at in marks.items()}
                result["events"] = [f"{event.kind}: {event.sentence}" for event in history.events]
            else:
                result = {"outcome": "refused", "reasons": [f"{one.rule}: {one.message}" for one in plan.refusals]}
        except HarnessError as error:
            result = {"outcome": "error", "reasons": [error.message]}
        except Alarm:
            result = {"outcome": "alarm", "reasons": []}
    if stop.signal:
        result["signal"] = stop.signal
    if orders.largest_file >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    new = orders.result.with_suffix(".new")
    new.write_text(json.dumps(result))
    new.replace(orders.result)


def _run(
    plan: Plan, orders: Orders, place: Place, folder: Path, clock: FastClock, metrics: ShopMetrics, load: SteadyLoad, stop: StopRequest
) -> tuple[History, Verdict]:  # fmt: skip
    def watch(made: Plan) -> Watchdog:
        watchdog = Watchdog.start(
            kubeconfig=orders.watched,
            context=CONTEXT,
            namespaces=("staging",),
            run=made.run,
            folder=folder,
            cluster=place.environment.cluster,
        )
        new = orders.pids.with_suffix(".new")
        new.write_text(json.dumps({"watchdog": watchdog.pid}))
        new.replace(orders.pids)
        return watchdog

    around = Surroundings(
        mesh=place.mesh, metrics=metrics, load=load, clock=clock, settings=place.settings, environment=place.environment,
        stop=stop, watch=watch, listeners=Listeners([_Saboteur(orders, metrics, load)]), lease=orders.lease,
    )  # fmt: skip
    run = Run(plan, around)
    try:
        run.execute()
    finally:
        finished = conclude(run.recorder.history(), listeners=Listeners(), report_dir=Path(orders.folder))
    assert finished.verdict == judge.judge(finished.history)
    return finished.history, finished.verdict


if __name__ == "__main__":
    main(Orders(**json.loads(sys.argv[1])))
