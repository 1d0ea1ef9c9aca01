"""The phases of a run up to what it wants to know: lock, baseline, inject, prove, observe; and recover.

A phase that finds that the run can't go on records why and raises ``Halt``; restoring is not its task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from chaos import judge
from chaos.engine.entering import look_at_entry
from chaos.engine.injecting import Injector, Overtaken
from chaos.engine.live import TICK, Halt, Live
from chaos.engine.proxies import Proxies
from chaos.engine.rejections import DISTRIBUTION, not_distributed, rejected_since
from chaos.engine.routes import RouteWatch
from chaos.engine.staging import Staging
from chaos.engine.target import TargetWatch, Watched
from chaos.errors import MetricsError
from chaos.istio.virtual_services import without_weights
from chaos.judge import Standing
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.history import Mark, PhaseName
from chaos.model.plan import Injection
from chaos.model.situation import Situation
from chaos.safety.lock import Locked
from chaos.safety.removal import announce
from chaos.values.answers import Answer
from chaos.values.held import Held

QUICK: Final = 0.1
"""Seconds between two looks while the proxies' configuration changes."""
WARM_UP: Final = 1.0
"""Seconds of load that no expectation counts: connections are opened, code is loaded."""
_FIRST_CALL: Final = 5
"""Scrape intervals of baseline within which a call of the target must have been counted."""
_CALM: Final = 2
"""Scrape intervals without a call of the target after which nobody calls it."""
_LISTEN: Final = 5
"""Scrape intervals for which the calls of others are counted."""
_TURN: Final = 1.0
"""Seconds between two tries to get a target that another run holds."""
_OVERTAKEN: Final = 3
"""Attempts to put the fault into an object that others write meanwhile."""


def lock(live: Live) -> None:
    """Looks at the entry, starts what cleans up when this process is killed, gets the load ready, and takes the targets' leases."""
    live.enter(PhaseName.LOCK)
    look_at_entry(live)
    around, plan = live.around, live.plan
    live.watchdog = around.watch(plan)
    around.prepare_load(plan)
    until = live.now() + around.wait
    while not live.leases:
        try:
            live.aside(partial(live.leases.take, sleep=live.clock.sleep))
        except Locked as error:
            live.stop_if_asked()
            if live.now() >= until:
                live.trouble(TroubleKind.LOCKED, error.message, hint=error.hint)
                raise Halt from error
            live.clock.sleep(_TURN)
    for one in plan.injections:
        live.event(events.Locked(at=live.now(), namespace=one.target.namespace, service=one.target.service))


def baseline(live: Live) -> None:
    """Sends load, and sees that the steady state holds, that the target is called and that nobody faults it yet."""
    live.enter(PhaseName.BASELINE)
    _follow_routes(live)
    _listen(live)
    live.around.load.start()
    live.observer.loading = True
    live.mark(Mark.LOAD_STARTED)
    live.wait(WARM_UP)
    live.mark(Mark.BASELINE_FROM)
    limit = live.plan.experiment.limits.baseline.total_seconds()
    live.until_counted(limit, lambda standing: _steady_and_called(live, standing))
    live.decided("baseline")  # also where it stays undecided: what the run does now rests on this look
    standing, facts = live.standing, live.recorder.facts
    now = standing.now
    live.mark(Mark.BASELINE_UNTIL, now)
    live.stop_if_asked()
    _look_at_samples(live)
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
    if (reason := next(judge.untested_before(facts), None)) is not None:
        live.event(events.NothingToTest(at=now, why=reason.message))
        raise Halt


def _look_at_samples(live: Live) -> None:
    """Looks whether the metrics show what the run is about; a mesh that was idle before told the plan nothing.

    Raises:
        Halt: the metrics lack something, or are too coarse.
    """
    facts, now = live.recorder.facts, live.now()
    try:
        held = live.aside(live.place.metrics.held)
    except MetricsError:
        held = Held(requests=False)  # a run does without, as long as it is told what it asks for
    interval = facts.environment.scrape_interval
    for one in (*judge.lacking(judge.needed(live.plan), held), *judge.too_coarse(facts.experiment, interval)):
        live.trouble(TroubleKind.METRICS_INCOMPLETE, one.message, hint=one.hint)
        raise Halt
    known = {warning.code for warning in live.plan.warnings}
    for remark in judge.remarks(judge.sampled(facts.evidence, now), interval):
        if remark.code not in known:
            live.event(events.MetricsNoted(at=now, text=remark.message))


