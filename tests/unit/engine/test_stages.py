"""A fault in stages in whole runs: steps, ramps and flapping, each stage proven; what happens in between ends the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chaos.adapters.experiment_file import DocumentError, parse_experiment
from chaos.errors import MeshError
from chaos.faults.abort import Abort
from chaos.faults.fault import Fault
from chaos.faults.stage import Stage
from chaos.model.events import StageBegan, TroubleKind
from chaos.model.history import History, Mark
from chaos.model.verdict import Outcome, ReasonCode, Verdict
from chaos.testing.mesh import MemoryMesh
from tests.support.disturbed import when_faulted
from tests.support.situations import virtual_service
from tests.unit.engine.world import RUN, World, codes, nothing_left

TEXT = """\
experiment: orders
profile: quick
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults:
  - abort: {{percentage: 50, httpStatus: 503}}
    stages: [{stages}]
    {more}
load: {{rate: 50, requests: [{{path: /orders/42}}]}}
steadyState:
  - {{title: answered, service: order-svc, good: {{status: "<500"}}, atLeast: 90%}}
"""
RAMP = "{for: 10s, percentage: 10}, {for: 10s}, {for: 15s, percentage: 100}"
FLAPPING = "{for: 8s}, {for: 8s, off: true}"
NAME = f"chaos-{RUN}-inventory-svc"


def run(world: World, stages: str = RAMP, more: str = "") -> tuple[History, Verdict]:
    return world.run_of(TEXT.format(stages=stages, more=more))


def private() -> dict[str, Any]:
    """A VirtualService of the target's own that only a patch gets past."""
    return virtual_service(exportTo=["."])


def declared(verdict: Verdict) -> list[tuple[int, str, float]]:
    """What was proven, stage by stage."""
    assert verdict.proof is not None
    (target,) = verdict.proof.targets
    assert target.proven, target
    return [(share.stage, share.kind, share.declared) for share in target.shares]


@pytest.mark.parametrize("owned", [False, True])
def test_a_ramp_is_proven_step_by_step(world: World, owned: bool) -> None:
    if owned:
        world.mesh.put(private())
    history, verdict = run(world)
    assert verdict.passed, verdict.reasons
    assert declared(verdict) == [(1, "abort", 0.1), (2, "abort", 0.5), (3, "abort", 1.0)]
    assert [one.number for one in history.stages] == [1, 2, 3]
    lasted = [(one.until or history.marks[Mark.RESTORE_SENT]) - (one.since or 0) for one in history.stages]
    assert all(least <= seconds < least + 1 for seconds, least in zip(lasted, (10, 10, 15), strict=True)), lasted
    told = [event.sentence for event in history.events if isinstance(event, StageBegan)]
    assert told == [
        "staging/inventory-svc: stage 2 of 3: abort of 50% with 503",
        "staging/inventory-svc: stage 3 of 3: abort of 100% with 503",
    ]
    assert nothing_left(world, history)
    if owned:
        (left,) = world.mesh.virtual_services()
        assert left["spec"] == private()["spec"]
        assert [event.exact for event in history.events if event.kind == "restored"] == [True]


def test_flapping_ends_after_its_repetitions_and_nothing_is_felt_while_it_is_off(world: World) -> None:
    history, verdict = run(world, FLAPPING, "repeat: 2")
    assert verdict.passed, verdict.reasons
    assert declared(verdict) == [(1, "abort", 0.5), (2, "off", 0.0), (3, "abort", 0.5), (4, "off", 0.0)]
    assert nothing_left(world, history)


def test_expectations_are_judged_over_the_whole_fault(world: World) -> None:
    world.traffic.bears = 0.7
    history, verdict = run(world, "{for: 10s, percentage: 10}, {for: 30s, percentage: 100}")
    assert codes(verdict) == {ReasonCode.EXPECTATION_VIOLATED}
    assert [one.number for one in history.stages] == [1, 2]
    assert nothing_left(world, history)


def test_good_answers_after_stages_that_end_without_a_fault_do_not_outweigh_the_bad_ones(world: World) -> None:
    world.traffic.bears = 0.6
    history, verdict = run(
        world, "{for: 15s}, {for: 15s, off: true}", "repeat: 2\nlimits: {fault: 600s}\nobserve: {atLeast: 60s}"
    )
    assert codes(verdict) == {ReasonCode.BURSTY}
    assert history.marks[Mark.RESTORE_SENT] - history.marks[Mark.FAULT_FROM] < 75
    assert "repeat the stages more often" in (verdict.reasons[0].hint or "")
    assert nothing_left(world, history)


def test_a_sure_violation_ends_it_in_whatever_stage(world: World) -> None:
    world.traffic.bears = 0.0
    history, verdict = run(world, "{for: 60s, percentage: 50}, {for: 20s, percentage: 100}")
    assert codes(verdict) == {ReasonCode.EXPECTATION_VIOLATED}
    assert len(history.stages) == 1
    assert history.marks[Mark.RESTORE_SENT] - history.marks[Mark.INJECTED] < 20
    assert nothing_left(world, history)


