"""Callers that come while a fault is active: by their labels at that time they are declared ones, or the fault is out of its scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chaos.engine.callers import PATIENCE, Newcomers
from chaos.engine.planning import make_plan
from chaos.errors import MeshError
from chaos.model.settings import LAB
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.clock import VirtualClock
from chaos.testing.shop import Shop
from chaos.testing.traffic import STRANGER
from tests.support.canaries import ANSWERED
from tests.support.disturbed import when_faulted
from tests.support.shop_runs import reasons, run
from tests.support.situations import experiment, situation


def pod(**labels: str) -> dict[str, Any]:
    """A pod of a new workload, whose proxy gets the fault if its labels are those that the routes ask for."""
    owner = {"kind": "ReplicaSet", "name": f"{STRANGER}-2", "uid": "-", "controller": True}
    meta = {
        "name": f"{STRANGER}-2-a", "generateName": f"{STRANGER}-2-", "namespace": "staging", "ownerReferences": [owner],
        "labels": {"pod-template-hash": "2", **labels},
    }  # fmt: skip
    return {"kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "istio-proxy"}]}}


def begins_to_call(shop: Shop, **labels: str) -> None:
    """A workload with these labels is rolled out once the fault is active."""

    def rolled_out() -> None:
        shop.traffic.catch_up()
        shop.mesh.put(pod(**labels))
        shop.traffic.leaks = 5.0

    when_faulted(shop, rolled_out)


def felt(verdict: Verdict) -> dict[str, int]:
    assert verdict.proof is not None
    return verdict.proof.targets[0].by_caller


def test_a_new_workload_with_the_declared_label_is_a_declared_caller() -> None:
    shop = Shop()
    begins_to_call(shop, app="order-svc", version="2")
    verdict = run(shop, ANSWERED)
    assert verdict.passed, verdict.reasons
    assert felt(verdict)[f"staging/{STRANGER}"] > 0


@pytest.mark.parametrize("labels", [{}, {"app": "report-svc"}])
def test_one_without_it_is_out_of_scope(labels: dict[str, str]) -> None:
    shop = Shop()
    begins_to_call(shop, **labels)
    told = reasons(run(shop, ANSWERED))
    assert f"staging/{STRANGER}" in told[ReasonCode.FAULT_OUTSIDE_SCOPE]


def test_where_nobody_can_tell_it_is_out_of_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    begins_to_call(shop, app="order-svc")
    pods = shop.mesh.pods

    def denied(namespace: str) -> Any:
        if shop.traffic.leaks:
            raise MeshError("forbidden", status=403)
        return pods(namespace)

    monkeypatch.setattr(shop.mesh, "pods", denied)
    assert ReasonCode.FAULT_OUTSIDE_SCOPE in reasons(run(shop, ANSWERED))


class Hanging(VirtualClock):
    """What is done beside is not done yet."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def beside(self, work: Callable[[], None]) -> None:
        self.work.append(work)


def test_an_api_that_hangs_is_waited_for_only_so_long() -> None:
    shop, clock = Shop(), Hanging()
    shop.mesh.put(pod(app="order-svc"))
    plan = make_plan(experiment(), [situation()], LAB, run="abcdefgh", now=0.0)
    (injection,), name = plan.injections, f"staging/{STRANGER}"
    newcomers = Newcomers(shop.mesh, clock)
    assert newcomers.is_unclear(injection, name)
    clock.sleep(PATIENCE / 2)
    assert newcomers.is_unclear(injection, name)
    assert len(clock.work) == 1, "asked once"
    clock.sleep(PATIENCE)
    assert not newcomers.is_unclear(injection, name)
    assert list(newcomers.declared(injection)) == []
    clock.work.pop()()
    (found,) = newcomers.declared(injection)
    assert (f"{found.namespace}/{found.workload}", found.pods) == (name, (f"{STRANGER}-2-a",))
