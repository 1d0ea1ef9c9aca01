"""Shifts requests from one version of a service to another in steps, and goes back at once when the steady state is violated.

It is a change (:mod:`chaos.engine.changing`) of several specs, one after the other; only if all steps held, the last one stays.
What is looked at, and how it is decided, is what a run's baseline has: the experiment's load and its steady state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from chaos import judge
from chaos.engine.beside import Beside
from chaos.engine.changing import Change, Writes, end_all
from chaos.engine.clock import offset_of
from chaos.engine.observer import Observer
from chaos.engine.planning import look_around
from chaos.engine.recorder import Recorder
from chaos.engine.surroundings import Surroundings
from chaos.engine.target import FreezeWatch
from chaos.errors import HarnessError, InputError, LoadError, MeshError, MetricsError, Refused
from chaos.injection.canary import canary_of, homes_of, recognised
from chaos.injection.weights import Way, share_of, shifted
from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import destinations_of, hosts_of, http_routes
from chaos.istio.workloads import workloads_of
from chaos.model.experiment import Experiment
from chaos.model.history import History
from chaos.model.mesh_change import Object, Wanted
from chaos.model.plan import Plan
from chaos.model.shift import Shift, ShiftStep
from chaos.model.verdict import Outcome
from chaos.values.answers import Answer
from chaos.values.led import Led

_KIND: Final = "VirtualService"
_TICK: Final = 0.5
_WARM_UP: Final = 1.0
_LOST_EVERY: Final = 2.0
"""Seconds between two looks whether the weights are still ours."""


class Shifting:
    """One shift.

    Args:
        experiment: Whose load is sent, and whose steady state has to hold; its faults are not injected.
        around: Where.
        name: Of the VirtualService, in the namespace of the experiment's target.
        way: From where to where.
        step: Percent of the requests by which each step is larger.
        every: Seconds that a step lasts.
        told: Told each step as it ends.

    Raises:
        InputError: there is no such VirtualService, or it leads to neither.
    """

    def __init__(
        self,
        experiment: Experiment,
        around: Surroundings,
        *,
        name: str,
        way: Way,
        step: float,
        every: float,
        run: str,
        told: Callable[[ShiftStep], None],
    ) -> None:
        self._experiment, self._around, self._every, self._told = experiment, around, every, told
        self._place = f"{experiment.target.namespace}/{name}"
        self._run = run
        mesh, namespace = around.place.mesh, experiment.target.namespace
        vs = mesh.virtual_service(namespace, name)
        now = share_of(vs, way) if vs is not None else None
        if vs is None or now is None:
            raise InputError(
                f"there is no VirtualService {self._place}" if vs is None
                else f"no HTTP route of VirtualService {self._place} leads to {way.source!r} or {way.target!r}",
                hint="name the VirtualService, and subsets or hosts that its routes have",
            )  # fmt: skip
        if now >= 100:
            raise InputError(f"all requests of VirtualService {self._place} go to {way.target!r} already")
        here = look_around(
            mesh, namespace, cluster=around.place.environment.cluster, root=around.place.settings.root_namespace,
            writable_outside=around.place.writable_outside,
        )  # fmt: skip
        self._way = way = canary_of(vs, way, here)
        pods = [pod for home in homes_of(vs, way) for pod in mesh.pods(home)]
        self._by = recognised(vs, way, here, workloads_of(pods))
        self._before = now
        self._percents = _percents(now, step)
        specs = [shifted(vs, way, percent) for percent in self._percents]
        wanted = Wanted(kind=_KIND, namespace=namespace, name=name, spec=specs[0])
        self._specs = specs
        self._change = Change(
            around.place, wanted, run=run, clock=around.clock, lease=around.lease, later=specs[1:]
        )  # fmt: skip
        self._recorder = self._recording(vs, specs[-1])
        self._observer = Observer(
            self._recorder, around.place.metrics, around.load, around.clock, also=judge.asked_of(self._by)
        )
        self._freezes = FreezeWatch(mesh, around.clock, [namespace])
        self._steps: list[ShiftStep] = []

    def _recording(self, vs: Object, last: Object) -> Recorder:
        clock, place = self._around.clock, self._around.place
        offset = offset_of(place.metrics, clock)
        plan = Plan(run=self._run, experiment=self._experiment, led=tuple(_led(vs, last)))
        return Recorder(plan, place.environment, clock_offset=offset, started=clock.now() + offset)

    @property
    def history(self) -> History:
        """Everything that was looked at."""
        return self._recorder.history()

    def execute(self) -> Shift:
        """Shifts, and puts back unless all held.

        Raises:
            Refused: a staging rule forbids it; nothing was written.
            MeshError: it could not be put back yet; the watchdog goes on.
            HarnessError: it could not begin.
        """
        self._change.check()
        around = self._around
        watching = around.watch(Writes(self._run, (self._experiment.target.namespace,)))
        stopped = note = ""
        try:
            self._send()
            stopped = self._climb()
            if self._so_far(stopped).outcome is Outcome.PASSED:
                note = self._change.keep()
        except (MeshError, LoadError) as error:
            stopped = error.message
        finally:
            with suppress(HarnessError):
                around.load.stop()
            end_all([self._change], watching, around.clock)
        self._recorder.ended = self._now()
        return self._so_far(stopped, note)

    def _so_far(self, stopped: str, note: str = "") -> Shift:
        made = Shift(
            run=self._run, experiment=self._experiment.name, virtual_service=self._place, source=self._way.source,
            target=self._way.target, stopped=stopped, note=note, percents=(self._before, *self._percents), every=self._every, by=self._by,
            steps=tuple(self._steps),
        )  # fmt: skip
        return judge.concluded(made)

    def _send(self) -> None:
        around = self._around
        around.prepare_load(self._recorder.facts.plan)
        around.load.start()
        self._observer.loading = True
        around.clock.sleep(_WARM_UP)

    def _climb(self) -> str:
        """Step by step, as long as all holds; what stopped it from outside."""
        answer, why = self._hold(self._before)
        for at, percent in enumerate(self._percents):
            if answer is not Answer.HOLDS:
                break
            if self._around.stop:
                return self._around.stop.why
            going: Beside[None] | None = None
            if at == 0:
                self._change.begin()
            else:
                going = Beside(self._around.clock, partial(self._change.go_on, self._specs[at]))
            try:
                answer, why = self._hold(percent, going)
            except (Refused, MetricsError) as error:
                return error.message
        return why

    def _hold(self, percent: float, going: Beside[None] | None = None) -> tuple[Answer, str]:
        """Looks as long as a step lasts, and as long again if it is not decided; why it had to end, if it had to.

        The step begins once its weights are written. It may end before: the write then meets a later version, and fails.

        Raises:
            HarnessError: the weights were not written, or nobody can tell whether they are still there.
        """
        start = looked = self._now()
        why, asking = "", None
        while True:
            now = self._now()
            if going is not None and going.done:
                going.result()
                going, start = None, now
            self._observer.look(now)
            seen = ShiftStep(percent=percent, start=start, end=now)
            step = judge.step_at(
                self._recorder.facts, seen, by=self._by, steps=len(self._percents) + 1, every=self._every
            )
            if self._steps and asking is None and now - looked >= _LOST_EVERY:
                looked, asking = now, Beside(self._around.clock, self._change.lost)
            if asking is not None and asking.done:
                why, asking = asking.result(), None
            why = why or self._stopped()
            answer, over = step.answer, going is None and now - start >= self._every
            decided = over and (answer is Answer.HOLDS or now - start >= 2 * self._every)
            if why or answer is Answer.VIOLATED or decided:
                if why:
                    answer, step = Answer.UNDECIDED, step.model_copy(update={"answer": Answer.UNDECIDED, "missed": ""})
                self._steps.append(step)
                self._told(step)
                return answer, why
            self._around.clock.sleep(_TICK)

    def _stopped(self) -> str:
        if self._around.stop:
            return self._around.stop.why
        if self._recorder.troubles:
            return self._recorder.troubles[0].message
        return self._freezes.look()

    def _now(self) -> float:
        return self._around.clock.now() + self._recorder.clock_offset


def _percents(now: float, step: float) -> Sequence[float]:
    """The shares of all steps; the last one is all."""
    found = []
    percent = now + step
    while percent < 100:
        found.append(percent)
        percent += step
    return [*found, 100.0]


def _led(vs: Object, last: Object) -> Sequence[Led]:
    """Where requests to the VirtualService's hosts are counted, too, while they are shifted."""
    home = vs["metadata"]["namespace"]
    there = [part for route in http_routes({"spec": last}) for part in destinations_of(route)]
    names = dict.fromkeys(resolve_host(str(one["host"]), home) for one in there)
    return [Led(host=host, destination=name) for host in hosts_of(vs) for name in names if name != host]
