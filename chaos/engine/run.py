"""One run: lock → baseline → inject → prove → observe → restore → recover → release.

``restore`` and ``release`` happen on every way out, in a scope of their own. Signals are noted and looked at between
steps, so that none of them can break into a write or a clean-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chaos import judge
from chaos.engine.injecting import Injector, Overtaken
from chaos.engine.observer import Observer
from chaos.engine.progress import progress_of
from chaos.engine.proxies import PATIENCE, Proxies
from chaos.engine.recorder import Recorder
from chaos.engine.rejections import not_distributed, rejected_since
from chaos.engine.surroundings import Surroundings, Watch
from chaos.engine.target import TargetWatch
from chaos.errors import HarnessError, LoadError, MeshError
from chaos.judge import Standing, stand
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.history import History, Mark, PhaseName, ProxySeen
from chaos.model.marks import RUN_HEADER
from chaos.model.plan import Plan
from chaos.model.situation import Situation
from chaos.ports import Listener
from chaos.safety import residue
from chaos.safety.lease import Held
from chaos.safety.lock import Locked, acquire
from chaos.safety.removal import announce
from chaos.safety.retry import persist
from chaos.values.answers import Answer

TICK: Final = 0.5
"""Seconds between two looks."""
_QUICK: Final = 0.1
"""Seconds between two looks while the proxies' configuration changes."""
WARM_UP: Final = 1.0
"""Seconds of load that no claim counts: connections are opened, code is loaded."""
_DISTRIBUTION: Final = 30.0
"""Seconds within which every caller's proxy must have the fault."""
_FIRST_CALL: Final = 5
"""Scrape intervals of baseline within which a call of the target must have been counted."""
_TURN: Final = 1.0
"""Seconds between two tries to get a target that another run holds."""
_OVERTAKEN: Final = 3
"""Attempts to put the fault into an object that others write meanwhile."""
_RELEASE: Final = 15.0
"""Seconds within which the lease must be given back, or the watchdog takes over."""


class _Halt(Exception):
    """The run goes no further; restore now."""