def test_where_proxies_can_not_be_asked_the_share_of_each_stage_tells(world: World) -> None:
    world.mesh.answers_exec = False
    _, verdict = run(world)
    assert verdict.passed, verdict.reasons
    assert len(declared(verdict)) == 3


def test_a_stage_that_the_proxies_do_not_get_proves_nothing(world: World) -> None:
    when_faulted(world, lambda: setattr(world.mesh, "distribution", 60.0), after=5)
    _, verdict = run(world)
    assert ReasonCode.NOT_DISTRIBUTED in codes(verdict)
    assert not verdict.passed


def at_stage(mesh: MemoryMesh, number: int, action: Callable[[Any], Any]) -> None:
    """Does something when a stage is about to be written, with the object; what it returns is not None is raised."""
    real = mesh.replace_virtual_service

    def writing(obj: Any, *, dry_run: bool = False) -> Any:
        names = {route.get("name") for route in obj["spec"]["http"]}
        if not dry_run and f"{NAME}.{number}" in names:
            failure = action(obj)
            if failure is not None:
                raise failure
        return real(obj, dry_run=dry_run)

    mesh.replace_virtual_service = writing  # type: ignore[method-assign]


def routes(world: World) -> Sequence[Any]:
    return [route.get("name") for vs in world.mesh.virtual_services() for route in vs["spec"]["http"]]


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("what", ["spec", "deleted"])
def test_who_writes_the_object_between_two_stages_is_not_overwritten(world: World, owned: bool, what: str) -> None:
    if owned:
        world.mesh.put(private())
    name = "inventory" if owned else NAME

    def others(obj: Any) -> None:
        live = world.mesh.virtual_service("staging", name)
        if live is None or live["spec"].get("theirs"):
            return
        if what == "deleted":
            world.mesh.remove("VirtualService", "staging", name)
        else:
            world.mesh.put({**live, "spec": {**live["spec"], "theirs": True}})

    at_stage(world.mesh, 2, others)
    history, verdict = run(world)
    assert codes(verdict) == {ReasonCode.TARGET_CHANGED}, verdict.reasons
    assert f"{NAME}.2" not in routes(world)
    assert nothing_left(world, history)
    if owned and what == "spec":
        (left,) = world.mesh.virtual_services()
        assert left["spec"] == {**private()["spec"], "theirs": True}, "what they wrote stays"


def test_what_others_write_beside_the_spec_stays(world: World) -> None:
    world.mesh.put(private())

    def label(obj: Any) -> None:
        live = world.mesh.virtual_service("staging", "inventory")
        assert live is not None
        if "by" not in live["metadata"]["labels"]:
            world.mesh.put(
                {**live, "metadata": {**live["metadata"], "labels": {**live["metadata"]["labels"], "by": "others"}}}
            )

    at_stage(world.mesh, 2, label)
    history, verdict = run(world)
    assert verdict.passed, verdict.reasons
    (left,) = world.mesh.virtual_services()
    assert left["metadata"]["labels"] == {"by": "others"}
    assert nothing_left(world, history)


def test_every_rule_is_asked_again_before_a_stage_is_written(world: World) -> None:
    def unlabel() -> None:
        found = world.mesh.namespace("staging")
        assert found is not None
        world.mesh.put({**found, "metadata": {**found["metadata"], "labels": {}}})

    when_faulted(world, unlabel, after=4)
    history, verdict = run(world)
    (reason,) = verdict.reasons
    assert reason.code is ReasonCode.TARGET_CHANGED
    assert reason.message.startswith(
        "stage 2 was not written: a staging rule refuses it now: the namespace 'staging' lacks"
    )
    assert nothing_left(world, history)


@pytest.mark.parametrize(
    ("status", "times", "ends"), [(None, 1, False), (500, 1, False), (500, 9, True), (403, 1, True)]
)
def test_a_stage_that_can_not_be_written_ends_the_run(world: World, status: int | None, times: int, ends: bool) -> None:
    left = iter(range(times))
    at_stage(world.mesh, 2, lambda obj: MeshError("no", status=status) if next(left, None) is not None else None)
    history, verdict = run(world)
    if ends:
        assert codes(verdict) == {ReasonCode.MESH_LOST}
        assert {trouble.kind for trouble in history.troubles} == {TroubleKind.MESH_LOST}
    else:
        assert verdict.passed, verdict.reasons
    assert nothing_left(world, history)


def test_an_answer_that_was_lost_is_found_by_reading(world: World) -> None:
    lost: list[int] = []
    real = world.mesh.replace_virtual_service

    def writing(obj: Any, *, dry_run: bool = False) -> Any:
        done = real(obj, dry_run=dry_run)
        if not lost and any(route.get("name") == f"{NAME}.2" for route in obj["spec"]["http"]):
            lost.append(1)
            raise MeshError("no answer", status=None)
        return done

    world.mesh.replace_virtual_service = writing  # type: ignore[method-assign]
    history, verdict = run(world)
    assert (verdict.passed, lost) == (True, [1]), verdict.reasons
    assert nothing_left(world, history)


