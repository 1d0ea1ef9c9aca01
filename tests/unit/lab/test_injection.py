"""Pods out of Deployments, and who gets a sidecar."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.proxy import proxy_container
from chaos.lab import injection

INJECTED = {"metadata": {"name": "staging", "labels": {"istio-injection": "enabled"}}}
PLAIN = {"metadata": {"name": "plain"}}


def deployment(**template_meta: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "staging", "uid": "u1"},
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "a"}, **template_meta},
                "spec": {"containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
            }
        },
    }


def pod_of(made: dict[str, Any]) -> dict[str, Any]:
    replica_set = injection.replica_set_of(made)
    replica_set["metadata"]["uid"] = "u2"
    return injection.pod_of(replica_set)


def test_a_pod_belongs_to_its_replica_set_and_carries_its_template() -> None:
    first, second = pod_of(deployment()), pod_of(deployment())
    owner = injection.replica_set_of(deployment())["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Deployment", "a", "u1")
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["name"].startswith(f"a-{injection.template_hash(deployment())}-")
    assert first["metadata"]["labels"]["app"] == "a"
    assert first["metadata"]["ownerReferences"][0]["uid"] == "u2"
    assert injection.above(first) == ("Deployment", "a")
    assert injection.app_ports(first) == [8080]
    assert injection.named_ports(first) == {"http": 8080}


def test_the_hash_changes_with_the_template_alone() -> None:
    other = deployment()
    other["spec"]["replicas"] = 3
    assert injection.template_hash(other) == injection.template_hash(deployment())
    assert injection.template_hash(deployment(annotations={"a": "b"})) != injection.template_hash(deployment())


@pytest.mark.parametrize(
    ("namespace", "meta", "expected"),
    [
        (INJECTED, {}, True),
        (PLAIN, {}, False),
        (INJECTED, {"annotations": {"sidecar.istio.io/inject": "false"}}, False),
        (INJECTED, {"labels": {"app": "a", "sidecar.istio.io/inject": "false"}}, False),
        (PLAIN, {"labels": {"app": "a", "sidecar.istio.io/inject": "true"}}, True),
    ],
)
def test_who_gets_a_sidecar(namespace: dict[str, Any], meta: dict[str, Any], *, expected: bool) -> None:
    pod = injection.inject(pod_of(deployment(**meta)), namespace)
    assert (proxy_container(pod) is not None) is expected
    assert ("sidecar.istio.io/status" in pod["metadata"].get("annotations", {})) is expected
    assert injection.app_ports(pod) == [8080]
    assert injection.inject(pod, namespace) == pod


def test_a_gateway_is_a_proxy_without_application() -> None:
    gateway = deployment(annotations={"inject.istio.io/templates": "gateway"})
    gateway["spec"]["template"]["spec"]["containers"] = [
        {"name": "istio-proxy", "image": "auto", "ports": [{"containerPort": 8080}]}
    ]
    pod = injection.inject(pod_of(gateway), INJECTED)
    assert injection.is_gateway(pod)
    assert proxy_container(pod) is not None
    assert injection.app_ports(pod) == []
    assert len(pod["spec"]["containers"]) == 1
    assert pod["spec"]["containers"][0]["image"] == injection.PROXY_IMAGE
    assert pod["spec"]["containers"][0]["args"] == ["proxy", "router"]
    assert injection.inject(pod, INJECTED) == pod


def test_a_gateway_that_istiod_makes_is_one_and_stays_as_it_is() -> None:
    made = deployment(
        labels={"app": "a", "sidecar.istio.io/inject": "false", "gateway.networking.k8s.io/gateway-name": "a"}
    )
    made["spec"]["template"]["spec"]["containers"] = [
        {"name": "istio-proxy", "image": "proxyv2:1.30.3", "args": ["proxy", "router", "--domain", "x"], "ports": []}
    ]
    pod = pod_of(made)
    assert injection.is_gateway(pod)
    assert injection.inject(pod, INJECTED) == pod