class Run:
    """Runs one allowed plan once.

    Args:
        plan: What to do; must be allowed.
        around: The outside.
    """

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        if plan.injection is None or not plan.allowed:
            raise ValueError("only an allowed plan can be run")
        self._around, self._place = around, around.place
        self._clock = around.clock
        offset = self._clock_offset()
        self.recorder = Recorder(
            plan, around.place.environment, clock_offset=offset, started=self._clock.now() + offset
        )
        self._observer = Observer(self.recorder, around.place.metrics, around.load)
        self._injector = Injector(around.place.mesh, plan.injection, plan.run, around.clock)
        self._proxies = Proxies(around.place.mesh, around.clock, plan)
        self._lease: Held | None = None
        self._watch: Watch | None = None
        self._target: TargetWatch | None = None
        self._situation: Situation | None = None

    # --- the run ---------------------------------------------------------------------------------------------------

    def execute(self) -> History:
        """Runs all phases and returns what happened; whatever happens, the fault is taken away first."""
        self._tell(lambda listener: listener.started(self.plan))
        try:
            try:
                self._lock()
                self._baseline()
                self._inject()
                self._prove()
                self._observe()
            except _Halt:
                pass
            except HarnessError as error:
                self._note(error)
            except Exception as error:  # noqa: BLE001 - the engine's edge: a bug of ours must not leave a fault behind
                self._trouble(TroubleKind.BROKEN, f"{type(error).__name__}: {error}")
            except BaseException:
                self._trouble(TroubleKind.INTERRUPTED, "broken off from outside")
                raise
            finally:
                with self._around.stop.shield():
                    self._restore()
            try:
                self._await_removal()
                self._give_back()
                self._recover()
            except HarnessError as error:
                self._note(error)
        finally:
            with self._around.stop.shield():
                self._release()
        return self.recorder.history()

    @property
    def plan(self) -> Plan:
        """The plan as it stands; callers may be known better after the baseline."""
        return self.recorder.facts.plan

    def _now(self) -> float:
        return self._clock.now() + self.recorder.clock_offset

    def _clock_offset(self) -> float:
        before = self._clock.now()
        theirs = self._place.metrics.now()
        return theirs - (before + self._clock.now()) / 2

    # --- phases ----------------------------------------------------------------------------------------------------

    def _lock(self) -> None:
        self._enter(PhaseName.LOCK)
        target = self.plan.experiment.target
        self._watch = self._around.watch(self.plan)
        self._around.load.prepare(
            self.plan.experiment.load,
            entry=self._place.environment.entry,
            headers={RUN_HEADER: self.plan.run},
            base=self._around.base,
        )
        until = self._now() + self._around.patience
        while self._lease is None:
            try:
                self._lease = acquire(
                    self._place.mesh,
                    namespace=target.namespace,
                    service=target.service,
                    run=self.plan.run,
                    experiment=self.plan.experiment.name,
                    owner=self.plan.experiment.owner,
                    duration=self._around.lease,
                    sleep=self._clock.sleep,
                )
            except Locked as error:
                self._stop_if_asked()
                if self._now() >= until:
                    self._trouble(TroubleKind.LOCKED, error.message, hint=error.hint)
                    raise _Halt from error
                self._clock.sleep(_TURN)
        self._event(events.Locked(at=self._now(), namespace=target.namespace, service=target.service))

    def _baseline(self) -> None:
        self._enter(PhaseName.BASELINE)
        self._around.load.start()
        self._observer.loading = True
        self._mark(Mark.LOAD_STARTED)
        self._wait(WARM_UP)
        self._mark(Mark.BASELINE_FROM)
        limits = self.plan.experiment.limits
        self._until(limits.baseline.total_seconds(), self._steady_and_called)
        standing = self._look()
        self._mark(Mark.BASELINE_UNTIL, standing.now)
        self._stop_if_asked()
        facts, steady = self.recorder.facts, standing.answer.answer if standing.answer else Answer.UNDECIDED
        if steady is not Answer.HOLDS:
            self._event(events.NotSteady(at=standing.now, answer=steady))
            raise _Halt
        foreign = judge.faults_before(facts, standing.now)
        if foreign:
            self._event(events.ForeignFault(at=standing.now, count=foreign))
            raise _Halt
        if judge.judge_callers(facts) is not None:
            self._event(events.NoCallers(at=standing.now))
            raise _Halt

    def _steady_and_called(self, standing: Standing) -> bool:
        """The baseline's question is answered; a quick answer waits a few scrapes for the first call to be counted."""
        if not standing.done or standing.answer is None or standing.answer.answer is not Answer.HOLDS:
            return standing.done
        facts = self.recorder.facts
        waited = standing.now - facts.marks[Mark.BASELINE_FROM]
        return judge.judge_callers(facts) is None or waited > _FIRST_CALL * facts.environment.scrape_interval

    def _inject(self) -> None:
        self._enter(PhaseName.INJECT)
        for _ in range(_OVERTAKEN):
            fresh = self._planned_again()
            self.recorder.facts.plan = self.plan.model_copy(update={"callers": fresh.callers or self.plan.callers})
            assert fresh.injection is not None  # noqa: S101 - _planned_again has seen to it
            self._injector.injection = fresh.injection
            if self._lease is None or self._lease.check():
                self._trouble(TroubleKind.TARGET_CHANGED, f"the lease was lost: {self._lease and self._lease.lost}")
            self._stop_if_asked()
            self._mark(Mark.INJECT_SENT)
            try:
                written = self._injector.write(owner=self._lease.obj if self._lease else None)
            except Overtaken as error:
                self._event(events.Overtaken(at=self._now(), answer=error.args[0]))
                continue
            made, now = fresh.injection, self._now()
            self._mark(Mark.INJECTED, now)
            self._event(events.Injected(at=now, strategy=made.strategy, stored=written))
            message = f"run {self.plan.run} ({self.plan.experiment.name}) injects a fault"
            announce(self._place.mesh, written, reason="ChaosFaultStarted", message=message, warning=True)
            self._planned_again()  # see there: what a write can't be tied to is looked at once more
            assert self._situation is not None  # noqa: S101 - _planned_again has seen to it
            self._target = TargetWatch(self._place.mesh, self._clock, self.plan, self._situation, written)
            return
        self._trouble(
            TroubleKind.TARGET_CHANGED, f"somebody wrote the target's VirtualService {_OVERTAKEN} times in a row"
        )
        raise _Halt

    def _planned_again(self) -> Plan:
        """The plan by what is live now: every rule is asked again, and what would be written must be the same.

        Asked right before the write, and right after it. A change carries the version of the object that was checked; but
        Kubernetes ties no write to other objects, so what changed in the moment between is seen by the second look, and
        the fault, which that looks past, is taken away again.
        """
        plan = self.plan
        self._situation = self._place.look(plan.experiment)
        assert plan.injection is not None  # noqa: S101 - __init__ has seen to it
        fresh = self._place.decide(
            plan.experiment, self._situation, run=plan.run, file=plan.file, declared=plan.declared
        )
        if fresh.refusals:
            self._trouble(TroubleKind.TARGET_CHANGED, f"a staging rule says no now: {fresh.refusals[0].message}")
            raise _Halt
        if fresh.injection is None or fresh.injection.after["spec"] != plan.injection.after["spec"]:
            self._trouble(TroubleKind.TARGET_CHANGED, "the target's VirtualServices changed between plan and injection")
            raise _Halt
        return fresh

    def _prove(self) -> None:
        self._enter(PhaseName.PROVE)
        self._proxies = Proxies(self._place.mesh, self._clock, self.plan)
        reached = self._until(_DISTRIBUTION, self._distributed, pause=_QUICK)
        self._stop_if_asked()
        if not reached and self._look().tripped is None:
            rejected = rejected_since(self._place.metrics, self.recorder.marks[Mark.INJECT_SENT])
            message, hint = not_distributed(_DISTRIBUTION, rejected)
            self._trouble(TroubleKind.NOT_DISTRIBUTED, message, hint=hint)
            raise _Halt
        self._mark(Mark.FAULT_FROM)

    def _observe(self) -> None:
        self._enter(PhaseName.OBSERVE)
        limit = self.plan.experiment.limits.fault.total_seconds()
        self._until(limit, lambda standing: standing.done)
        self._stop_if_asked()

    def _restore(self) -> None:
        if not self._injector.attempted:
            return
        if self._target is not None:
            self._target.stop()
        self._mark(Mark.RESTORE_SENT)
        self._enter(PhaseName.RESTORE)
        if left := self._injector.remove(said=self._retried):
            self._trouble(TroubleKind.MESH_LOST, f"the fault could not be removed: {left}")
            return
        self._mark(Mark.RESTORED)
        made = self._injector
        self._event(events.Restored(at=self._now(), strategy=made.injection.strategy, exact=made.exact))
        message = f"run {self.plan.run} removed its fault"
        announce(self._place.mesh, made.written or made.injection.after, reason="ChaosFaultEnded", message=message)

    def _give_back(self) -> None:
        """One attempt, after the proxies have lost the fault, which is measured; the release goes on until it is done."""
        if left := self._injector.give_back(said=self._retried):
            self._event(events.Ownership(at=self._now(), left=left))

    def _await_removal(self) -> None:
        """Waits until no caller's proxy has the fault any more, whatever ended the run but a wish to stop it."""
        if Mark.INJECTED not in self.recorder.marks or Mark.RESTORED not in self.recorder.marks:
            return
        self._proxies = Proxies(self._place.mesh, self._clock, self.plan)
        until = self._now() + self.plan.experiment.limits.removal.total_seconds() + PATIENCE
        looked = 0.0
        while not self._around.stop and self._now() < until and not self._lost():
            self._clock.sleep(_QUICK)
            if self._now() - looked >= TICK:
                looked = self._now()
                removal = self._look().removal
                if removal is not None and removal.answer is Answer.VIOLATED:
                    break
        if self._around.stop:
            self._event(events.RemovalNotAwaited(at=self._now()))

    def _lost(self) -> bool:
        """Whether no caller's proxy has the fault any more, or none can be asked: then the counted faults tell."""
        seen = self._asked()
        if seen is None or seen.having:
            return False
        if seen.of:
            self._event(events.Gone(at=self._now(), asked=seen.of))
        else:
            self._event(events.ProxiesSilent(at=self._now()))
        return True

    def _recover(self) -> None:
        fault_was_active = Mark.FAULT_FROM in self.recorder.marks and Mark.RESTORED in self.recorder.marks
        if not fault_was_active or self._around.stop:
            return
        self._enter(PhaseName.RECOVER)
        experiment = self.plan.experiment
        limits = experiment.limits
        limit = (experiment.recovery.within + limits.baseline + limits.removal).total_seconds()
        now = self._look().now
        self._until(limit + judge.drain(self.recorder.facts, now), lambda standing: standing.done)

    def _release(self) -> None:
        self._enter(PhaseName.RELEASE)
        if Mark.LOAD_STARTED in self.recorder.marks:
            self._observer.look(self._now())
            self._observer.loading = False
        try:
            self._around.load.stop()
        except LoadError as error:
            self._note(error)
        if Mark.LOAD_STARTED in self.recorder.marks:
            self._mark(Mark.LOAD_STOPPED)
        self._let_go()
        now = self._now()
        self.recorder.leave(now)
        self.recorder.ended = now

    def _let_go(self) -> None:
        """Gives the lease back once nothing is left; else somebody else has to clean up, and the lease tells them."""
        self._give_back()
        persist(self._hand_back, clock=self._clock, deadline=_RELEASE, pause=TICK, said=self._not_released)
        if self._lease is not None:
            self._lease.stop()
        if self._watch is not None and not self.recorder.residue and not self._injector.unaccounted:
            self._watch.release()
        elif self._watch is not None:
            self._watch.abandon()

    def _hand_back(self) -> str:
        """One attempt to see that the fault is gone, and to give the lease back: what is wrong, noted as residue too."""
        try:
            left = self._left()
        except MeshError as error:
            unknown = error.message
        except Exception as error:  # noqa: BLE001 - else nobody would be told to take over
            unknown = f"{type(error).__name__}: {error}"
        else:
            self.recorder.residue = tuple(left)
            return f"left: {', '.join(left)}" if left else ""
        touched = self._injector.attempted or self._lease is not None
        self.recorder.residue = (f"not known: {unknown}",) if touched else ()
        return unknown

    def _left(self) -> list[str]:
        namespaces = (self.plan.experiment.target.namespace,)
        left = residue.find(self._place.mesh, namespaces, self.plan.run, faults_only=True)
        left = left or self._injector.leftover()
        if left:
            self._injector.remove(said=self._retried, deadline=0)
            self._give_back()
            return left
        if self._lease is not None:
            self._lease.release()
        return residue.find(self._place.mesh, namespaces, self.plan.run)

    # --- the tick --------------------------------------------------------------------------------------------------

    def _until(self, limit: float, decided: Callable[[Standing], bool], *, pause: float = TICK) -> bool:
        """Looks until something is decided, the limit is reached or the run must stop; whether it was decided."""
        until = self._now() + limit
        while True:
            standing = self._look()
            if self._around.stop or self.recorder.troubles:
                return False
            if decided(standing):
                return True
            self._guard(standing)
            if standing.now >= until:
                return False
            self._clock.sleep(pause)

    def _look(self) -> Standing:
        """One tick: everything outside is looked at, and judged once."""
        now = self._now()
        self._observer.look(now)
        phase = self.recorder.phase or PhaseName.LOCK
        if phase in (PhaseName.PROVE, PhaseName.OBSERVE):
            self._check_target()
        standing = stand(self.recorder.facts, phase, now)
        progress = progress_of(self.recorder.facts, phase, standing)
        self._tell(lambda listener: listener.progress(progress))
        return standing

    def _guard(self, standing: Standing) -> None:
        """Ends the run where a guardrail tripped, or where somebody undeclared feels the fault."""
        if standing.proof is not None and standing.proof.outside:
            self._event(events.OutsideScope(at=standing.now, callers=tuple(standing.proof.outside)))
        elif standing.tripped is not None:
            self._event(events.GuardrailTripped(at=standing.now, title=standing.tripped.title))
        else:
            return
        self._mark(Mark.FAULT_FROM)
        raise _Halt

    def _distributed(self, standing: Standing) -> bool:
        """Whether every caller's proxy has the injected route; by the counts where proxies can't be asked."""
        seen = self._asked()
        if seen is not None and seen.of:
            return seen.having == seen.of
        if not self._proxies.silent:
            return False
        counted = standing.proof.by_caller if standing.proof else {}
        wanted = {f"{caller.namespace}/{caller.workload}" for caller in self.plan.callers}
        return bool(counted) and wanted <= {caller for caller, count in counted.items() if count}

    def _asked(self) -> ProxySeen | None:
        """What the callers' proxies said, noted; ``None`` until all have; of none where they can't be asked."""
        seen = self._proxies.look(self.recorder.clock_offset)
        if seen is not None:
            self.recorder.proxies.append(seen)
        return seen

    def _check_target(self) -> None:
        """Ends the run where the fault is no longer what was planned, or no longer ours."""
        found = self._target.look() if self._target is not None else None
        if found is not None and found.trouble is not None:
            self._trouble(found.trouble, found.message)
        elif found is not None and found.message:
            self._event(events.ApiSilent(at=self._now(), answer=found.message))
        elif self._lease is not None and self._lease.lost:
            self._trouble(TroubleKind.TARGET_CHANGED, f"the lease was lost: {self._lease.lost}")

    # --- small things ----------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        until = self._now() + seconds
        while self._now() < until and not self._around.stop:
            self._clock.sleep(min(0.2, max(0.0, until - self._now())))

    def _stop_if_asked(self) -> None:
        if self._around.stop:
            self._trouble(TroubleKind.INTERRUPTED, self._around.stop.why)
        if self.recorder.troubles:
            raise _Halt

    def _note(self, error: HarnessError) -> None:
        known = ((MeshError, TroubleKind.MESH_LOST), (LoadError, TroubleKind.LOAD_DIED))
        kind = next((kind for cause, kind in known if isinstance(error, cause)), TroubleKind.BROKEN)
        self._trouble(kind, error.message, hint=error.hint)

    def _enter(self, phase: PhaseName) -> None:
        now = self._now()
        self.recorder.enter(phase, now)
        self._tell(lambda listener: listener.phase(self.plan.run, phase, now))

    def _mark(self, mark: Mark, at: float | None = None) -> None:
        self.recorder.mark(mark, self._now() if at is None else at)

    def _trouble(self, kind: TroubleKind, message: str, *, hint: str | None = None) -> None:
        self.recorder.trouble(self._now(), kind, message, hint=hint)
        self._event(events.Troubled(at=self._now(), trouble=kind, message=message))

    def _retried(self, why: str) -> None:
        self._event(events.RestoreRetried(at=self._now(), why=why))

    def _not_released(self, why: str) -> None:
        self._event(events.ReleaseRetried(at=self._now(), why=why))

    def _event(self, event: events.AnyEvent) -> None:
        self.recorder.events.append(event)
        self._tell(lambda listener: listener.event(self.plan.run, event))

    def _tell(self, call: Callable[[Listener], None]) -> None:
        for listener, why in self._around.listeners.tell(call):
            self.recorder.events.append(events.ListenerDropped(at=self._now(), listener=listener, why=why))
