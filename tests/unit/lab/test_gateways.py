"""A Gateway that nobody serves is taken, and told."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.lab import gateways
from chaos.lab.api.resources import PODS
from chaos.lab.api.store import Store
from chaos.lab.manifests import load_system


def gateway(selector: dict[str, str] | None, *, protocol: str = "HTTP") -> dict[str, Any]:
    server = {"port": {"number": 80, "name": "http", "protocol": protocol}, "hosts": ["*"]}
    spec = {"servers": [server]} | ({} if selector is None else {"selector": selector})
    return {
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "door", "namespace": "default"},
        "spec": spec,
    }  # fmt: skip


@pytest.fixture
def store() -> Store:
    made = Store()
    load_system(made)
    for name, labels, template in (
        ("door", {"istio": "door", "app": "door"}, {"inject.istio.io/templates": "gateway"}),
        ("web", {"istio": "web"}, {}),
    ):
        meta = {"name": name, "namespace": "kube-system", "labels": labels, "annotations": template}
        spec = {"containers": [{"name": "istio-proxy", "image": "auto"}]}
        made.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    return made


@pytest.mark.parametrize(
    ("selector", "served"),
    [
        ({"istio": "door"}, True),
        ({"istio": "door", "app": "door"}, True),
        ({"istio": "ingressgateway"}, False),
        ({"istio": "door", "app": "other"}, False),
        ({"istio": "web"}, False),  # a pod, but no gateway
        ({}, True),
        (None, True),
    ],
)
def test_a_warning_where_no_gateway_is_selected(store: Store, selector: dict[str, str] | None, served: bool) -> None:
    found = gateways.validator(store)(gateway(selector))
    assert found.accepted
    assert not found.warnings if served else "nothing serves this yet" in "".join(found.warnings)
    for label in () if served else (selector or {}).items():
        assert "=".join(label) in found.warnings[0]


def test_the_pods_of_the_moment_are_looked_at(store: Store) -> None:
    validate = gateways.validator(store)
    store.delete(PODS, "kube-system", "door")
    for selector in (None, {"istio": "door"}):
        assert validate(gateway(selector)).warnings


def test_what_istio_refuses_is_refused_and_not_warned_of(store: Store) -> None:
    found = gateways.validator(store)(gateway({"istio": "nobody"}, protocol="NONSENSE"))
    assert not found.accepted
    assert not found.warnings
