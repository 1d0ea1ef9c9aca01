"""The harness on a shop in memory: what it gives, what it raises, and what is handed in."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos import (
    Abort,
    Expectation,
    Experiment,
    ExperimentFailed,
    ExperimentInconclusive,
    ExperimentRefused,
    Harness,
    InputError,
    Listener,
    Load,
    MeshAccess,
    NotPassed,
    Outcome,
    Request,
    Result,
    Target,
)
from chaos.engine.listeners import Listeners
from chaos.engine.place import Place
from chaos.harness.backing_up import Compared
from chaos.harness.connecting import Options
from chaos.model.settings import Settings
from chaos.testing.shop import Shop


def experiment(*, namespace: str = "staging", rate: float = 20) -> Experiment:
    return Experiment(
        "orders",
        target=Target(namespace, "inventory-svc", callers={"app": "order-svc"}),
        faults=[Abort(percentage=50, http_status=503)],
        load=Load(rate=rate, requests=[Request("/orders/42")]),
        steady_state=[Expectation("orders are answered", service="order-svc", status="<500", at_least="90%")],
    )


def test_a_run_gives_its_result_and_leaves_a_record(tmp_path: Path) -> None:
    result = Shop().harness(report_dir=tmp_path).run(experiment())
    assert result.verdict.outcome is Outcome.PASSED
    assert result.folder == tmp_path / "runs" / result.verdict.run
    assert Harness.judge(result.folder) == result.verdict
    assert Harness.judge(result.folder / "record.json") == result.verdict


def test_a_plan_writes_nothing_and_says_what_would_be_written(tmp_path: Path) -> None:
    shop = Shop()
    plan = shop.harness(report_dir=tmp_path).plan(experiment(), file=Path("orders.yaml"), declared="experiment: orders")
    assert plan.allowed
    assert (plan.file, plan.declared) == ("orders.yaml", "experiment: orders")
    assert shop.mesh.virtual_services() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shop", "asked", "error", "outcome"),
    [
        (Shop(bears=0.0), experiment(), ExperimentFailed, "failed"),
        (Shop(broken=0.5), experiment(), ExperimentInconclusive, "inconclusive"),
        (Shop(), experiment(namespace="production"), ExperimentRefused, "refused"),
    ],
    ids=["failed", "inconclusive", "refused"],
)
def test_anything_but_passed_is_raised_by_check(
    tmp_path: Path, shop: Shop, asked: Experiment, error: type[NotPassed], outcome: str
) -> None:
    with pytest.raises(error, match=f"^{outcome} ") as caught:
        shop.harness(report_dir=tmp_path).check(asked)
    assert type(caught.value) is error
    assert caught.value.outcome == outcome
    verdict = Harness.judge(tmp_path / "runs" / caught.value.run)
    assert list(caught.value.reasons) == [reason.code for reason in verdict.reasons]


def test_a_failed_experiment_is_a_failed_assertion() -> None:
    assert issubclass(ExperimentFailed, AssertionError)
    assert not issubclass(ExperimentInconclusive, AssertionError)
    assert not issubclass(ExperimentRefused, AssertionError)


class Heard(Listener):
    def __init__(self) -> None:
        self.results: list[Result] = []

    def finished(self, result: Result) -> None:
        self.results.append(result)


def test_listeners_hear_every_run_and_a_view_of_the_harness_has_its_own(tmp_path: Path) -> None:
    first, second = Heard(), Heard()
    harness = Shop().harness(report_dir=tmp_path, listeners=[first])
    one = harness.run(experiment())
    other = harness.heard_by(lambda: Listeners([second])).run(experiment())
    assert (first.results, second.results) == ([one], [other])


class Hanging(Listener):
    """Does not return before somebody interrupts it."""

    def finished(self, result: Result) -> None:
        signal.raise_signal(signal.SIGINT)
        threading.Event().wait()


def test_a_report_that_hangs_can_be_interrupted_and_the_others_are_told(tmp_path: Path) -> None:
    heard = Heard()
    with pytest.raises(KeyboardInterrupt):
        Shop().harness(report_dir=tmp_path, listeners=[Hanging(), heard]).run(experiment())
    (result,) = heard.results
    assert Harness.judge(tmp_path / "runs" / result.verdict.run) == result.verdict


def test_a_mesh_of_ones_own_needs_a_watchdog_of_its_own() -> None:
    shop = Shop()
    place = Place.of(shop.mesh, shop.metrics, Settings(), entry="http://shop")
    with pytest.raises(InputError, match="MemoryMesh can't be reached from another process") as caught:
        Harness(place)
    assert "NoWatch()" in str(caught.value)


def test_without_an_entry_nothing_is_begun(tmp_path: Path) -> None:
    shop = Shop()
    place = Place.of(shop.mesh, shop.metrics, Settings(namespaces=("staging",)))
    harness = Harness(place, watchdog=lambda plan, folder: pytest.fail("begun"), report_dir=tmp_path)
    with pytest.raises(InputError, match="so there is no address for the load\n\nhint: give entry=: a URL"):
        harness.run(experiment())


def test_reports_that_can_not_be_written_are_told_before_anything_is_injected(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    shop = Shop()
    with pytest.raises(InputError, match=r"records can be written to.*\n\nhint: give another report_dir="):
        shop.harness(report_dir=tmp_path / "reports").run(experiment())
    assert shop.mesh.virtual_services() == []


LISTENER: Any = Listener
NOT: dict[str, tuple[Callable[[Any], object], str]] = {
    "the name of an experiment": (lambda shop: shop.check("orders"), "expected an Experiment, got a str"),
    "an experiment as YAML has it": (lambda shop: shop.plan({"experiment": "x"}), "expected an Experiment, got a dict"),
    "a listener's class": (
        lambda _: Shop().harness(listeners=[LISTENER]),
        "expected a list of chaos.Listener objects, got <class",
    ),
    "one listener": (
        lambda _: Shop().harness(listeners=LISTENER()),
        "expected a list of chaos.Listener objects, got <chaos",
    ),
    "a number for a manifest": (
        lambda shop: shop.changed(3),
        "manifest 1: expected a mapping, YAML or a Path, got a int",
    ),
    "steps of text": (
        lambda shop: shop.shift(experiment(), virtual_service="v", source="a", target="b", step="ten"),
        "expected a step of more than 0 and at most 100 percent, got 'ten'",
    ),
}


@pytest.mark.parametrize("what", NOT)
def test_what_is_something_else_is_told_as_such(what: str) -> None:
    use, said = NOT[what]
    with pytest.raises(InputError) as caught:
        use(Shop().harness())
    assert said in str(caught.value)


def test_a_wait_that_is_no_duration_is_told() -> None:
    with pytest.raises(InputError, match="wait= '10': expected a duration with its unit"):
        Shop().harness(wait="10")


def test_what_cannot_be_used_is_told_before_a_lab_is_started() -> None:
    def lab() -> MeshAccess:
        raise AssertionError("it was asked for a lab")

    with pytest.raises(InputError, match="wait= '10': expected a duration with its unit"):
        Harness.at(Options(), lab=lab, wait="10")


def test_a_namespace_is_no_list_of_letters() -> None:
    harness = Shop().harness()
    for ask in (harness.doctor, harness.backup("mesh").save):
        with pytest.raises(InputError, match="expected a list of namespaces, got 'staging'"):
            ask("staging")


def test_a_namespace_is_no_list_of_letters_in_a_backup_either(tmp_path: Path) -> None:
    folder = Shop().harness().backup(tmp_path / "mesh")
    folder.save()
    for ask in (folder.diff, folder.restore):
        with pytest.raises(InputError, match="expected a list of namespaces, got 'staging'"):
            ask("staging")


def test_what_was_saved_is_restored_in_virtual_time(tmp_path: Path) -> None:
    shop = Shop()
    harness = shop.harness()
    settings = Settings(namespaces=["staging"], changes=["staging"])
    harness.place = replace(harness.place, settings=settings)
    for name in ("kept", "lost"):
        meta = {"name": name, "namespace": "staging"}
        shop.mesh.create_istio_object(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "DestinationRule",
                "metadata": meta,
                "spec": {"host": name},
            },
            manager="me",
        )
    mesh = harness.backup(tmp_path)
    assert (mesh.save().objects, mesh.diff()) == (2, ())
    shop.mesh.delete_istio_object(rule_of(shop, "lost"))
    assert [(one.title, one.state) for one in mesh.diff()] == [("DestinationRule staging/lost", "missing")]
    seen: list[Compared] = []
    done = mesh.restore(told=seen.append)
    assert (done.done, done.left, done.asked) == (("restored DestinationRule staging/lost",), (), 4)
    assert ([one.name for one in seen[0].wanted], seen[0].same_cluster) == (["lost"], True)
    assert mesh.diff() == ()


def rule_of(shop: Shop, name: str) -> Any:
    return shop.mesh.istio_object("DestinationRule", "staging", name)


def test_what_is_frozen_is_refused_until_it_is_thawed() -> None:
    harness = Shop().harness()
    assert [str(one) for one in harness.freeze("release day")] == ["staging: frozen (release day)"]
    assert [one.rule for one in harness.plan(experiment()).refusals] == ["frozen"]
    assert [str(one) for one in harness.thaw()] == ["staging: thawed (was: release day)"]
    assert [str(one) for one in harness.thaw()] == ["staging: not frozen"]
    assert harness.plan(experiment()).allowed


def test_what_dead_runs_left_is_shown_and_swept(tmp_path: Path) -> None:
    shop = Shop()
    harness = shop.harness(report_dir=tmp_path)
    plan = harness.plan(experiment())
    shop.mesh.create_virtual_service(json.loads(json.dumps(dict(plan.injections[0].after))))
    (fault,) = harness.active()
    assert (fault.run, fault.renewed) == (plan.run, False)
    (swept,) = harness.sweep()
    assert swept.removed
    assert list(harness.active()) == []
