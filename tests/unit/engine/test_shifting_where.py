"""Where a canary may not be shifted, and what becomes of a shift when the API does not answer."""

from __future__ import annotations

import copy
import signal
from pathlib import Path
from typing import Any

import pytest

from chaos import InputError, MeshError, Outcome, Refused, Settings
from chaos.injection.canary import canary_of, recognised
from chaos.injection.weights import Way, shifted
from chaos.istio.workloads import Workload
from chaos.model.shift import Recognised, ShiftStep
from chaos.model.situation import Situation
from tests.unit.engine.shifts import CANARY, EXPERIMENT, ROUTES, Canary, subsets, weights

ELSEWHERE = "order-svc.production.svc.cluster.local"


def routes(**change: Any) -> dict[str, Any]:
    """The canary's VirtualService with other metadata, or other HTTP routes."""
    made = copy.deepcopy(ROUTES)
    made["metadata"] |= change.get("meta", {})
    made["spec"]["http"] = [*change.get("before", []), *made["spec"]["http"]]
    return made


@pytest.mark.parametrize(
    ("vs", "rule"),
    [
        (routes(meta={"annotations": {"argocd.argoproj.io/tracking-id": "shop:orders"}}), "controller-owned: Argo CD"),
        (routes(meta={"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}), "controller-owned: Flux"),
        (
            routes(meta={"ownerReferences": [{"kind": "Canary", "name": "orders", "uid": "1", "controller": True}]}),
            "controller-owned: Canary orders",
        ),
        (routes(before=[{"match": [{"uri": {"prefix": "/x"}}], "delegate": {"name": "x"}}]), "delegate-reached"),
        (
            routes(before=[{"match": [{"uri": {"prefix": "/x"}}], "route": [{"destination": {"host": ELSEWHERE}}]}]),
            "host-outside",
        ),
    ],
)
def test_what_is_not_ours_to_shift_is_refused(tmp_path: Path, vs: dict[str, Any], rule: str) -> None:
    canary = Canary()
    canary.shop.mesh.put(vs)
    with pytest.raises(Refused, match=rule):
        canary.shift(tmp_path)
    assert canary.routes()["spec"] == vs["spec"]
    assert not canary.shop.mesh.objects("Lease")


@pytest.mark.parametrize(
    ("settings", "label", "rule"),
    [
        (Settings(namespaces=("other",), changes=("staging",)), "staging", "namespace-not-allowed"),
        (Settings(namespaces=("stag*",)), "staging", "changes-not-allowed"),
        (Settings(namespaces=("stag*",), changes=("staging",)), "production", "namespace-not-labelled"),
    ],
)
def test_a_namespace_that_is_not_staging_by_all_rules_is_let_alone(
    tmp_path: Path, settings: Settings, label: str, rule: str
) -> None:
    canary = Canary()
    canary.shop.mesh.put({"kind": "Namespace", "metadata": {"name": "staging", "labels": {"env": label}}})
    harness = canary.harness(tmp_path, settings=settings)
    with pytest.raises(Refused, match=rule):
        harness.shift(EXPERIMENT, virtual_service="orders", source="order-svc", target=CANARY, every="30s")
    assert canary.routes()["spec"] == ROUTES["spec"]
    assert not canary.shop.mesh.objects("Lease")


@pytest.mark.parametrize(
    ("labels", "notes", "said"),
    [
        ({"env": "staging"}, {"chaos-harness.dev/frozen": "release day"}, "frozen: the namespace 'staging' is frozen"),
        ({"env": "production"}, {}, "namespace-not-labelled: "),
    ],
)
def test_the_rules_are_asked_again_before_each_step(
    tmp_path: Path, labels: dict[str, str], notes: dict[str, str], said: str
) -> None:
    canary = Canary()
    namespace = {"kind": "Namespace", "metadata": {"name": "staging", "labels": labels, "annotations": notes}}

    def between(step: ShiftStep) -> None:
        if step.percent == 25:
            canary.shop.mesh.put(namespace)

    found = canary.shift(tmp_path, told=between)
    assert (found.outcome, [step.percent for step in found.steps]) == (Outcome.INCONCLUSIVE, [0, 25])
    assert said in found.reason
    assert canary.routes()["spec"] == ROUTES["spec"]
    assert canary.is_clean()


@pytest.mark.parametrize(("after", "steps"), [(0, [0]), (25, [0, 25]), (100, [0, 25, 50, 75, 100])])
def test_an_interrupt_between_two_steps_is_heard_before_the_next_write(
    tmp_path: Path, after: int, steps: list[int]
) -> None:
    """After the last step there is nothing to interrupt."""
    canary = Canary()
    found = canary.shift(
        tmp_path, told=lambda one: signal.raise_signal(signal.SIGINT) if one.percent == after else None
    )
    assert [step.percent for step in found.steps] == steps
    assert (found.outcome is Outcome.PASSED) is (after == 100)
    assert weights(canary.routes()) == ([0, 100] if after == 100 else [100, 0])
    assert canary.is_clean()


def test_a_pattern_may_name_the_namespace_if_changes_does_by_its_name(tmp_path: Path) -> None:
    settings = Settings(namespaces=("stag*",), changes=("staging",))
    found = Canary().harness(tmp_path, settings=settings).shift(
        EXPERIMENT, virtual_service="orders", source="order-svc", target=CANARY, step=100, every="10s"
    )  # fmt: skip
    assert found.outcome is Outcome.PASSED


def test_every_route_that_leads_to_either_is_shifted_and_no_other(tmp_path: Path) -> None:
    other = {"match": [{"uri": {"exact": "/health"}}], "route": [{"destination": {"host": "inventory-svc"}}]}
    first = {"match": [{"headers": {"beta": {"exact": "y"}}}], "route": [{"destination": {"host": "order-svc"}}]}
    canary = Canary()
    vs = routes(before=[first])
    vs["spec"]["http"].append(other)
    canary.shop.mesh.put(vs)
    assert canary.shift(tmp_path, step=100.0).outcome is Outcome.PASSED
    beta, rest, health = canary.routes()["spec"]["http"]
    assert health == other
    assert beta["route"] == rest["route"]
    assert [part["weight"] for part in rest["route"]] == [0, 100]


def test_a_canary_that_gets_no_requests_is_not_said_to_be_well(tmp_path: Path) -> None:
    """What is loaded and expected has nothing to do with this VirtualService."""
    canary = Canary()
    vs = routes()
    vs["spec"]["hosts"] = ["report-svc"]
    canary.shop.mesh.put(vs)
    found = canary.shift(tmp_path)
    assert (found.outcome, [step.percent for step in found.steps]) == (Outcome.INCONCLUSIVE, [0, 25])
    assert "at 25 %, 0 of 3000 requests went to the target, which is not 25 %" in found.reason
    assert canary.routes()["spec"] == vs["spec"]
    assert canary.is_clean()


def test_a_target_that_nobody_answers_for_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="requests to 'v2' would be answered with 503: no DestinationRule") as caught:
        Canary().shift(tmp_path, target="v2")
    assert "there is no Service staging/v2" in str(caught.value)


@pytest.mark.parametrize("named", [False, True])
def test_a_subset_is_recognised_by_its_workloads_and_a_service_by_its_name(named: bool) -> None:
    rule = {
        "kind": "DestinationRule", "metadata": {"name": "reviews", "namespace": "staging"},
        "spec": {"host": "reviews", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]},
    }  # fmt: skip
    service = {"metadata": {"name": "reviews-next", "namespace": "staging"}}
    around = Situation(
        cluster="", namespaces={}, services=[service], virtual_services=[], destination_rules=[rule],
        workloads=[Workload(name=f"reviews-{v}", namespace="staging", labels={"version": v}) for v in ("v1", "v2")],
    )  # fmt: skip
    vs = {**subsets(("v1", 100), *([("v2", 0)] if named else []))}
    vs["spec"]["hosts"] = ["reviews"]
    host = "reviews.staging.svc.cluster.local"
    way = canary_of(vs, Way(source="v1", target="v2"), around)
    assert recognised(vs, way, around, around.workloads) == Recognised(
        of=(host,), hosts=(host,), workloads=("reviews-v2",)
    )
    way = canary_of(vs, Way(source="v1", target="reviews-next"), around)
    assert way.is_host
    (route,) = shifted(vs, way, 30)["http"]
    assert route["route"][-1] == {"destination": {"host": "reviews-next"}, "weight": 30}
    assert recognised(vs, way, around, ()).hosts == ("reviews-next.staging.svc.cluster.local",)


@pytest.mark.parametrize("percent", [25, 50])
@pytest.mark.parametrize("arrives", [False, True])
def test_a_write_without_an_answer_is_put_back_whether_it_arrived_or_not(
    tmp_path: Path, percent: int, arrives: bool
) -> None:
    canary = Canary()
    write, hung = canary.shop.mesh.replace_istio_object, list[int]()

    def hanging(obj: Any, **options: Any) -> Any:
        if options.get("dry_run") or weights(obj)[1] != percent or hung:
            return write(obj, **options)
        hung.append(percent)
        if arrives:
            write(obj, **options)
        raise MeshError("PUT virtualservices/orders: no answer within 5 s")

    canary.shop.mesh.replace_istio_object = hanging  # type: ignore[method-assign]
    found = canary.shift(tmp_path)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reason == "PUT virtualservices/orders: no answer within 5 s"
    assert canary.routes()["spec"] == ROUTES["spec"]
    assert canary.is_clean()
