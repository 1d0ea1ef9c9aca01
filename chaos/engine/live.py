"""A run while it goes on: what its phases share and record, and the look that reads everything outside and judges once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Final, TypeVar

from chaos.engine.beside import POLL, Beside
from chaos.engine.callers import Newcomers
from chaos.engine.clock import offset_of
from chaos.engine.injecting import Injector
from chaos.engine.observer import Observer
from chaos.engine.proxies import Proxies
from chaos.engine.recorder import Recorder
from chaos.engine.routes import RouteWatch
from chaos.engine.surroundings import Surroundings, Watch
from chaos.engine.target import FreezeWatch, TargetWatch
from chaos.errors import HarnessError, LoadError, MeshError
from chaos.expectations.kind import Phase
from chaos.judge import Facts, Standing, newcomers, stand
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.history import Mark, PhaseName, ProxySeen
from chaos.model.plan import Plan
from chaos.ports import Informer, Listener, Progress
from chaos.safety.leases import Leases
from chaos.values.answers import Answer

T = TypeVar("T")
TICK: Final = 0.5
"""Seconds between two looks."""

_LATEST: Final = 60.0
"""Seconds by which the first samples after the load's begin may come late."""


class Halt(Exception):
    """The run goes no further; restore now."""


class Live:
    """A run while it goes on."""

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        if not plan.allowed:
            raise ValueError("only an allowed plan can be run")
        self.around, self.place, self.clock = around, around.place, around.clock
        offset = offset_of(around.place.metrics, around.clock)
        environment = around.place.environment
        if plan.scrape_interval is not None:
            environment = environment.model_copy(update={"scrape_interval": plan.scrape_interval})
        self.recorder = Recorder(plan, environment, clock_offset=offset, started=self.clock.now() + offset)
        self.observer = Observer(self.recorder, around.place.metrics, around.load, around.clock)
        self.injectors = tuple(Injector(around.place.mesh, one, plan.run, around.clock) for one in plan.injections)
        self.proxies = Proxies(around.place.mesh, around.clock, plan.injections, every=True)
        self.leases = Leases(
            around.place.mesh,
            [one.target for one in plan.injections],
            run=plan.run,
            experiment=plan.experiment.name,
            owner=plan.experiment.owner,
            duration=around.lease,
        )
        self.watchdog: Watch | None = None
        self.freezes = FreezeWatch(around.place.mesh, around.clock, plan.experiment.namespaces)
        self.targets: TargetWatch | None = None
        self.followed: Informer | None = None
        """The VirtualServices, from the baseline on."""
        self.routes: RouteWatch | None = None
        self.newcomers = Newcomers(around.place.mesh, around.clock)
        self.standing = Standing(now=self.now())
        """What the last look said."""
        self.failed = False
        """Whether a violation has ended the fault."""

    @property
    def plan(self) -> Plan:
        """The plan as it stands; callers may be known better after the baseline."""
        return self.recorder.facts.plan

    def now(self) -> float:
        """Unix seconds on Prometheus' clock."""
        return self.clock.now() + self.recorder.clock_offset

    # --- the look --------------------------------------------------------------------------------------------------

    def until(self, limit: float, decided: Callable[[Standing], bool], *, pause: float = TICK) -> bool:
        """Looks until something is decided, the limit is reached or the run must stop; whether it was decided.

        Raises:
            Halt: a guardrail tripped, or a caller that was not declared felt the fault.
        """
        until = self.now() + limit
        while True:
            standing = self.look()
            if self.around.stop or self.recorder.troubles:
                return False
            if decided(standing):
                return True
            self._guard(standing)
            if standing.now >= until:
                return False
            self.clock.sleep(pause)

    def until_counted(self, limit: float, decided: Callable[[Standing], bool]) -> bool:
        """Like ``until``, and longer by the time by which the deciding samples come late.

        Raises:
            Halt: as ``until``.
        """
        end = self.now() + limit
        while not self.until(end + self.late - self.now(), decided):
            if self.around.stop or self.recorder.troubles or self.now() >= end + self.late:
                return False
        return True

    @property
    def late(self) -> float:
        """Seconds by which samples come late; as long as none came since the load began, the longest that a run waits for."""
        facts = self.recorder.facts
        newest = max((times[-1] for times in facts.evidence.scrapes.values()), default=0.0)
        return facts.environment.lag if newest > facts.marks.get(Mark.LOAD_STARTED, 0.0) else _LATEST

    def look(self) -> Standing:
        """One look: reads everything outside, and judges once."""
        now = self.now()
        self._follow_routes()
        self.observer.look(now)
        self._meet_callers(now)
        phase = self.recorder.phase or PhaseName.LOCK
        if phase in (PhaseName.INJECT, PhaseName.PROVE, PhaseName.OBSERVE):
            self._check_target()
        self.standing = standing = stand(self.recorder.facts, phase, now)
        progress = progress_of(self.recorder.facts, phase, standing)
        self.tell(lambda listener: listener.progress(deepcopy(progress)))  # what a listener does to it changes no fact
        return standing

    def _follow_routes(self) -> None:
        """Counts where routes have begun to send requests, too."""
        if self.routes is None:
            return
        for one in self.routes.look(self.recorder.clock_offset):
            self.recorder.lead([one])
            self.event(events.RoutesChanged(at=self.now(), host=one.host, destination=one.destination))

    def aside(self, call: Callable[[], T]) -> T:
        """The value of a call that may hang. It runs in a thread of its own, so that the run goes on guarding its fault.

        What the call gives after the run was stopped is not looked at.

        Raises:
            Halt: the run must stop: see `stop_if_asked` and `until`.
        """
        made = Beside(self.clock, call)
        looked = self.now()
        while not made.done:
            self.stop_if_asked()
            if Mark.INJECT_SENT in self.recorder.marks and self.now() - looked >= TICK:
                looked = self.now()
                self._guard(self.look())
            self.clock.sleep(POLL)
        return made.result()

    def _meet_callers(self, now: float) -> None:
        """A workload with the labels of the declared callers is one of them, whenever it came."""
        facts = self.recorder.facts
        facts.unclear = [name for one, name in newcomers(facts, now) if self.newcomers.is_unclear(one, name)]
        for number, one in enumerate(facts.plan.injections):
            for caller in self.newcomers.declared(one):
                found = list(facts.plan.injections)
                found[number] = found[number].model_copy(update={"callers": (*found[number].callers, caller)})
                facts.plan = facts.plan.model_copy(update={"injections": tuple(found)})
                name = f"{caller.namespace}/{caller.workload}"
                self.event(events.CallerJoined(at=now, caller=name, target=str(one.target)))

    def _guard(self, standing: Standing) -> None:
        if standing.proof is not None and standing.proof.outside:
            self.event(events.OutsideScope(at=standing.now, callers=standing.proof.outside))
        elif standing.tripped is not None:
            self.event(events.GuardrailTripped(at=standing.now, title=standing.tripped.title))
        else:
            return
        self.mark(Mark.FAULT_FROM, standing.now)
        self.decided("fault")
        raise Halt

    def decided(self, phase: Phase) -> None:
        """The last look has ended a phase, which is judged by what is known now."""
        standing = self.standing
        self.recorder.decide(phase, standing.now)
        violated = standing.answer is not None and standing.answer.answer is Answer.VIOLATED
        self.failed |= phase == "fault" and (violated or standing.tripped is not None)

    def _check_target(self) -> None:
        found = self.targets.look() if self.targets is not None else None
        if frozen := self.freezes.look():
            self.trouble(TroubleKind.FROZEN, frozen)
        elif found is not None and found.trouble is not None:
            self.trouble(found.trouble, found.message)
        elif found is not None and found.message:
            self.event(events.ApiSilent(at=self.now(), answer=found.message))
        elif lost := self.leases.lost:
            self.trouble(TroubleKind.TARGET_CHANGED, lost)

    def asked(self) -> ProxySeen | None:
        """Notes the answers of the callers' proxies; ``None`` until all have answered; an answer of no proxy if they can't be asked."""
        seen = self.proxies.look(self.recorder.clock_offset)
        if seen is not None:
            self.recorder.proxies.append(seen)
        return seen

    def wait(self, seconds: float) -> None:
        """Lets time pass, unless the run is asked to stop."""
        until = self.now() + seconds
        while self.now() < until and not self.around.stop:
            self.clock.sleep(min(0.2, max(0.0, until - self.now())))

    def stop_if_asked(self) -> None:
        """Goes no further where somebody asked for the end, or where something keeps the run from its answer.

        Raises:
            Halt: so it is.
        """
        if self.around.stop:
            self.trouble(TroubleKind.INTERRUPTED, self.around.stop.why)
        if self.recorder.troubles:
            raise Halt

    # --- what is noted and told ------------------------------------------------------------------------------------

    def enter(self, phase: PhaseName) -> None:
        """A phase begins."""
        now = self.now()
        self.recorder.enter(phase, now)
        self.tell(lambda listener: listener.phase(self.plan.run, phase, now))

    def mark(self, mark: Mark, at: float | None = None) -> None:
        """Notes a moment: this one, or another; only the first time counts."""
        self.recorder.mark(mark, self.now() if at is None else at)

    def event(self, event: events.AnyEvent) -> None:
        """Something happened."""
        self.recorder.events.append(event)
        shown = event.model_copy(deep=True)  # what a listener does to it changes no fact
        self.tell(lambda listener: listener.event(self.plan.run, shown))

    def trouble(self, kind: TroubleKind, message: str, *, hint: str | None = None) -> None:
        """Something keeps the run from its answer."""
        self.recorder.trouble(self.now(), kind, message, hint=hint)
        self.event(events.Troubled(at=self.now(), trouble=kind, message=message))

    def note(self, error: HarnessError) -> None:
        """An error became trouble of its kind."""
        known = ((MeshError, TroubleKind.MESH_LOST), (LoadError, TroubleKind.LOAD_DIED))
        kind = next((kind for cause, kind in known if isinstance(error, cause)), TroubleKind.BROKEN)
        asked = "a request to the Kubernetes API failed: " if kind is TroubleKind.MESH_LOST else ""
        self.trouble(kind, f"{asked}{error.message}", hint=error.hint)

    def tell(self, call: Callable[[Listener], None]) -> None:
        """Tells the listeners; one that fails is dropped, and never changes the run."""
        for listener, why in self.around.listeners.tell(call):
            self.recorder.events.append(events.ListenerDropped(at=self.now(), listener=listener, why=why))


def progress_of(facts: Facts, phase: PhaseName, standing: Standing) -> Progress:
    """The current state of the phase."""
    seconds = facts.evidence.load.seconds[-4:-1]
    answered = sum(second.answered for second in seconds)
    return Progress(
        run=facts.plan.run,
        experiment=facts.experiment.name,
        phase=phase,
        elapsed=standing.now - facts.started,
        rate=answered / len(seconds) if seconds else None,
        expectations=standing.expectations,
        wait=standing.wait,
        proof=standing.proof if phase is PhaseName.OBSERVE else None,
    )
