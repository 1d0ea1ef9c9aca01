"""How long the proxies keep a fault after the API acknowledged its removal: on the lab, with real Envoy and Prometheus.

python -m benchmarks.removal [rounds]

Three faults at a time, one by each strategy, under steady calls; the control plane is quiet, delayed by 3 s, or paused for
20 s from the removal on. Each removal is seen twice: by the proxies' own answers, and by the counted faults alone.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx

from benchmarks.own_lab import own_lab
from chaos.adapters.experiment_file import parse_experiment
from chaos.engine.clock import SystemClock
from chaos.engine.injecting import Injector, restore_all
from chaos.engine.observer import Observer
from chaos.engine.place import Place
from chaos.engine.proxies import Proxies
from chaos.engine.recorder import Recorder
from chaos.harness.connecting import on_lab
from chaos.judge.facts import Facts
from chaos.judge.removal import judge_removal
from chaos.lab import commands
from chaos.lab.state import LabState
from chaos.model.history import History, Mark, ProxySeen
from chaos.model.marks import new_run
from chaos.model.plan import Plan, Strategy
from chaos.model.verdict import RemovalResult
from chaos.ports import Load
from chaos.values.answers import Answer

EXPERIMENT = """\
experiment: {service}
target: {{namespace: staging, service: {service}, callers: {{app: {caller}}}}}
faults: [abort: {{percentage: 50, httpStatus: 503}}]
load: {{rate: 40, requests: [{{path: /}}]}}
profile: quick
steadyState: [{{title: answered, service: {service}, good: {{status: "<500"}}, atLeast: 99%}}]
limits: {{removal: 60s}}
"""
TARGETS = {
    Strategy.CREATE: ("inventory-svc", "order-svc"),
    Strategy.OVERLAY: ("payment-svc", "order-svc"),
    Strategy.PATCH: ("auth-svc", "user-svc"),
}
CALLS = (("POST", "/orders"), ("GET", "/users/1"))
CALM, LATE = 0.1, 90.0


class Removing:
    """One fault, from its injection until it is seen to be gone."""

    def __init__(self, place: Place, strategy: Strategy, clock: SystemClock) -> None:
        service, caller = TARGETS[strategy]
        experiment = parse_experiment(EXPERIMENT.format(service=service, caller=caller))
        self.plan: Plan = place.plan(experiment, run=new_run())
        assert self.plan.allowed, self.plan.refusals
        (injection,) = self.plan.injections
        assert injection.strategy is strategy, (strategy, injection.strategy)
        self._clock = clock
        offset = place.metrics.now() - clock.now()
        self.recorder = Recorder(self.plan, place.environment, clock_offset=offset, started=clock.now() + offset)
        self._observer = Observer(self.recorder, place.metrics, cast("Load", None), clock)
        self._injector = Injector(place.mesh, injection, self.plan.run, clock)
        self._mesh = place.mesh
        self._proxies = Proxies(place.mesh, clock, self.plan.injections, every=True)

    def mark(self, mark: Mark) -> None:
        self.recorder.mark(mark, self._clock.now() + self.recorder.clock_offset)

    def inject(self) -> None:
        self.mark(Mark.INJECT_SENT)
        self._injector.write(owner=None)
        self.mark(Mark.INJECTED)

    def look(self) -> ProxySeen | None:
        self._observer.look(self._clock.now() + self.recorder.clock_offset)
        seen = self._proxies.look(self.recorder.clock_offset)
        if seen is not None:
            self.recorder.proxies.append(seen)
        return seen

    def remove(self) -> None:
        assert restore_all([self._injector], clock=self._clock, said=print) == ""
        self.mark(Mark.RESTORED)
        self._proxies = Proxies(self._mesh, self._clock, self.plan.injections, every=False)

    def give_back(self) -> None:
        self._injector.give_back(said=print)

    def both(self) -> tuple[RemovalResult, RemovalResult]:
        history: History = self.recorder.history()
        now = self._clock.now() + self.recorder.clock_offset
        unasked = history.model_copy(update={"proxies": ()})
        return judge_removal(Facts.of(history), now), judge_removal(Facts.of(unasked), now)


@contextmanager
def called(lab: LabState) -> Iterator[None]:
    """Steady calls of all targets, 20 a second each."""
    end = threading.Event()

    def call(method: str, path: str) -> None:
        with httpx.Client(base_url=lab.entry, trust_env=False, timeout=5) as client:
            while not end.wait(0.05):
                client.request(method, path)

    threads = [threading.Thread(target=call, args=one) for one in CALLS]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()


def once(lab: LabState, place: Place, *, delay: float, pause: float) -> dict[Strategy, tuple[RemovalResult, ...]]:
    clock = SystemClock()
    faults = {strategy: Removing(place, strategy, clock) for strategy in TARGETS}
    try:
        for fault in faults.values():
            fault.inject()
        waiting = set(faults)
        while waiting:
            for strategy in tuple(waiting):
                seen = faults[strategy].look()
                if seen is not None and seen.of and seen.having == seen.of:
                    waiting.remove(strategy)
            time.sleep(0.05)
        until = time.monotonic() + 3
        while time.monotonic() < until:  # some counted faults
            for fault in faults.values():
                fault.look()
            time.sleep(0.2)
        if delay:
            commands.control_plane(lab.name, delay=delay)
        if pause:
            commands.control_plane(lab.name, power="down")
    finally:
        for fault in faults.values():
            fault.remove()
    paused_until = time.monotonic() + pause
    paused = bool(pause)
    open_ = dict(faults)
    found: dict[Strategy, tuple[RemovalResult, ...]] = {}
    deadline = time.monotonic() + LATE
    while open_:
        assert time.monotonic() < deadline, {strategy: fault.both() for strategy, fault in open_.items()}
        if paused and time.monotonic() >= paused_until:
            commands.control_plane(lab.name, power="up")
            paused = False
        for strategy, fault in tuple(open_.items()):
            fault.look()
            results = fault.both()
            if all(result.answer is Answer.HOLDS for result in results):
                fault.give_back()
                found[strategy] = results
                del open_[strategy]
        time.sleep(CALM)
    if delay:
        commands.control_plane(lab.name, delay=0)
    return found


def private_auth_service(lab: LabState) -> None:
    """A private VirtualService that only a patch can act through."""
    obj: dict[str, Any] = {
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "auth-svc", "namespace": "staging"},
        "spec": {"hosts": ["auth-svc"], "exportTo": ["."], "http": [{"route": [{"destination": {"host": "auth-svc"}}]}]},
    }  # fmt: skip
    path = f"{lab.api}/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
    assert httpx.post(path, json=obj, trust_env=False).status_code == 201


def main(rounds: int) -> None:
    with own_lab() as lab:
        place = on_lab(lab)
        private_auth_service(lab)
        with called(lab):
            for title, delay, pause in (
                ("quiet", 0.0, 0.0),
                ("delayed by 3 s", 3.0, 0.0),
                ("paused for 20 s", 0.0, 20.0),
            ):
                found = [once(lab, place, delay=delay, pause=pause) for _ in range(rounds)]
                for strategy in TARGETS:
                    for index, how in enumerate(("proxies asked", "counts only")):
                        took = [one[strategy][index].seconds or 0.0 for one in found]
                        print(
                            f"{title:>15}  {strategy:>7}  {how:>13}: median {statistics.median(took):5.2f} s, "
                            f"worst {max(took):5.2f} s of {rounds}",
                            flush=True,
                        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
