"""Whole runs on a shop in memory, in virtual time: each way in which one ends, in milliseconds."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.adapters.experiment_file import parse_experiment
from chaos.errors import Stopped
from chaos.model.events import Event, Injected, TroubleKind
from chaos.model.history import Mark, PhaseName
from chaos.model.marks import FROZEN
from chaos.model.plan import Plan
from chaos.model.verdict import Outcome, ReasonCode
from chaos.ports import Listener, Progress
from chaos.safety.lock import acquire
from chaos.values.answers import Answer
from tests.support.disturbed import when_faulted
from tests.unit.engine.world import ABORT, EXPERIMENT, RUN, World, codes, nothing_left


def test_a_shop_that_bears_the_fault_passes(world: World) -> None:
    history, verdict = world.run()
    assert verdict.passed, verdict.reasons
    assert [span.phase for span in history.spans] == list(PhaseName)
    assert nothing_left(world, history)
    assert [one["reason"] for one in world.mesh.objects("Event")] == ["ChaosFaultStarted", "ChaosFaultEnded"]


def test_the_same_run_gives_the_same_history() -> None:
    assert World().run() == World().run()


def test_a_run_that_has_failed_does_not_wait_for_long_to_see_a_recovery_that_is_hard_to_tell() -> None:
    """It heals at its deadline."""
    history, verdict = World(bears=0.0, heals=60.0).run("abort: {percentage: 100, httpStatus: 503}")
    assert codes(verdict) == {ReasonCode.EXPECTATION_VIOLATED, ReasonCode.UNDECIDED_RECOVERY}
    marks, allowed = history.marks, 60.0
    shown = 2 * (marks[Mark.BASELINE_UNTIL] - marks[Mark.BASELINE_FROM])
    waited = marks[Mark.LOAD_STOPPED] - marks[Mark.RESTORED]
    assert allowed + shown <= waited < allowed + shown + 10


class Spoiling(Listener):
    """Changes all that it is handed while the run goes on."""

    def started(self, plan: Plan) -> None:
        plan.injections[0].after["spec"].clear()

    def event(self, run: str, event: Event) -> None:
        if isinstance(event, Injected):
            event.stored["metadata"].clear()

    def progress(self, progress: Progress) -> None:
        if progress.proof is not None:
            progress.proof.targets[0].by_caller.clear()
            progress.proof.targets[0].outside["prod/somebody"] = 9


def test_what_a_listener_does_to_what_it_hears_changes_nothing(world: World) -> None:
    with TemporaryDirectory() as folder:
        harness = world.harness(report_dir=folder, listeners=[Spoiling()])
        heard = harness.run(parse_experiment(EXPERIMENT.format(fault=ABORT, more="")), run_id=RUN)
    assert heard.verdict == World().run()[1]
    assert heard.verdict.passed


class Noting(Listener):
    """Notes which phase waits for how long, and whether anything is decided meanwhile."""

    def __init__(self) -> None:
        self.longest: dict[PhaseName, float] = {}
        self.early: list[Progress] = []

    def progress(self, progress: Progress) -> None:
        if progress.wait:
            self.longest[progress.phase] = max(progress.wait, self.longest.get(progress.phase, 0.0))
            self.early += [progress] if any(one.answer is not Answer.UNDECIDED for one in progress.expectations) else []


def test_a_phase_says_for_how_long_it_will_decide_nothing(world: World) -> None:
    noting = Noting()
    with TemporaryDirectory() as folder:
        harness = world.harness(report_dir=folder, listeners=[noting])
        harness.run(
            parse_experiment(EXPERIMENT.format(fault=ABORT, more="").replace("profile: quick", "profile: default"))
        )
    assert noting.early == []
    assert {phase: round(most) for phase, most in noting.longest.items()} == {
        PhaseName.BASELINE: 15, PhaseName.OBSERVE: 30, PhaseName.RECOVER: 30,
    }  # fmt: skip


def test_a_delay_is_seen_by_those_who_wait_for_the_answer(world: World) -> None:
    claim = "- {{title: quick, service: order-svc, good: {{within: {within}}}, atLeast: 95%}}"
    fault = "delay: {percentage: 50, fixedDelay: 2s}"
    _, borne = world.run(fault, claim.format(within="2.5s"))
    assert borne.passed, borne.reasons
    _, late = World().run(fault, claim.format(within="1s"))
    assert codes(late) == {ReasonCode.EXPECTATION_VIOLATED}


def test_a_shop_that_fails_with_its_target_is_found_out(world: World) -> None:
    world.traffic.bears = 0.0
    history, verdict = world.run()
    assert (verdict.outcome, codes(verdict)) == (Outcome.FAILED, {ReasonCode.EXPECTATION_VIOLATED})
    assert nothing_left(world, history)


def test_an_expectation_without_events_says_what_the_load_got(world: World) -> None:
    world.traffic.broken = 0.05
    _, verdict = world.run(
        more='- {title: seen, service: order-svc, caller: nobody, good: {status: "<500"}, atLeast: 90%}'
    )
    (reason,) = verdict.reasons
    assert reason.code is ReasonCode.NO_TRAFFIC
    told = re.fullmatch(
        r"before the fault, no event was counted for 'seen': .*; observed no event; the load got status 200 on (\d+), status 500 on (\d+) of (\d+) requests",
        reason.message,
    )
    assert told is not None, reason.message
    good, bad, every = map(int, told.groups())
    assert good + bad == every
    assert bad == pytest.approx(0.05 * every, rel=0.2)


@pytest.mark.parametrize("heals", [1.0, 5.0, 12.0, 19.0, 40.0, 57.0])
def test_recovery_is_a_range_that_is_true(world: World, heals: float) -> None:
    """It recovers at once after so many seconds, and scrapes come every second."""
    world.traffic.heals = heals
    history, verdict = world.run(more="\nrecovery: {within: 60s, stayGood: 20s}")
    assert verdict.passed, verdict.reasons
    assert verdict.recovery is not None
    assert verdict.removal is not None
    assert verdict.removal.seconds is not None
    assert verdict.recovery.seconds is not None
    assert verdict.recovery.seconds - verdict.recovery.uncertainty <= heals <= verdict.recovery.seconds <= heals + 3
    good_from = history.marks[Mark.RESTORED] + verdict.removal.seconds + verdict.recovery.seconds
    assert history.marks[Mark.LOAD_STOPPED] - good_from >= 20


def test_a_shop_that_does_not_recover_fails(world: World) -> None:
    world.traffic.heals = 90.0
    history, verdict = world.run()
    assert (verdict.outcome, codes(verdict)) == (Outcome.FAILED, {ReasonCode.NOT_RECOVERED})
    assert nothing_left(world, history)


def test_a_fault_that_stays_in_the_proxies_is_told(world: World) -> None:
    when_faulted(world, lambda: setattr(world.mesh, "distribution", 45.0))
    history, verdict = world.run()
    assert (verdict.outcome, codes(verdict)) == (Outcome.CLEANUP_FAILED, {ReasonCode.STILL_FAULTED})
    assert nothing_left(world, history), "the API is clean although the proxies are not"


def test_a_guardrail_restores_at_once(world: World) -> None:
    when_faulted(world, lambda: setattr(world.traffic, "broken", 0.95))
    history, verdict = world.run()
    assert verdict.outcome is Outcome.FAILED
    assert history.marks[Mark.RESTORE_SENT] - history.marks[Mark.INJECTED] < 10
    assert nothing_left(world, history)


def test_where_proxies_can_not_be_asked_the_counts_tell(world: World) -> None:
    world.mesh.answers_exec = False
    history, verdict = world.run()
    assert verdict.passed, verdict.reasons
    assert [seen.of for seen in history.proxies] == [0, 0]


def change(world: World) -> None:
    (ours,) = world.mesh.virtual_services()
    world.mesh.put({**ours, "spec": {**ours["spec"], "exportTo": ["*"]}})


def delete(world: World) -> None:
    (ours,) = world.mesh.virtual_services()
    world.mesh.remove("VirtualService", ours["metadata"]["namespace"], ours["metadata"]["name"])


DISTURBANCES: dict[TroubleKind, tuple[Callable[[World], object], ...]] = {
    TroubleKind.FROZEN: (lambda world: world.mesh.annotate_namespace("staging", FROZEN, "release"),),
    TroubleKind.METRICS_LOST: (lambda world: setattr(world.metrics, "lost", "Prometheus is gone"),),
    TroubleKind.LOAD_DIED: (lambda world: setattr(world.load, "died", "out of memory"),),
    TroubleKind.TARGET_CHANGED: (change, delete),
}
EACH = [(kind, action) for kind, actions in DISTURBANCES.items() for action in actions]


@pytest.mark.parametrize(("kind", "action"), EACH)
def test_a_disturbance_restores_and_leaves_the_question_open(
    world: World, kind: TroubleKind, action: Callable[[World], object]
) -> None:
    when_faulted(world, lambda: action(world))
    history, verdict = world.run()
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons
    assert kind in {trouble.kind for trouble in history.troubles}
    assert history.marks[Mark.RESTORED] - history.marks[Mark.INJECTED] < 20
    assert nothing_left(world, history)


def test_a_signal_restores_before_it_ends_the_process(world: World) -> None:
    when_faulted(world, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped) as caught:
        world.run()
    assert caught.value.code == 128 + signal.SIGTERM
    assert not world.mesh.injected()
    assert world.watch.told == "released"


def test_a_load_that_does_not_keep_its_rate_proves_nothing(world: World) -> None:
    world.traffic.kept = 0.5
    history, verdict = world.run()
    assert codes(verdict) == {ReasonCode.LOAD_STARVED}
    assert nothing_left(world, history)


def test_a_shop_that_is_broken_before_is_not_faulted_on_top(world: World) -> None:
    world.traffic.broken = 0.5
    history, verdict = world.run()
    assert codes(verdict) == {ReasonCode.NOT_STEADY_BEFORE}
    assert Mark.INJECT_SENT not in history.marks
    assert nothing_left(world, history)


def test_a_comparison_that_is_false_at_once_is_the_only_reason(world: World) -> None:
    world.metrics.untrue.add("sum(up) > 1")
    history, verdict = world.run(more="- {title: up, promql: sum(up) > 1}")
    assert codes(verdict) == {ReasonCode.NOT_STEADY_BEFORE}, "no second of load was over, so none is missing"
    assert nothing_left(world, history)


def test_a_target_that_another_run_holds_is_left_alone(world: World) -> None:
    other = acquire(
        world.mesh, namespace="staging", service="inventory-svc", run="hgfedcba", experiment="e", owner=None
    )
    history, verdict = world.run()
    other.stop()
    assert codes(verdict) == {ReasonCode.LOCKED}
    assert Mark.INJECT_SENT not in history.marks
    assert [lease["spec"]["holderIdentity"] for lease in world.mesh.objects("Lease")] == ["hgfedcba"]


@settings(max_examples=25)
@given(
    bears=st.sampled_from([0.0, 0.5, 1.0]), heals=st.sampled_from([0.0, 5.0, 90.0]), broken=st.sampled_from([0.0, 0.0, 0.3]),
    kept=st.sampled_from([1.0, 1.0, 0.5]), distribution=st.sampled_from([0.0, 0.3, 4.0, 45.0]),
    disturbed=st.none() | st.tuples(st.sampled_from(EACH), st.floats(0, 15)),
)  # fmt: skip
def test_only_what_was_well_all_the_time_is_green_and_nothing_is_left_of_any_run(
    bears: float, heals: float, broken: float, kept: float, distribution: float, disturbed: Any
) -> None:
    world = World(bears=bears, heals=heals, broken=broken, kept=kept)
    world.mesh.distribution = distribution
    if disturbed is not None:
        (_, action), after = disturbed
        when_faulted(world, lambda: world.mesh.virtual_services() and action(world), after=after)
    history, verdict = world.run()
    assert nothing_left(world, history)
    if verdict.passed:
        assert (bears, broken, kept) == (1.0, 0.0, 1.0)
        assert heals < 60
        assert distribution < 30
        assert not history.troubles
