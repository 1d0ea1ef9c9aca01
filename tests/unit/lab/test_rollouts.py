"""A Rollout's pods, Services and routes, on the lab's real store."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chaos.istio.workloads import workload_name
from chaos.lab.api.resources import PODS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from chaos.lab.api.store import Store
from chaos.lab.controller import Controller
from tests.unit.lab.workloads import make_ready, run, service

HASH = "rollouts-pod-template-hash"


def rollout(image: str = "one", **strategy: Any) -> dict[str, Any]:
    canary = {
        "stableService": "a-stable",
        "canaryService": "a-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "a", "routes": ["main"]}}},
        "steps": [{"setWeight": 20}, {"pause": {}}],
        **strategy,
    }
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": image, "ports": [{"containerPort": 8080}]}]},
    }
    return {
        "metadata": {"name": "a", "namespace": "staging"},
        "spec": {"replicas": 2, "template": template, "strategy": {"canary": canary}},
    }


def virtual_service() -> dict[str, Any]:
    parts = [
        {"destination": {"host": "a-stable"}, "weight": 100},
        {"destination": {"host": "a-canary"}, "weight": 0},
    ]
    routes = [{"name": "main", "route": parts}, {"name": "other", "route": [{"destination": {"host": "a-stable"}}]}]
    return {"metadata": {"name": "a", "namespace": "staging"}, "spec": {"hosts": ["a"], "http": routes}}


def hashes(store: Store) -> Counter[str]:
    return Counter(pod["metadata"]["labels"][HASH] for pod in store.list(PODS, "staging"))


def weights(store: Store) -> list[int | None]:
    routes = store.get(VIRTUAL_SERVICES, "staging", "a")["spec"]["http"]
    return [part.get("weight") for route in routes for part in route["route"]]


def settled(store: Store, controller: Controller, *, first_ip: int) -> None:
    for _ in range(3):
        controller.settle()
    make_ready(store, first_ip=first_ip)
    for _ in range(3):
        controller.settle()


def test_an_update_stands_beside_the_stable_pods_with_the_first_steps_weight() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(ROLLOUTS, rollout())
        for name in ("a-stable", "a-canary"):
            store.create(SERVICES, service(name))
        store.create(VIRTUAL_SERVICES, virtual_service())
        settled(store, controller, first_ip=1)
        (stable,) = hashes(store)
        assert {workload_name(pod) for pod in store.list(PODS)} == {"a"}
        assert weights(store) == [100, 0, None]

        store.replace(ROLLOUTS, "staging", "a", rollout("two"))
        for _ in range(3):
            controller.settle()
        assert weights(store) == [100, 0, None], "its pods are not ready yet"
        settled(store, controller, first_ip=5)
        assert sorted(hashes(store).values()) == [2, 2]
        (new,) = hashes(store).keys() - {stable}
        selected = {
            name: store.get(SERVICES, "staging", name)["spec"]["selector"][HASH] for name in ("a-stable", "a-canary")
        }
        assert selected == {"a-stable": stable, "a-canary": new}
        assert weights(store) == [80, 20, None]
        assert store.get(ROLLOUTS, "staging", "a")["status"]["phase"] == "Paused"

        status = store.get(ROLLOUTS, "staging", "a")["status"]
        store.replace(ROLLOUTS, "staging", "a", {"status": {**status, "promoteFull": True}}, status=True)
        settled(store, controller, first_ip=9)
        assert hashes(store) == {new: 2}
        assert weights(store) == [100, 0, None]

    run(work)


def test_an_update_that_is_taken_back_leaves_nothing() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(VIRTUAL_SERVICES, virtual_service())
        store.create(ROLLOUTS, rollout())
        settled(store, controller, first_ip=1)
        before = hashes(store)
        store.replace(ROLLOUTS, "staging", "a", rollout("two"))
        settled(store, controller, first_ip=5)
        assert weights(store) == [80, 20, None]
        store.replace(ROLLOUTS, "staging", "a", rollout())
        settled(store, controller, first_ip=9)
        assert hashes(store) == before
        assert weights(store) == [100, 0, None]

    run(work)


def test_without_steps_an_update_replaces_all() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(ROLLOUTS, rollout(steps=[]))
        settled(store, controller, first_ip=1)
        store.replace(ROLLOUTS, "staging", "a", rollout("two", steps=[]))
        settled(store, controller, first_ip=5)
        assert list(hashes(store).values()) == [2]

    run(work)