def _follow_routes(live: Live) -> None:
    """From here on, destinations to which routes begin to send requests count, too."""
    place, experiment = live.place, live.plan.experiment
    live.followed = live.aside(place.mesh.follow_virtual_services)
    live.routes = RouteWatch(live.followed, live.clock, experiment, live.plan.led, partial(place.around, experiment))


def _listen(live: Live) -> None:
    """Learns whether others call the target, where faults of their requests could pass for the load's.

    The metrics know the time before the run. Where nobody called lately, there is nothing to wait for.
    """
    if not judge.must_listen(live.plan.experiment):
        return
    begun, facts = live.now(), live.recorder.facts
    while not live.around.stop:
        live.look()
        interval, known = facts.environment.scrape_interval, judge.counted_until(facts, live.now())
        calm = known - _CALM * interval
        if not judge.called_since(facts, calm):
            live.mark(Mark.LISTENED_FROM, calm)
            return
        if known - begun > _LISTEN * interval:
            live.mark(Mark.LISTENED_FROM, begun)
            return
        live.clock.sleep(TICK)


def _steady_and_called(live: Live, standing: Standing) -> bool:
    """The baseline's question is answered; a quick answer waits a few scrapes for the first call to be counted."""
    if not standing.done or standing.answer is None or standing.answer.answer is not Answer.HOLDS:
        return standing.done
    facts = live.recorder.facts
    waited = standing.now - facts.marks[Mark.BASELINE_FROM]
    return judge.judge_callers(facts) is None or waited > _FIRST_CALL * facts.environment.scrape_interval + live.late


def inject(live: Live) -> None:
    """Writes the faults, by what is live at that moment, and watches their targets from then on."""
    live.enter(PhaseName.INJECT)
    for _ in range(_OVERTAKEN):
        fresh, situations = _checked_again(live)
        live.recorder.facts.plan = live.plan.model_copy(update={"injections": tuple(fresh)})
        if lost := live.aside(live.leases.check):
            live.trouble(TroubleKind.TARGET_CHANGED, lost)
        live.stop_if_asked()
        try:
            for made, injection in zip(live.injectors, fresh, strict=True):
                if made.written is None:
                    _write(live, made, injection)
        except Overtaken as error:
            live.event(events.Overtaken(at=live.now(), answer=error.args[0]))
            continue
        # See there: what a write can't be tied to is checked once more.
        _, situations = _checked_again(live, situations)
        assert live.followed is not None  # noqa: S101 - since the baseline
        live.targets = TargetWatch(live.place.mesh, live.clock, list(_watched(live, situations)), live.followed)
        return
    live.trouble(TroubleKind.TARGET_CHANGED, f"somebody wrote a target's VirtualService {_OVERTAKEN} times in a row")
    raise Halt


def _watched(live: Live, situations: Sequence[Situation]) -> Iterator[Watched]:
    for one, situation, made in zip(live.plan.experiment.each(), situations, live.injectors, strict=True):
        assert made.written is not None  # noqa: S101 - all were just written
        yield Watched(one, situation, made.written)


def _write(live: Live, made: Injector, injection: Injection) -> None:
    made.injection = injection
    live.mark(Mark.INJECT_SENT)
    written = live.aside(partial(made.write, owner=live.leases.of(injection.target)))
    now = live.now()
    live.mark(Mark.INJECTED, now)
    live.event(events.Injected(at=now, strategy=injection.strategy, stored=written))
    message = f"run {live.plan.run} ({live.plan.experiment.name}) injects a fault"
    tell = partial(announce, live.place.mesh, written, reason="ChaosFaultStarted", message=message, warning=True)
    live.clock.beside(tell)


