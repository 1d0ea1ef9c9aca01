"""One run: lock → baseline → inject → prove → observe → restore → recover → release.

``restore`` and ``release`` happen on every way out, in a scope of their own. Signals are noted and looked at between
steps, so that none of them can break into a write or a clean-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from chaos import judge
from chaos.engine.clock import StopRequest
from chaos.engine.injecting import Injector
from chaos.engine.observer import Observer
from chaos.engine.planning import governing_now, look, make_plan
from chaos.engine.recorder import Recorder
from chaos.errors import HarnessError, LoadError, MeshError
from chaos.model.history import Environment, History, Mark, PhaseName, ProxySeen, TroubleKind
from chaos.model.marks import FROZEN, RUN_HEADER
from chaos.model.plan import Plan
from chaos.model.settings import Settings
from chaos.model.verdict import Answer, ClaimResult, Proof
from chaos.ports import Clock, Load, Mesh, Metrics, Progress, Sink
from chaos.safety import lease as leases
from chaos.safety import residue

TICK: Final = 0.5
"""Seconds between two looks."""
WARM_UP: Final = 1.0
"""Seconds of load that no claim counts: connections are opened, code is loaded."""
_DISTRIBUTION: Final = 30.0
"""Seconds within which every caller's proxy must have the fault."""
_FIRST_CALL: Final = 5
"""Scrape intervals of baseline within which a call of the target must have been counted."""
_TURN: Final = 1.0
"""Seconds between two tries to get a target that another run holds."""
_CHECK: Final = 2.0
"""Seconds between two looks at the target and the freeze switch."""


class Watch(Protocol):
    """Whoever cleans up when this process is killed."""

    def release(self) -> None:
        """All is clean: stop watching."""
        ...

    def abandon(self) -> None:
        """Something is left: take over."""
        ...


