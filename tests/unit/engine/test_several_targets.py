"""Several faults at once in whole runs: each with its lease, object, proof and undo; what happens to one ends all."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.adapters.experiment_file import DocumentError, parse_experiment
from chaos.engine.place import Place
from chaos.faults.abort import Abort
from chaos.faults.fault import Fault
from chaos.faults.target import Target
from chaos.judge import hopeless
from chaos.model.events import Injected, Locked, Restored, TroubleKind
from chaos.model.experiment import Experiment
from chaos.model.history import History, Mark, PhaseName
from chaos.model.marks import FROZEN
from chaos.model.settings import Settings
from chaos.model.verdict import Outcome, ReasonCode, Verdict
from chaos.safety.lock import acquire
from chaos.testing.traffic import SECOND
from tests.support.disturbed import fail, when_faulted
from tests.unit.engine.world import RUN, World, codes, nothing_left

TEXT = """\
experiment: orders
profile: quick
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults:
  - abort: {percentage: 50, httpStatus: 503}
  - target: {namespace: staging, service: payment-svc}
    delay: {percentage: 30, fixedDelay: 2s}
load: {rate: 20, requests: [{path: /orders/42}]}
steadyState:
  - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}
"""
OBJECTS = [f"chaos-{RUN}-inventory-svc", f"chaos-{RUN}-payment-svc"]


def run(world: World, text: str = TEXT) -> tuple[History, Verdict]:
    return world.run_of(text)


def names(world: World) -> list[str]:
    return [vs["metadata"]["name"] for vs in world.mesh.virtual_services()]


def test_all_are_active_at_the_same_time_and_each_is_proven(world: World) -> None:
    seen: list[list[str]] = []
    when_faulted(world, lambda: seen.append(names(world)))
    history, verdict = run(world)
    assert verdict.passed, verdict.reasons
    assert [span.phase for span in history.spans] == list(PhaseName)
    assert seen[-1] == OBJECTS
    assert verdict.proof is not None
    assert [(one.target, [share.kind for share in one.shares], one.proven) for one in verdict.proof.targets] == [
        ("staging/inventory-svc", ["abort"], True),
        ("staging/payment-svc", ["delay"], True),
    ]
    assert [event.service for event in history.events if isinstance(event, Locked)] == ["inventory-svc", "payment-svc"]
    written = [event.stored["metadata"] for event in history.events if isinstance(event, Injected)]
    assert [one["name"] for one in written] == OBJECTS
    assert [one["ownerReferences"][0]["name"] for one in written] == ["chaos-inventory-svc", "chaos-payment-svc"]
    assert [event.object for event in history.events if isinstance(event, Restored)] == [
        f"staging/{name}" for name in OBJECTS
    ]
    assert sorted((one["involvedObject"]["name"], one["reason"]) for one in world.mesh.objects("Event")) == [
        (service, reason)
        for service in ("inventory-svc", "payment-svc")
        for reason in ("ChaosFaultEnded", "ChaosFaultStarted")
    ]
    assert nothing_left(world, history)


def test_where_proxies_can_not_be_asked_the_counts_of_every_target_tell(world: World) -> None:
    world.mesh.answers_exec = False
    _history, verdict = run(world)
    assert verdict.passed, verdict.reasons
    assert verdict.removal is not None
    assert verdict.removal.asked == 0


def test_a_share_that_is_off_at_one_target_is_told_with_its_name(world: World) -> None:
    felt = world.traffic._fault

    def too_few(service: str, at: float) -> Any:
        found = felt(service, at)
        return type(found)(delay=found.delay / 10, late=found.late) if service == SECOND else found

    world.traffic._fault = too_few  # type: ignore[method-assign]
    history, verdict = run(world, TEXT.replace("rate: 20", "rate: 200"))
    (reason,) = verdict.reasons
    assert (verdict.outcome, reason.code) == (Outcome.INCONCLUSIVE, ReasonCode.FAULT_SHARE_OFF)
    assert reason.message.startswith(
        "the fault hit another percentage of requests than declared: staging/payment-svc: delay: declared for 30"
    )
    assert nothing_left(world, history)


@pytest.mark.parametrize("status", [None, 403, 500])
def test_where_one_can_not_be_written_the_others_are_restored(world: World, status: int | None) -> None:
    fail(world.mesh, "create_virtual_service", for_name=OBJECTS[1], status=status)
    history, verdict = run(world)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.reasons
    assert TroubleKind.MESH_LOST in {trouble.kind for trouble in history.troubles}
    assert Mark.INJECTED in history.marks
    assert Mark.RESTORED in history.marks
    assert names(world) == []
    assert not world.mesh.injected()
    assert world.watch.told == ("released" if status == 403 else "abandoned"), (
        "a write without an answer may land later"
    )


def test_one_that_can_not_be_restored_does_not_keep_the_others(world: World) -> None:
    fail(world.mesh, "delete_virtual_service", for_name=OBJECTS[0], status=500)
    history, verdict = run(world)
    assert verdict.outcome is Outcome.CLEANUP_FAILED
    assert names(world) == OBJECTS[:1]
    assert next(event.why for event in history.events if event.kind == "restore-retried") == "no answer"
    assert world.watch.told == "abandoned"
    held = [lease["metadata"]["name"] for lease in world.mesh.objects("Lease")]
    assert held == ["chaos-inventory-svc", "chaos-payment-svc"], "both stay as long as something is left"


def edit(world: World, name: str) -> None:
    ours = world.mesh.virtual_service("staging", name)
    assert ours is not None
    world.mesh.put({**ours, "spec": {**ours["spec"], "exportTo": ["*"]}})


@pytest.mark.parametrize("name", OBJECTS)
def test_a_target_that_somebody_changes_ends_all(world: World, name: str) -> None:
    when_faulted(world, lambda: edit(world, name), after=4)
    history, verdict = run(world)
    assert codes(verdict) == {ReasonCode.TARGET_CHANGED}
    assert verdict.reasons[0].message.startswith(
        f"somebody edited VirtualService staging/{name}, which has this run's fault for staging/"
    )
    assert nothing_left(world, history)


@pytest.mark.parametrize("service", ["inventory-svc", "payment-svc"])
def test_a_lease_that_is_lost_ends_all(world: World, service: str) -> None:
    when_faulted(world, lambda: world.mesh.remove("Lease", "staging", f"chaos-{service}"), after=4)
    history, verdict = run(world)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert ReasonCode.TARGET_CHANGED in codes(verdict)
    assert nothing_left(world, history)


@pytest.mark.parametrize("service", ["inventory-svc", "payment-svc"])
def test_a_target_that_another_run_holds_keeps_all_from_being_touched(world: World, service: str) -> None:
    other = acquire(world.mesh, namespace="staging", service=service, run="hgfedcba", experiment="e", owner=None)
    history, verdict = run(world)
    other.stop()
    assert codes(verdict) == {ReasonCode.LOCKED}
    assert Mark.INJECT_SENT not in history.marks
    assert [lease["spec"]["holderIdentity"] for lease in world.mesh.objects("Lease")] == ["hgfedcba"], "all or none"


def test_a_rule_that_refuses_one_target_refuses_all_and_names_it(world: World) -> None:
    history, verdict = run(world, TEXT.replace("service: payment-svc", "service: checkout-svc"))
    assert verdict.outcome is Outcome.REFUSED
    assert [reason.message for reason in verdict.reasons] == [
        "service-not-found: staging/checkout-svc: there is no Service 'checkout-svc' in namespace 'staging'"
    ]
    assert not history.marks
    world.mesh.annotate_namespace("staging", FROZEN, "release")
    _, verdict = run(world)
    assert [reason.message for reason in verdict.reasons] == ["frozen: the namespace 'staging' is frozen: release"], (
        "what is the same for all is told once"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("service: payment-svc", "service: inventory-svc"), "expected one for each target, and staging/inventory-svc has several"),
        (("  - abort", "  - target: {namespace: staging, service: a-svc}\n    abort"), "expected one without a target of its own"),
    ],
)  # fmt: skip
def test_targets_that_make_no_sense_are_told(change: tuple[str, str], told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        parse_experiment(TEXT.replace(*change))


def test_in_python_it_is_the_same() -> None:
    read = parse_experiment(TEXT)
    made = Experiment(
        "orders",
        profile="quick",
        target=read.target,
        faults=[
            Abort(percentage=50, http_status=503),
            Fault(target=Target("staging", "payment-svc"), delay=read.faults[1].delay),
        ],
        load=read.load,
        steady_state=read.steady_state,
    )
    assert made == read
    assert [str(one.target) for one in made.each()] == ["staging/inventory-svc", "staging/payment-svc"]
    assert Experiment.model_validate_json(made.model_dump_json(by_alias=True)) == made


@pytest.mark.parametrize(("first", "second", "can"), [(50, 5, True), (6, 6, True), (4, 4, False)])
def test_several_small_faults_may_break_together_what_none_breaks_alone(first: int, second: int, can: bool) -> None:
    text = TEXT.replace("percentage: 50", f"percentage: {first}").replace("percentage: 30", f"percentage: {second}")
    found = {one.code for one in hopeless(parse_experiment(text.replace("rate: 20", "rate: 900")))}
    assert found == (set() if can else {ReasonCode.CANNOT_BREAK})


def test_targets_may_be_in_several_namespaces(world: World) -> None:
    elsewhere = {"name": "cart-svc", "namespace": "team", "labels": {"app": "cart-svc"}}
    world.mesh.put({"kind": "Namespace", "metadata": {"name": "team", "labels": {"env": "staging"}}})
    world.mesh.put({"kind": "Service", "metadata": elsewhere, "spec": {"ports": [{"name": "http", "port": 80}]}})
    asked = parse_experiment(
        TEXT.replace("{namespace: staging, service: payment-svc}", "{namespace: team, service: cart-svc}")
    )
    assert asked.namespaces == ("staging", "team")
    assert [len(one.steady_state) for one in asked.each()] == [1, 0], "what is expected is about services in staging"
    refused = world.harness().plan(asked)
    assert (
        refused.refusals[0].message
        == "team/cart-svc: the settings do not allow faults in the namespace 'team' (they allow: staging)"
    )
    assert all(refusal.message.startswith("team/cart-svc: ") for refusal in refused.refusals)
    place = Place.of(world.mesh, world.metrics, Settings(namespaces=("staging", "team")))
    plan = place.plan(asked, run=RUN)
    assert plan.allowed, plan.refusals
    assert [(one.namespace, one.after["metadata"]["namespace"]) for one in plan.injections] == [
        ("staging", "staging"),
        ("team", "team"),
    ]
