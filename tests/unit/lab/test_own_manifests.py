"""Manifests of the user's: what is read, what is refused, what is made beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.errors import InputError, LabError
from chaos.lab import behaviours, own_manifests, reading
from chaos.lab.api.resources import DEPLOYMENTS, NAMESPACES, SERVICES
from chaos.lab.api.store import Store
from chaos.lab.behaviours import Behaviours
from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.manifests import load_system
from chaos.lab.workloads.behaviour import ANNOTATION

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: any, ports: [{containerPort: 8080}]}]}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


@pytest.fixture
def store() -> Store:
    made = Store()
    load_system(made)
    return made


def load(store: Store, folder: Path, text: str, **standins: str) -> tuple[str, ...]:
    (folder / "all.yaml").write_text(text)
    return own_manifests.load(store, VALIDATORS, reading.read([folder]).documents, Behaviours(standins))


def test_objects_go_where_they_belong_and_namespaces_are_staging(store: Store, tmp_path: Path) -> None:
    places = load(store, tmp_path, f"{DEPLOYMENT}---\n{SERVICE}---\n{GATEWAY}", web='{"routes": []}')
    assert places == ("default", "shop")
    for name in places:
        found = store.find(NAMESPACES, None, name)
        assert found is not None
        assert found["metadata"]["labels"]["env"] == "staging"
        assert found["metadata"]["labels"]["istio-injection"] == "enabled"
    deployment = store.find(DEPLOYMENTS, "default", "web-v1")
    assert deployment is not None
    assert deployment["spec"]["template"]["metadata"]["annotations"] == {ANNOTATION: '{"routes": []}'}
    door = store.find(SERVICES, "istio-system", "istio-ingressgateway")
    assert door is not None
    assert [port["port"] for port in door["spec"]["ports"]] == [8080, 80, 443]


def test_a_declared_namespace_is_taken_as_it_is(store: Store, tmp_path: Path) -> None:
    declared = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {env: production}}\n"
    load(store, tmp_path, f"{SERVICE}---\n{declared}")
    found = store.find(NAMESPACES, None, "shop")
    assert found is not None
    assert found["metadata"]["labels"]["env"] == "production"
    assert "istio-injection" not in found["metadata"]["labels"]


def test_lists_and_json_and_empty_documents(store: Store, tmp_path: Path) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}
    (tmp_path / "list.json").write_text(json.dumps({"kind": "List", "items": [service]}))
    assert load(store, tmp_path, "---\n---\n") == ("default",)


def test_what_the_api_would_refuse_is_refused(store: Store, tmp_path: Path) -> None:
    bad = GATEWAY.replace("kind: Gateway", "kind: VirtualService").replace("selector:", "nonsense:")
    with pytest.raises(LabError, match=r"VirtualService default/door can't be created: .*must be provided"):
        load(store, tmp_path, bad)


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ("spec:", "spec.selector: Required value"),
        ("spec: []", "json: cannot unmarshal array"),
        ("spec: {selector: {matchLabels: {app: web}}, template:}", "`selector` does not match template `labels`"),
        ("spec: {selector: {matchLabels: {app: web}}, template: {metadata: []}}", "json: cannot unmarshal array"),
        ("spec: {selector: {}, template: {metadata: {labels: {app: yes}}}}", "json: cannot unmarshal bool"),
    ],
)
def test_half_a_workload_is_told_as_the_api_tells_it(store: Store, tmp_path: Path, workload: str, said: str) -> None:
    text = f"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web}}\n{workload}\n"
    with pytest.raises(LabError) as caught:
        load(store, tmp_path, text)
    assert said in str(caught.value)


def test_behaviours_are_checked(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no workload for the behaviours of nobody"):
        load(store, tmp_path, DEPLOYMENT, nobody="{}")
    file = tmp_path / "behaviours.yml"
    file.write_text("web: {routes: [{path: /, latency: soon}]}\n")
    with pytest.raises(InputError, match=r"web: .*latency"):
        behaviours.read(file)
    file.write_text("- a list\n")
    with pytest.raises(InputError, match="expected a mapping"):
        behaviours.read(file)
