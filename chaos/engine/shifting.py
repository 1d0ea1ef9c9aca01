"""Shifts requests from one version of a service to another in steps, and goes back at once when the steady state is violated.

It is a change (:mod:`chaos.engine.changing`) of several specs, one after the other; only if all steps held, the last one stays.
What is looked at, and how it is decided, is what a run's baseline has: the experiment's load and its steady state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from chaos import judge
from chaos.engine.changing import Change, Writes, end_all
from chaos.engine.observer import Observer
from chaos.engine.recorder import Recorder
from chaos.engine.surroundings import Surroundings
from chaos.engine.target import FreezeWatch
from chaos.errors import HarnessError, InputError, LoadError, MeshError
from chaos.expectations.evidence import Window
from chaos.expectations.kind import Look
from chaos.injection.weights import Way, share_of, shifted
from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import destinations_of, hosts_of, http_routes
from chaos.judge.live import judged, together
from chaos.model.experiment import Experiment
from chaos.model.history import History
from chaos.model.marks import RUN_HEADER
from chaos.model.mesh_change import Object, Wanted
from chaos.model.plan import Plan
from chaos.model.shift import Shift, ShiftStep
from chaos.model.verdict import Outcome
from chaos.values.answers import Answer
from chaos.values.led import Led

_KIND: Final = "VirtualService"
_TICK: Final = 0.5
_WARM_UP: Final = 1.0
_SHORTEST: Final = 3.0
"""Seconds of a step before which nothing is decided: a single burst of errors says nothing."""
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
        self._experiment, self._around, self._way, self._every, self._told = experiment, around, way, every, told
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
        self._before = now
        self._percents = _percents(now, step)
        specs = [shifted(vs, way, percent) for percent in self._percents]
        wanted = Wanted(kind=_KIND, namespace=namespace, name=name, spec=specs[0])
        self._specs = specs
        self._change = Change(
            around.place, wanted, run=run, clock=around.clock, lease=around.lease, later=specs[1:]
        )  # fmt: skip
        self._recorder = self._recording(vs, specs[-1])
        self._observer = Observer(self._recorder, around.place.metrics, around.load, around.clock)
        self._freezes = FreezeWatch(mesh, around.clock, [namespace])
        self._steps: list[ShiftStep] = []

    def _recording(self, vs: Object, last: Object) -> Recorder:
        clock, place = self._around.clock, self._around.place
        offset = place.metrics.now() - clock.now()
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
        outcome, reason, note = Outcome.INCONCLUSIVE, "", ""
        try:
            self._send()
            outcome, reason = self._climb()
            if outcome is Outcome.PASSED:
                note = self._change.keep()
        except (MeshError, LoadError) as error:
            outcome, reason = Outcome.INCONCLUSIVE, error.message
        finally:
            with suppress(HarnessError):
                around.load.stop()
            end_all([self._change], watching, around.clock)
        self._recorder.ended = self._now()
        return Shift(
            run=self._run, experiment=self._experiment.name, virtual_service=self._place, source=self._way.source,
            target=self._way.target, outcome=outcome, reason=reason, note=note, steps=tuple(self._steps),
        )  # fmt: skip

    def _send(self) -> None:
        around = self._around
        around.load.prepare(
            self._experiment.load, entry=around.place.entry.get_secret_value(), headers={RUN_HEADER: self._run},
            base=around.base, markers=judge.looked_for(self._recorder.facts.plan),
        )  # fmt: skip
        around.load.start()
        self._observer.loading = True
        around.clock.sleep(_WARM_UP)

    def _climb(self) -> tuple[Outcome, str]:
        """Step by step: the outcome, and why it is not passed."""
        answer, why = self._hold(self._before)
        if answer is not Answer.HOLDS:
            return Outcome.INCONCLUSIVE, why or f"before the first step, the steady state {_SAID[answer]}"
        for at, percent in enumerate(self._percents):
            if at == 0:
                self._change.begin()
            else:
                self._change.go_on(self._specs[at])
            answer, why = self._hold(percent)
            if answer is not Answer.HOLDS:
                outcome = Outcome.FAILED if answer is Answer.VIOLATED else Outcome.INCONCLUSIVE
                return outcome, why or f"at {percent:g} % the steady state {_SAID[answer]}; all is as before"
        return Outcome.PASSED, ""

    def _hold(self, percent: float) -> tuple[Answer, str]:
        """Looks as long as a step lasts, and as long again if it is not decided; why it had to end, if it had to."""
        start = looked = self._now()
        why = ""
        while True:
            now = self._now()
            self._observer.look(now)
            look = Look(
                phase="baseline", window=Window(start, now), namespace=self._experiment.target.namespace,
                confidence=self._confidence, at_least=min(_SHORTEST, self._every),
            )  # fmt: skip
            found = judged(self._recorder.facts, self._experiment.steady_state, look)
            answer = together(found)
            if now - looked >= _LOST_EVERY:
                looked = now
                why = self._change.lost() if self._steps else ""
            why = why or self._stopped()
            over = now - start >= self._every
            if why or answer is Answer.VIOLATED or (over and answer is Answer.HOLDS) or now - start >= 2 * self._every:
                answer = Answer.UNDECIDED if why else answer
                step = ShiftStep(percent=percent, start=start, end=now, answer=answer, expectations=found)
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

    @property
    def _confidence(self) -> float:
        """Of one decision, so that all of them together are wrong at most as often as the experiment says."""
        decisions = (len(self._percents) + 1) * len(self._experiment.steady_state)
        return 1 - (1 - self._experiment.confidence) / decisions

    def _now(self) -> float:
        return self._around.clock.now() + self._recorder.clock_offset


_SAID: Final = {Answer.VIOLATED: "was violated", Answer.UNDECIDED: "could not be decided", Answer.HOLDS: "held"}


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
