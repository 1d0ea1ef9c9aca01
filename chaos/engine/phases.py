"""The phases of a run up to what it wants to know: lock, baseline, inject, prove, observe; and recover.

A phase that finds that the run can't go on records why and raises ``Halt``; restoring is not its task.
"""

from __future__ import annotations

from typing import Final

from chaos import judge
from chaos.engine.entering import look_at_entry
from chaos.engine.injecting import Overtaken
from chaos.engine.live import Halt, Live
from chaos.engine.proxies import Proxies
from chaos.engine.rejections import not_distributed, rejected_since
from chaos.engine.target import TargetWatch
from chaos.judge import Standing
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.history import Mark, PhaseName
from chaos.model.marks import RUN_HEADER
from chaos.model.plan import Plan
from chaos.model.situation import Situation
from chaos.safety.lock import Locked, acquire
from chaos.safety.removal import announce
from chaos.values.answers import Answer

QUICK: Final = 0.1
"""Seconds between two looks while the proxies' configuration changes."""
WARM_UP: Final = 1.0
"""Seconds of load that no expectation counts: connections are opened, code is loaded."""
_DISTRIBUTION: Final = 30.0
"""Seconds within which every caller's proxy must have the fault."""
_FIRST_CALL: Final = 5
"""Scrape intervals of baseline within which a call of the target must have been counted."""
_TURN: Final = 1.0
"""Seconds between two tries to get a target that another run holds."""
_OVERTAKEN: Final = 3
"""Attempts to put the fault into an object that others write meanwhile."""


def lock(live: Live) -> None:
    """Looks at the entry, starts what cleans up when this process is killed, gets the load ready, and takes the target's lease."""
    live.enter(PhaseName.LOCK)
    look_at_entry(live)
    around, plan = live.around, live.plan
    target = plan.experiment.target
    live.watchdog = around.watch(plan)
    around.load.prepare(
        plan.experiment.load,
        entry=live.place.environment.entry,
        headers={RUN_HEADER: plan.run},
        base=around.base,
        markers=judge.looked_for(plan),
    )
    until = live.now() + around.wait
    while live.lease is None:
        try:
            live.lease = acquire(
                live.place.mesh,
                namespace=target.namespace,
                service=target.service,
                run=plan.run,
                experiment=plan.experiment.name,
                owner=plan.experiment.owner,
                duration=around.lease,
                sleep=live.clock.sleep,
            )
        except Locked as error:
            live.stop_if_asked()
            if live.now() >= until:
                live.trouble(TroubleKind.LOCKED, error.message, hint=error.hint)
                raise Halt from error
            live.clock.sleep(_TURN)
    live.event(events.Locked(at=live.now(), namespace=target.namespace, service=target.service))


def baseline(live: Live) -> None:
    """Sends load, and sees that the steady state holds, that the target is called and that nobody faults it yet."""
    live.enter(PhaseName.BASELINE)
    live.around.load.start()
    live.observer.loading = True
    live.mark(Mark.LOAD_STARTED)
    live.wait(WARM_UP)
    live.mark(Mark.BASELINE_FROM)
    live.until(
        live.plan.experiment.limits.baseline.total_seconds(), lambda standing: _steady_and_called(live, standing)
    )
    standing, facts = live.look(), live.recorder.facts
    now = standing.now
    live.mark(Mark.BASELINE_UNTIL, now)
    live.stop_if_asked()
    steady = standing.answer.answer if standing.answer else Answer.UNDECIDED
    if steady is not Answer.HOLDS:
        live.event(events.NotSteady(at=now, answer=steady))
        raise Halt
    if foreign := judge.faults_before(facts, now):
        live.event(events.ForeignFault(at=now, count=foreign))
        raise Halt
    if judge.judge_callers(facts) is not None:
        live.event(events.NoCallers(at=now))
        raise Halt


def _steady_and_called(live: Live, standing: Standing) -> bool:
    """The baseline's question is answered; a quick answer waits a few scrapes for the first call to be counted."""
    if not standing.done or standing.answer is None or standing.answer.answer is not Answer.HOLDS:
        return standing.done
    facts = live.recorder.facts
    waited = standing.now - facts.marks[Mark.BASELINE_FROM]
    return judge.judge_callers(facts) is None or waited > _FIRST_CALL * facts.environment.scrape_interval