@dataclass
class Surroundings:
    """Everything outside that a run touches.

    Args:
        watch: Starts whoever cleans up when this process is killed; called before the first write.
        patience: Seconds for which a target that another run holds is waited for; 0: refuse at once.
        base: Folder of the experiment file; relative paths in it start there.
    """

    mesh: Mesh
    metrics: Metrics
    load: Load
    clock: Clock
    settings: Settings
    environment: Environment
    stop: StopRequest
    watch: Callable[[Plan], Watch]
    sinks: Sequence[Sink] = ()
    patience: float = 0.0
    base: Path = field(default_factory=Path)


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
        self._around = around
        self._clock = around.clock
        offset = self._clock_offset()
        self.recorder = Recorder(plan, around.environment, clock_offset=offset, started=self._clock.now() + offset)
        self._observer = Observer(plan, self.recorder, around.metrics, around.load)
        self._injector = Injector(around.mesh, plan.injection, around.clock)
        self._sinks = list(around.sinks)
        self._lease: leases.Held | None = None
        self._watch: Watch | None = None
        self._checked = 0.0

    # --- the run ---------------------------------------------------------------------------------------------------

    def execute(self) -> History:
        """Runs all phases and returns what happened; whatever happens, the fault is taken away first."""
        self._tell(lambda sink: sink.started(self.plan))
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
                self._restore()
            try:
                self._recover()
            except HarnessError as error:
                self._note(error)
        finally:
            self._release()
        return self.recorder.history()

    @property
    def plan(self) -> Plan:
        """The plan as it stands; callers may be known better after the baseline."""
        return self.recorder.plan

    def _now(self) -> float:
        return self._clock.now() + self.recorder.clock_offset

    def _clock_offset(self) -> float:
        before = self._clock.now()
        theirs = self._around.metrics.now()
        return theirs - (before + self._clock.now()) / 2

    # --- phases ----------------------------------------------------------------------------------------------------

    def _lock(self) -> None:
        self._enter(PhaseName.LOCK)
        target = self.plan.experiment.target
        self._watch = self._around.watch(self.plan)
        self._around.load.prepare(
            self.plan.experiment.load,
            entry=self._around.environment.entry,
            headers={RUN_HEADER: self.plan.run},
            base=self._around.base,
        )
        until = self._now() + self._around.patience
        while self._lease is None:
            try:
                self._lease = leases.acquire(
                    self._around.mesh,
                    namespace=target.namespace,
                    service=target.service,
                    run=self.plan.run,
                    experiment=self.plan.experiment.name,
                    owner=self.plan.experiment.owner,
                )
            except leases.Locked as error:
                self._stop_if_asked()
                if self._now() >= until:
                    self._trouble(TroubleKind.LOCKED, error.message, hint=error.hint)
                    raise _Halt from error
                self._clock.sleep(_TURN)
        self._event("locked", f"holding {target.namespace}/{target.service}")

    def _baseline(self) -> None:
        self._enter(PhaseName.BASELINE)
        self._around.load.start()
        self._observer.loading = True
        self._mark(Mark.LOAD_STARTED)
        self._wait(WARM_UP)
        self._mark(Mark.BASELINE_FROM)
        limits = self.plan.experiment.limits
        self._until(limits.baseline.total_seconds(), self._steady_and_called)
        history, now = self._look()
        self._mark(Mark.BASELINE_UNTIL, now)
        self._stop_if_asked()
        answer = judge.baseline_answer(history, now)
        if answer.answer is not Answer.HOLDS:
            self._event("not-steady", f"the steady state is {answer.answer} before the fault: nothing is injected")
            raise _Halt
        if judge.judge_callers(history) is not None:
            self._event("no-callers", "nobody whose proxy could inject calls the target: nothing is injected")
            raise _Halt

    def _steady_and_called(self, history: History, now: float) -> bool:
        """The baseline's question is answered; a quick answer waits a few scrapes for the first call to be counted."""
        answer = judge.baseline_answer(history, now)
        if not answer.done or answer.answer is not Answer.HOLDS:
            return answer.done
        waited = now - history.marks[Mark.BASELINE_FROM]
        return judge.judge_callers(history) is None or waited > _FIRST_CALL * history.environment.scrape_interval

    def _inject(self) -> None:
        self._enter(PhaseName.INJECT)
        plan = self.plan
        assert plan.injection is not None  # noqa: S101 - __init__ has seen to it
        fresh = make_plan(
            plan.experiment,
            look(self._around.mesh, self._around.metrics, plan.experiment, cluster=self._around.environment.cluster),
            self._around.settings,
            run=plan.run,
            now=self._clock.now(),
            file=plan.file,
            declared=plan.declared,
        )
        if fresh.refusals:
            self._trouble(TroubleKind.TARGET_CHANGED, f"a staging rule says no now: {fresh.refusals[0].message}")
            raise _Halt
        if fresh.injection is None or fresh.injection.after["spec"] != plan.injection.after["spec"]:
            self._trouble(TroubleKind.TARGET_CHANGED, "the target's VirtualServices changed between plan and injection")
            raise _Halt
        self.recorder.plan = plan.model_copy(update={"callers": fresh.callers or plan.callers})
        self._stop_if_asked()
        self._mark(Mark.INJECT_SENT)
        written = self._injector.write(owner=self._lease.obj if self._lease else None)
        self._mark(Mark.INJECTED)
        self._event("injected", f"{plan.injection.strategy}: {plan.injection.namespace}/{plan.injection.name}")
        self._post("ChaosFaultStarted", f"run {plan.run} ({plan.experiment.name}) injects a fault", written)

    def _prove(self) -> None:
        self._enter(PhaseName.PROVE)
        reached = self._until(_DISTRIBUTION, self._distributed, pause=0.1)
        self._stop_if_asked()
        if not reached and not judge.guardrail_tripped(*self._look()):
            self._trouble(
                TroubleKind.NOT_DISTRIBUTED,
                f"after {_DISTRIBUTION:g} s the callers' proxies do not have the fault",
                hint="is istiod up, and do the callers' proxies take its configuration? (istioctl proxy-status)",
            )
            raise _Halt
        self._mark(Mark.FAULT_FROM)

    def _observe(self) -> None:
        self._enter(PhaseName.OBSERVE)
        limit = self.plan.experiment.limits.fault.total_seconds()
        self._until(limit, lambda history, now: judge.fault_answer(history, now).done)
        self._stop_if_asked()

    def _restore(self) -> None:
        if not self._injector.attempted:
            return
        self._mark(Mark.RESTORE_SENT)
        self._enter(PhaseName.RESTORE)
        left = self._injector.remove(said=self._retried)
        if left is None:
            self._mark(Mark.RESTORED)
            self._event("restored", "the injected object is gone")
            self._post("ChaosFaultEnded", f"run {self.plan.run} removed its fault", None)
        else:
            self._trouble(TroubleKind.MESH_LOST, f"the fault could not be removed: {left}")

    def _recover(self) -> None:
        fault_was_active = Mark.FAULT_FROM in self.recorder.marks and Mark.RESTORED in self.recorder.marks
        if not fault_was_active or self._around.stop:
            return
        self._enter(PhaseName.RECOVER)
        experiment = self.plan.experiment
        limit = experiment.recovery.within.total_seconds() + experiment.limits.baseline.total_seconds()
        self._until(
            limit,
            lambda history, now: (
                judge.judge_recovery(history, now).answer is not Answer.UNDECIDED
                and judge.faults_after_restore(history, now).complete
            ),
        )

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
        target = self.plan.experiment.target
        clean = True
        try:
            left = residue.find(self._around.mesh, (target.namespace,), self.plan.run, faults_only=True)
            if not left and self._lease is not None:
                self._lease.release()
                left = residue.find(self._around.mesh, (target.namespace,), self.plan.run)
            clean = not left
            self.recorder.residue = tuple(left)
        except MeshError as error:
            clean = not self._injector.attempted and self._lease is None
            if not clean:
                self.recorder.residue = (f"not known: {error.message}",)
        finally:
            if self._lease is not None:
                self._lease.stop()
            if self._watch is not None and clean:
                self._watch.release()
            elif self._watch is not None:
                self._watch.abandon()

    # --- the tick --------------------------------------------------------------------------------------------------

    def _until(self, limit: float, decide: Callable[[History, float], bool], *, pause: float = TICK) -> bool:
        """Looks until something is decided, the limit is reached or the run must stop; whether it was decided."""
        until = self._now() + limit
        while True:
            history, now = self._look()
            if self._around.stop or self.recorder.troubles:
                return False
            if decide(history, now):
                return True
            if self._guardrail(history, now) or now >= until:
                return False
            self._clock.sleep(pause)

    def _look(self) -> tuple[History, float]:
        now = self._now()
        self._observer.look(now)
        if self.recorder.phase in (PhaseName.PROVE, PhaseName.OBSERVE) and now - self._checked >= _CHECK:
            self._checked = now
            self._check_target()
        history = self.recorder.history()
        self._show(history, now)
        return history, now

    def _guardrail(self, history: History, now: float) -> bool:
        if self.recorder.phase not in (PhaseName.PROVE, PhaseName.OBSERVE):
            return False
        outside = judge.judge_proof(history, now).outside
        tripped = judge.guardrail_tripped(history, now)
        if outside:
            self._event("guardrail", f"{', '.join(outside)} felt the fault undeclared: restoring at once")
        elif tripped is not None:
            self._event("guardrail", f"{tripped.title}: restoring at once")
        else:
            return False
        self._mark(Mark.FAULT_FROM)
        raise _Halt

    def _distributed(self, history: History, now: float) -> bool:
        """Whether every caller's proxy has the injected route; by the counts where proxies can't be asked."""
        pods = [(caller.namespace, pod) for caller in self.plan.callers for pod in caller.pods]
        routes = [self._around.mesh.routes_of_proxy(namespace, pod) for namespace, pod in pods]
        names = self.plan.injection.route_names if self.plan.injection else ()
        if pods and all(text is not None for text in routes):
            having = sum(any(f'"{name}"' in (text or "") for name in names) for text in routes)
            self.recorder.proxies.append(ProxySeen(at=self._now(), having=having, of=len(pods)))
            return having == len(pods)
        seen = judge.judge_proof(history, now).by_caller
        wanted = {f"{caller.namespace}/{caller.workload}" for caller in self.plan.callers}
        return bool(seen) and wanted <= {caller for caller, count in seen.items() if count}

    def _check_target(self) -> None:
        """The object is still ours and still governs, nobody froze the namespace, the lease is still held."""
        assert self.plan.injection is not None  # noqa: S101 - __init__ has seen to it
        namespace = self.plan.injection.namespace
        try:
            found = governing_now(self._around.mesh, self.plan)
            place = self._around.mesh.namespace(namespace)
        except MeshError as error:
            self._event("api-silent", error.message)
            return
        written = self._injector.written
        if found is None or written is None or found["metadata"].get("uid") != written["metadata"].get("uid"):
            self._trouble(TroubleKind.TARGET_CHANGED, "the injected object no longer governs the target")
        elif found.get("spec") != written.get("spec"):
            self._trouble(TroubleKind.TARGET_CHANGED, "somebody edited the injected object")
        elif place is None or FROZEN in (place["metadata"].get("annotations") or {}):
            self._trouble(TroubleKind.FROZEN, f"the namespace {namespace} was frozen")
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
        kind = TroubleKind.BROKEN
        if isinstance(error, MeshError):
            kind = TroubleKind.MESH_LOST
        elif isinstance(error, LoadError):
            kind = TroubleKind.LOAD_DIED
        self._trouble(kind, error.message, hint=error.hint)

    def _enter(self, phase: PhaseName) -> None:
        now = self._now()
        self.recorder.enter(phase, now)
        self._tell(lambda sink: sink.phase(self.plan.run, phase, now))

    def _mark(self, mark: Mark, at: float | None = None) -> None:
        self.recorder.mark(mark, self._now() if at is None else at)

    def _trouble(self, kind: TroubleKind, message: str, *, hint: str | None = None) -> None:
        self.recorder.trouble(self._now(), kind, message, hint=hint)
        self._event("trouble", f"{kind}: {message}")

    def _event(self, kind: str, message: str) -> None:
        event = self.recorder.event(self._now(), kind, message)
        self._tell(lambda sink: sink.event(self.plan.run, event))

    def _retried(self, trouble: str) -> None:
        self._event("restore-retried", trouble)

    def _post(self, reason: str, message: str, involved: object) -> None:
        """A Kubernetes Event for people who look at the target; the run does not depend on it."""
        target = self.plan.experiment.target
        try:
            services = self._around.mesh.services(target.namespace)
            service = next(s for s in services if s["metadata"]["name"] == target.service)
            self._around.mesh.record_event(service, reason=reason, message=message, warning=involved is not None)
        except (MeshError, StopIteration) as error:
            self._event("event-not-posted", str(error))

    def _show(self, history: History, now: float) -> None:
        claims: Sequence[ClaimResult] = ()
        proof: Proof | None = None
        phase = self.recorder.phase or PhaseName.LOCK
        if phase is PhaseName.BASELINE and Mark.BASELINE_FROM in history.marks:
            claims = judge.baseline_answer(history, now).claims
        elif phase is PhaseName.OBSERVE:
            answer = judge.fault_answer(history, now)
            claims, proof = answer.claims, answer.proof
        elif phase is PhaseName.RECOVER:
            claims = judge.judge_recovery(history, now).claims
        seconds = history.load[-4:-1]
        answered = sum(cell.count for second in seconds for cell in second.cells)
        shares = [claim.tally.share for claim in claims if claim.tally.share is not None]
        progress = Progress(
            run=self.plan.run,
            experiment=self.plan.experiment.name,
            phase=phase,
            elapsed=now - self.recorder.started,
            rate=answered / len(seconds) if seconds else None,
            good=min(shares, default=None),
            claims=claims,
            proof=proof,
        )
        self._tell(lambda sink: sink.progress(progress))

    def _tell(self, call: Callable[[Sink], None]) -> None:
        for sink in tuple(self._sinks):
            try:
                call(sink)
            except Exception as error:  # noqa: BLE001 - a listener must never change a run
                self._sinks.remove(sink)
                self.recorder.event(self._now(), "sink-dropped", f"{type(sink).__name__}: {error}")
