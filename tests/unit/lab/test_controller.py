"""Deployments into Pods, Services and Pods into Endpoints, on the lab's real store."""

from __future__ import annotations

import asyncio

import pytest

from chaos.lab.api.resources import DEPLOYMENTS, ENDPOINTS, NAMESPACES, PODS, SERVICES
from chaos.lab.api.store import Store
from chaos.lab.controller import Controller
from tests.unit.lab.workloads import deployment, make_ready, names, run, service


def addresses(store: Store, kind: str = "addresses", name: str = "a") -> list[str]:
    endpoints = store.get(ENDPOINTS, "staging", name)
    return [address["ip"] for subset in endpoints.get("subsets", ()) for address in subset.get(kind, ())]


def test_a_deployment_is_scaled_up_and_down_and_goes_with_its_pods() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(DEPLOYMENTS, deployment(replicas=2))
        controller.settle()
        assert len(names(store)) == 2
        assert all(len(pod["spec"]["containers"]) == 2 for pod in store.list(PODS))  # injected
        status = store.get(DEPLOYMENTS, "staging", "a")["status"]
        assert (status["replicas"], status["readyReplicas"], status["unavailableReplicas"]) == (2, 0, 2)
        make_ready(store)
        controller.settle()
        assert store.get(DEPLOYMENTS, "staging", "a")["status"]["readyReplicas"] == 2

        for replicas in (3, 1, 0):
            store.replace(DEPLOYMENTS, "staging", "a", deployment(replicas=replicas))
            controller.settle()
            assert len(names(store)) == replicas
        store.replace(DEPLOYMENTS, "staging", "a", deployment(replicas=1))
        controller.settle()
        store.delete(DEPLOYMENTS, "staging", "a")
        controller.settle()
        assert names(store) == []

    run(work)


def test_a_pod_that_is_deleted_is_replaced() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(DEPLOYMENTS, deployment())
        controller.settle()
        (before,) = names(store)
        store.delete(PODS, "staging", before)
        controller.settle()
        (after,) = names(store)
        assert after != before

    run(work)


def test_a_changed_template_is_rolled_out_without_a_gap() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(SERVICES, service())
        store.create(DEPLOYMENTS, deployment())
        controller.settle()
        make_ready(store)
        controller.settle()
        (old,) = names(store)
        store.replace(DEPLOYMENTS, "staging", "a", deployment(image="two"))
        controller.settle()
        assert old in names(store)
        assert len(names(store)) == 2
        assert addresses(store) == ["127.9.1.1"]
        make_ready(store, first_ip=5)
        controller.settle()
        controller.settle()
        assert old not in names(store)
        assert len(names(store)) == 1
        assert len(addresses(store)) == 1

    run(work)


@pytest.mark.parametrize("target", [8080, "8080", "http"])
def test_a_service_gets_an_address_and_its_ready_endpoints(target: object) -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(SERVICES, service(target=target))
        store.create(DEPLOYMENTS, deployment(replicas=2))
        controller.settle()
        assert store.get(SERVICES, "staging", "a")["spec"]["clusterIP"].startswith("10.96.")
        assert addresses(store) == []
        make_ready(store)
        controller.settle()
        assert addresses(store) == ["127.9.1.1", "127.9.1.2"]
        (subset,) = store.get(ENDPOINTS, "staging", "a")["subsets"]
        assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert {address["targetRef"]["name"] for address in subset["addresses"]} == set(names(store))

        pod = store.get(PODS, "staging", names(store)[0])
        conditions = [{"type": "Ready", "status": "False"}]
        status = {**pod["status"], "conditions": conditions}
        store.replace(PODS, "staging", pod["metadata"]["name"], {"status": status}, status=True)
        controller.settle()
        assert addresses(store) == ["127.9.1.2"]
        assert addresses(store, "notReadyAddresses") == ["127.9.1.1"]

        store.delete(SERVICES, "staging", "a")
        controller.settle()
        assert store.find(ENDPOINTS, "staging", "a") is None

    run(work)


def test_nothing_is_written_when_nothing_changes() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(SERVICES, service())
        store.create(DEPLOYMENTS, deployment(replicas=2))
        for _ in range(3):
            controller.settle()
            make_ready(store)
        controller.settle()
        version = store.version
        for obj in (*store.list(SERVICES), *store.list(DEPLOYMENTS)):
            controller._mark(obj)
        controller.settle()
        assert store.version == version

    run(work)


def test_a_load_balancer_gets_the_address_of_a_ready_pod() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(SERVICES, service(type="LoadBalancer"))
        store.create(DEPLOYMENTS, deployment())
        controller.settle()
        assert store.get(SERVICES, "staging", "a").get("status", {}) == {"loadBalancer": {}}
        make_ready(store)
        controller.settle()
        status = store.get(SERVICES, "staging", "a")["status"]
        assert status == {"loadBalancer": {"ingress": [{"ip": "127.9.1.1"}]}}

    run(work)


def test_endpoints_of_a_service_without_selector_are_left_alone() -> None:
    def work(store: Store, controller: Controller) -> None:
        own = service()
        del own["spec"]["selector"]
        store.create(SERVICES, own)
        controller.settle()
        assert store.find(ENDPOINTS, "staging", "a") is None

    run(work)


def test_everybody_is_told_of_endpoints_once() -> None:
    told: list[dict[str, list[str]]] = []

    async def whole() -> None:
        store = Store()
        store.create(NAMESPACES, {"metadata": {"name": "staging"}})
        controller = Controller(store, on_endpoints=told.append)
        store.create(SERVICES, service())
        store.create(DEPLOYMENTS, deployment())
        controller.settle()
        make_ready(store)
        controller.settle()
        controller.settle()

    asyncio.run(whole())
    assert told == [{"a.staging:80": []}, {"a.staging:80": ["127.9.1.1:8080"]}]