def test_a_fault_that_is_felt_while_it_is_off_proves_nothing(world: World) -> None:
    felt = world.traffic._fault

    def still(service: str, at: float) -> Any:
        found = felt(service, at)
        off = any(name == f"{NAME}.2" for name in routes(world))
        return type(found)(0.5, "503") if off and service == "inventory-svc" else found

    world.traffic._fault = still  # type: ignore[method-assign]
    _, verdict = run(world, FLAPPING)
    assert (verdict.outcome, codes(verdict)) == (Outcome.INCONCLUSIVE, {ReasonCode.FAULT_SHARE_OFF})


@pytest.mark.parametrize(
    ("stages", "more", "told"),
    [
        ("{for: 1s}", "", "for: expected at least 5s"),
        ("{for: 10s, off: true}", "", "the first one can't be off"),
        ("{for: 10s}, {for: 10s, off: true, percentage: 5}", "", "expected percentage or off, and not both"),
        ("{for: 20s}, {for: 20s}", "repeat: 3", "expected at most 120s .limits.fault. in all, with 5s for each change, and they take 150s"),
        ("", "repeat: 3", "expected stages that can be repeated"),
        ("{for: 10s, percentage: 0}", "", "percentage"),
        ("{percentage: 10}", "", "for.* is missing"),
    ],
)  # fmt: skip
def test_stages_that_make_no_sense_are_told(stages: str, more: str, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        parse_experiment(TEXT.format(stages=stages, more=more))


def test_a_stage_that_is_too_short_for_its_share_is_refused(world: World) -> None:
    _, verdict = run(world, "{for: 10s, percentage: 1}, {for: 30s, percentage: 100}")
    (reason,) = verdict.reasons
    assert (verdict.outcome, reason.code) == (Outcome.REFUSED, ReasonCode.CANNOT_DECIDE)
    assert "the fault (abort of 1% with 503) can't be proven" in reason.message
    assert "raise the time of the stage (for) to" in (reason.hint or "")


def test_a_stage_that_is_over_before_two_scrapes_is_refused() -> None:
    world = World(scrape_interval=15.0)
    _, verdict = run(world, "{for: 40s}, {for: 29s}")
    (reason,) = verdict.reasons
    assert (verdict.outcome, reason.hint) == (
        Outcome.REFUSED,
        "let each stage last at least 30s, or scrape the proxies more often",
    )


def test_a_stage_that_exceeds_the_cap_is_refused(world: World) -> None:
    settings = world.harness().place.settings
    capped = settings.model_copy(update={"caps": settings.caps.model_copy(update={"percentage": 60.0})})
    place = world.harness().place
    object.__setattr__(place, "settings", capped)
    plan = place.plan(parse_experiment(TEXT.format(stages=RAMP, more="")), run=RUN)
    assert [refusal.rule for refusal in plan.refusals] == ["percentage-capped"]


def test_in_python_it_is_the_same() -> None:
    read = parse_experiment(TEXT.format(stages="{for: 10s, percentage: 10}, {for: 10s, off: true}", more="repeat: 2"))
    made = Fault(
        abort=Abort(percentage=50, http_status=503),
        stages=[Stage("10s", percentage=10), Stage("10s", off=True)],
        repeat=2,
    )
    assert read.faults == (made,)
    assert str(made) == "abort of 50% with 503, in stages: 10% for 10s, off for 10s; 2 times"
    assert [str(made.at(stage)) for stage in made.course] == ["abort of 10% with 503", ""] * 2
    assert type(read).model_validate_json(read.model_dump_json(by_alias=True)) == read


def test_proxies_that_keep_a_later_stage_have_the_fault(world: World) -> None:
    when_faulted(world, lambda: setattr(world.mesh, "distribution", 8.0), after=20)
    history, verdict = run(world, "{for: 10s, percentage: 10}, {for: 15s, percentage: 100}")
    assert verdict.passed, verdict.reasons
    assert verdict.removal is not None
    assert 7 < (verdict.removal.seconds or 0) < 10
    assert any(seen.having for seen in history.proxies if seen.at > history.marks[Mark.RESTORED])


def test_what_was_rare_at_last_is_not_gone_after_a_few_quiet_seconds(world: World) -> None:
    """The counts alone tell: in all stages together faults were frequent, and in the last one they were not."""
    world.mesh.answers_exec = False
    when_faulted(world, lambda: setattr(world.mesh, "distribution", 90.0), after=25)
    _, verdict = run(world, "{for: 10s, percentage: 100}, {for: 60s, percentage: 0.2}")
    assert not verdict.passed, "the proxies have it for a minute and a half after the restore"