def inject(live: Live) -> None:
    """Writes the fault, by what is live at that moment, and watches the target from then on."""
    live.enter(PhaseName.INJECT)
    mesh = live.place.mesh
    for _ in range(_OVERTAKEN):
        fresh, _ = _planned_again(live)
        assert fresh.injection is not None  # noqa: S101 - _planned_again has seen to it
        live.recorder.facts.plan = live.plan.model_copy(update={"callers": fresh.callers or live.plan.callers})
        live.injector.injection = fresh.injection
        if live.lease is None or live.lease.check():
            live.trouble(TroubleKind.TARGET_CHANGED, f"the lease was lost: {live.lease and live.lease.lost}")
        live.stop_if_asked()
        live.mark(Mark.INJECT_SENT)
        try:
            written = live.injector.write(owner=live.lease.obj if live.lease else None)
        except Overtaken as error:
            live.event(events.Overtaken(at=live.now(), answer=error.args[0]))
            continue
        now = live.now()
        live.mark(Mark.INJECTED, now)
        live.event(events.Injected(at=now, strategy=fresh.injection.strategy, stored=written))
        message = f"run {live.plan.run} ({live.plan.experiment.name}) injects a fault"
        announce(mesh, written, reason="ChaosFaultStarted", message=message, warning=True)
        _, situation = _planned_again(live)  # see there: objects to which a write can't be tied are checked once more
        live.target = TargetWatch(mesh, live.clock, live.plan, situation, written)
        return
    live.trouble(TroubleKind.TARGET_CHANGED, f"somebody wrote the target's VirtualService {_OVERTAKEN} times in a row")
    raise Halt


def _planned_again(live: Live) -> tuple[Plan, Situation]:
    """The plan by what is live now: every rule is checked again, and the object to write must be the same.

    Checked right before the write, and right after it. A change carries the version of the object that was checked; but
    Kubernetes can't tie a write to other objects. If one of these changed in between, the second check sees it, and the
    run restores. The second check ignores the run's own fault.
    """
    plan = live.plan
    situation = live.place.look(plan.experiment)
    fresh = live.place.decide(plan.experiment, situation, run=plan.run, file=plan.file, declared=plan.declared)
    if fresh.refusals:
        live.trouble(TroubleKind.TARGET_CHANGED, f"a staging rule refuses it now: {fresh.refusals[0].message}")
        raise Halt
    assert plan.injection is not None  # noqa: S101 - only an allowed plan is run
    if fresh.injection is None or fresh.injection.after["spec"] != plan.injection.after["spec"]:
        live.trouble(TroubleKind.TARGET_CHANGED, "the target's VirtualServices changed between plan and injection")
        raise Halt
    return fresh, situation


def prove(live: Live) -> None:
    """Waits until every caller's proxy has the fault."""
    live.enter(PhaseName.PROVE)
    live.proxies = Proxies(live.place.mesh, live.clock, live.plan)
    reached = live.until(_DISTRIBUTION, lambda standing: _distributed(live, standing), pause=QUICK)
    live.stop_if_asked()
    if not reached and live.look().tripped is None:
        rejected = rejected_since(live.place.metrics, live.recorder.marks[Mark.INJECT_SENT])
        message, hint = not_distributed(_DISTRIBUTION, rejected)
        live.trouble(TroubleKind.NOT_DISTRIBUTED, message, hint=hint)
        raise Halt
    live.mark(Mark.FAULT_FROM)


def _distributed(live: Live, standing: Standing) -> bool:
    """Whether every caller's proxy has the injected route; by the counts where proxies can't be asked."""
    seen = live.asked()
    if seen is not None and seen.of:
        return seen.having == seen.of
    if not live.proxies.silent:
        return False
    counted = standing.proof.by_caller if standing.proof else {}
    wanted = {f"{caller.namespace}/{caller.workload}" for caller in live.plan.callers}
    return bool(counted) and wanted <= {caller for caller, count in counted.items() if count}


def observe(live: Live) -> None:
    """Looks until the expectations are decided, or the fault's time is over."""
    live.enter(PhaseName.OBSERVE)
    live.until(live.plan.experiment.limits.fault.total_seconds(), lambda standing: standing.done)
    live.stop_if_asked()


def recover(live: Live) -> None:
    """Looks until the steady state holds again, where a fault was active."""
    marks = live.recorder.marks
    if Mark.FAULT_FROM not in marks or Mark.RESTORED not in marks or live.around.stop:
        return
    live.enter(PhaseName.RECOVER)
    experiment = live.plan.experiment
    limits = experiment.limits
    limit = (experiment.recovery.within + experiment.stays_good_for + limits.baseline + limits.removal).total_seconds()
    limit += judge.drain(live.recorder.facts, live.look().now)
    live.until(limit, lambda standing: standing.done)
