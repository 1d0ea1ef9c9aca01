"""Where a canary may not be shifted, and what becomes of a shift when the API does not answer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from chaos import MeshError, Outcome, Refused, Settings
from chaos.model.shift import ShiftStep
from tests.unit.engine.test_shifting import CANARY, EXPERIMENT, ROUTES, Canary, weights

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
    canary.shop.mesh.put(routes(before=[other, first]))
    assert canary.shift(tmp_path, step=100.0).outcome is Outcome.PASSED
    health, beta, rest = canary.routes()["spec"]["http"]
    assert health == other
    assert [part["weight"] for part in beta["route"]] == [part["weight"] for part in rest["route"]] == [0, 100]


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
