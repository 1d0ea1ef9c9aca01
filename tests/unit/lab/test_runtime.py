"""Which pods have a process, and what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.errors import LabError
from chaos.lab.api.resources import NAMESPACES, SERVICES
from chaos.lab.api.store import Store
from chaos.lab.behaviours import Behaviours
from chaos.lab.containers.process import Process
from chaos.lab.runtime import Runtime

IP = "127.14.1.1"


def pod(*containers: dict[str, Any], app: str = "order") -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": "order-v1-abc", "controller": True}
    meta = {"name": "order-v1-abc-x", "namespace": "shop", "labels": {"app": app}, "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {"containers": [*containers, {"name": "istio-proxy"}]}}


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    store = Store()
    store.create(NAMESPACES, {"metadata": {"name": "shop"}})
    ports = [{"port": 80, "targetPort": 9000}, {"port": 81, "targetPort": "named"}]
    spec = {"selector": {"app": "order"}, "ports": ports}
    store.create(SERVICES, {"metadata": {"name": "order", "namespace": "shop"}, "spec": spec})
    order = Process(command=("serve",), directory=tmp_path, env={"A": "mine"}, ports={9000: 5000})
    return Runtime(Behaviours(processes={"order": order}), store, tmp_path)


def test_ports_are_those_of_the_container_of_services_and_of_the_file(runtime: Runtime) -> None:
    declared = {"name": "app", "ports": [{"name": "named", "containerPort": 8080}]}
    assert runtime.ports(pod(declared)) == [8080, 9000]
    assert runtime.ports(pod({"name": "app"})) == [9000]
    assert runtime.ports(pod(declared, app="other")) == [8080], "a stand-in has its container's alone"


def test_what_a_process_is_given(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    monkeypatch.setenv("HTTP_PROXY", "http://corporate")
    made = pod({"name": "app", "env": [{"name": "A", "value": "the manifest's"}, {"name": "B", "value": "b"}]})
    made["spec"]["terminationGracePeriodSeconds"] = 3
    process = runtime.process_of(made)
    assert process is not None
    inbound = runtime.inbound(process, IP, [9000], proxied=True)
    assert inbound[9000] != 9000, "that is Envoy's"
    order = runtime.container(made, process, ip=IP, inbound=inbound, proxied=True, changed=lambda: None)._order
    assert order.ports == {5000: inbound[9000]}
    assert (order.env["A"], order.env["B"], order.env["POD_IP"]) == ("mine", "b", IP)
    assert not order.env.keys() & {"SECRET_OF_MINE", "HTTP_PROXY"}
    assert (order.proxy, order.grace) == (15001, 3)
    bare = runtime.container(made, process, ip=IP, inbound={9000: 9000}, proxied=False, changed=lambda: None)._order
    assert bare.proxy is None
    assert runtime.process_of(pod(app="other")) is None


def test_a_web_server_before_the_process_has_a_port_of_its_own(runtime: Runtime) -> None:
    made = pod({"name": "web", "ports": [{"containerPort": 9000}]}, {"name": "app", "ports": [{"containerPort": 5000}]})
    process = runtime.process_of(made)
    assert process is not None
    inbound = runtime.inbound(process, IP, runtime.ports(made), proxied=True)
    assert inbound[9000] == inbound[5000]
    order = runtime.container(made, process, ip=IP, inbound=inbound, proxied=True, changed=lambda: None)._order
    assert order.ports == {5000: inbound[9000]}
    bare = {5000: 5000, 9000: 9000}
    order = runtime.container(made, process, ip=IP, inbound=bare, proxied=False, changed=lambda: None)._order
    assert order.ports == {5000: 9000}, "what the user says"


def test_a_process_stands_for_a_container(runtime: Runtime) -> None:
    gateway = pod()
    process = runtime.process_of(gateway)
    assert process is not None
    with pytest.raises(LabError, match="has no container but its proxy"):
        runtime.container(gateway, process, ip=IP, inbound={}, proxied=True, changed=lambda: None)
