"""The demo shop's manifests: accepted by the lab's own API, and what the experiments rely on."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.errors import LabError
from chaos.lab.api import kinds, metadata, typed
from chaos.lab.api.resources import DEPLOYMENTS, DESTINATION_RULES, NAMESPACES, RESOURCES, SERVICES, VIRTUAL_SERVICES
from chaos.lab.api.store import Store
from chaos.lab.controller import Controller
from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.manifests import SHOP, create, load_shop, load_system, shop_objects
from chaos.lab.workloads.behaviour import ANNOTATION, Behaviour


@pytest.fixture(scope="module")
def store() -> Store:
    made = Store()
    load_system(made)
    load_shop(made, VALIDATORS)
    return made


def names(store: Store, resource: Any, namespace: str) -> set[str]:
    return {obj["metadata"]["name"] for obj in store.list(resource, namespace)}


@pytest.mark.parametrize("namespace", SHOP)
def test_each_namespace_is_complete(store: Store, namespace: str) -> None:
    services = {
        "auth-svc",
        "inventory-svc",
        "order-naive",
        "order-svc",
        "payment-svc",
        "recommendation-svc",
        "user-svc",
    }
    assert names(store, SERVICES, namespace) == services | {"shop-gateway"}
    assert names(store, DEPLOYMENTS, namespace) == services - {"recommendation-svc"} | {
        "recommendation-svc-v1",
        "recommendation-svc-v2",
        "shop-gateway",
    }
    assert names(store, VIRTUAL_SERVICES, namespace) == {"payment-svc", "recommendation-svc", "shop-gateway"}
    assert names(store, DESTINATION_RULES, namespace) == {"inventory-svc", "recommendation-svc"}
    labels = store.get(NAMESPACES, None, namespace)["metadata"]["labels"]
    assert labels["env"] == namespace
    assert labels["istio-injection"] == "enabled"


@pytest.mark.parametrize("namespace", SHOP)
def test_every_service_selects_a_deployment_and_every_behaviour_can_be_read(store: Store, namespace: str) -> None:
    deployments = store.list(DEPLOYMENTS, namespace)
    for service in store.list(SERVICES, namespace):
        selector = service["spec"]["selector"].items()
        assert any(selector <= one["spec"]["template"]["metadata"]["labels"].items() for one in deployments)
        assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("http", 8080)]
    for deployment in deployments:
        meta = deployment["spec"]["template"]["metadata"]
        assert {"app", "version"} <= set(meta["labels"])
        Behaviour.parse(meta["annotations"].get(ANNOTATION))


def test_only_the_robust_order_service_defends_itself() -> None:
    behaviours = {
        obj["metadata"]["name"]: Behaviour.parse(obj["spec"]["template"]["metadata"]["annotations"].get(ANNOTATION))
        for obj in shop_objects("staging")
        if obj["kind"] == "Deployment"
    }
    robust = [call for route in behaviours["order-svc"].routes for call in route.calls]
    naive = [call for route in behaviours["order-naive"].routes for call in route.calls]
    assert [call.url for call in robust] == [call.url for call in naive]
    assert {(str(call.timeout), call.retries, call.fallback is None) for call in robust} == {
        ("0:00:00.300000", 1, False)
    }
    assert {(call.timeout, call.retries, call.fallback) for call in naive} == {(None, 0, None)}


def test_gateways_of_one_namespace_leave_the_pods_of_the_other_alone() -> None:
    for namespace in SHOP:
        (gateway,) = [obj for obj in shop_objects(namespace) if obj["kind"] == "Gateway"]
        for other in SHOP:
            (pods,) = [
                obj["spec"]["template"]["metadata"]["labels"]
                for obj in shop_objects(other)
                if obj["kind"] == "Deployment" and obj["metadata"]["name"] == "shop-gateway"
            ]
            assert (gateway["spec"]["selector"].items() <= pods.items()) is (namespace == other)


def test_what_the_api_would_refuse_is_not_loaded() -> None:
    store = Store()
    store.create(NAMESPACES, {"metadata": {"name": "staging"}})
    meta = {"name": "a", "namespace": "staging"}
    with pytest.raises(LabError, match="does not serve v1 PersistentVolumeClaim"):
        create(store, VALIDATORS, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta})
    broken = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": {"hosts": 1}}
    with pytest.raises(LabError, match="VirtualService staging/a can't be created"):
        create(store, VALIDATORS, broken)


def test_what_the_lab_makes_itself_meets_the_rules_of_its_api() -> None:
    store = Store()
    load_system(store)
    load_shop(store, VALIDATORS)
    Controller(store).settle()
    for resource in RESOURCES:
        for obj in store.list(resource):
            assert not [*metadata.problems(resource, obj["metadata"]), *kinds.problems(resource, obj, obj)], obj
            assert typed.decode(resource, obj) == typed.Decoded(obj, ()), obj