def _checked_again(
    live: Live, known: Sequence[Situation] | None = None
) -> tuple[Sequence[Injection], Sequence[Situation]]:
    """The injections by what is live now: every rule is checked again, and the objects to write must be the same, but for weights.

    Checked right before the writes, and right after them. A change carries the version of the object that was checked; but
    Kubernetes can't tie a write to other objects. If one of these changed in between, the second check sees it, and the
    run restores. The second check ignores the run's own faults, and takes from the first one who calls.
    """
    plan = live.plan
    again = partial(live.place.plan_again, plan, known=known, sleep=live.clock.sleep)
    fresh, situations = live.aside(again)
    if fresh.refusals:
        live.trouble(TroubleKind.TARGET_CHANGED, f"a staging rule refuses it now: {fresh.refusals[0].message}")
        raise Halt
    for now, before in zip(fresh.injections, plan.injections, strict=True):
        if [without_weights(one.after) for one in now.stages] != [without_weights(one.after) for one in before.stages]:
            live.trouble(TroubleKind.TARGET_CHANGED, "the target's VirtualServices changed between plan and injection")
            raise Halt
    injections = [
        now if now.callers else now.model_copy(update={"callers": before.callers})
        for now, before in zip(fresh.injections, plan.injections, strict=True)
    ]
    return injections, situations


def prove(live: Live) -> None:
    """Waits until every caller's proxy has the fault."""
    live.enter(PhaseName.PROVE)
    live.proxies = Proxies(live.place.mesh, live.clock, [one.stages[0] for one in live.plan.injections], every=True)
    reached = live.until(DISTRIBUTION, lambda standing: _distributed(live, standing), pause=QUICK)
    live.stop_if_asked()
    if not reached and live.look().tripped is None:
        since = live.recorder.marks[Mark.INJECT_SENT]
        rejected = live.aside(lambda: rejected_since(live.place.metrics, since))
        seen = live.recorder.proxies[-1] if live.recorder.proxies else None
        message, hint = not_distributed(rejected, seen)
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
    counted = standing.proof.targets if standing.proof else ()
    return bool(counted) and all(
        one.by_caller
        and {f"{caller.namespace}/{caller.workload}" for caller in injection.callers} <= one.by_caller.keys()
        for injection, one in zip(live.plan.injections, counted, strict=True)
    )


def observe(live: Live) -> None:
    """Looks until the expectations are decided and the last stage is over, or the fault's time is over."""
    live.enter(PhaseName.OBSERVE)
    watched = live.targets.watched if live.targets is not None else ()
    staged = [Staging(live, n, watched) for n, made in enumerate(live.injectors) if made.injection.changes]

    def decided(standing: Standing) -> bool:
        for one in staged:
            one.look()
        return standing.done

    if live.until(live.plan.experiment.limits.fault.total_seconds(), decided):
        live.decided("fault")
    live.stop_if_asked()


def recover(live: Live) -> None:
    """Looks until the steady state holds again, where a fault was active.

    A run that has failed already does not wait for longer than a recovery in time takes to be seen.
    """
    marks = live.recorder.marks
    if Mark.FAULT_FROM not in marks or Mark.RESTORED not in marks or live.around.stop:
        return
    live.enter(PhaseName.RECOVER)
    experiment = live.plan.experiment
    limits = experiment.limits
    limit = (experiment.recovery.within + experiment.stays_good_for + limits.baseline + limits.removal).total_seconds()
    limit += judge.drain(live.recorder.facts, live.look().now)
    if live.until_counted(limit, lambda standing: standing.done or _failed_anyway(live, standing)):
        live.decided("recovery")


def _failed_anyway(live: Live, standing: Standing) -> bool:
    """Whether a run that a violation has ended has waited long enough to see a recovery in time.

    That takes more events than the baseline did, since several moments are tried: twice as long is enough by far.
    """
    experiment, marks, removal = live.plan.experiment, live.recorder.marks, standing.removal
    if not live.failed or removal is None or removal.seconds is None or removal.answer is Answer.UNDECIDED:
        return False
    shown = 2 * (marks[Mark.BASELINE_UNTIL] - marks[Mark.BASELINE_FROM])
    stays = max(experiment.stays_good_for.total_seconds(), shown)
    allowed = experiment.recovery.within.total_seconds()
    return standing.now > marks[Mark.RESTORED] + removal.seconds + allowed + stays + live.late
