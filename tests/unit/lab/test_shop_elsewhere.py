"""The demo shop for a cluster: what its manifests say is what a stand-in in a pod takes, and it answers like that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from chaos.errors import InputError
from chaos.lab.addresses import free_port
from chaos.lab.api.store import Store
from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.manifests import create
from chaos.lab.shop_elsewhere import shop
from chaos.lab.workloads.behaviour import ANNOTATION
from chaos.lab.workloads.pod import VARIABLES, order_of
from tests.support import loopback
from tests.support.waiting import until

MADE = shop("staging", image="example/stand-in:1", labels={"env": "staging"})


def deployments() -> dict[str, Any]:
    return {obj["metadata"]["name"]: obj for obj in MADE if obj["kind"] == "Deployment"}


def test_a_cluster_takes_all_of_it() -> None:
    store = Store()
    for obj in MADE:
        create(store, VALIDATORS, obj)
    assert MADE[0]["metadata"]["labels"] == {"env": "staging", "istio-injection": "enabled"}
    assert "lab.istio-chaos.dev/stand-in" not in json.dumps(MADE)


@pytest.mark.parametrize("name", sorted(set(deployments()) - {"shop-gateway"}))
def test_every_stand_in_gets_all_that_it_asks_for(name: str) -> None:
    template = deployments()[name]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == "example/stand-in:1"
    assert {one["name"] for one in container["env"]} == set(VARIABLES)
    fields = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"] if "valueFrom" in one}
    assert fields["POD_BEHAVIOUR"] == f"metadata.annotations['{ANNOTATION}']"
    assert ANNOTATION in template["metadata"]["annotations"]
    assert {"app", "version"} <= template["metadata"]["labels"].keys()


def test_the_gateway_is_left_to_the_injector() -> None:
    (container,) = deployments()["shop-gateway"]["spec"]["template"]["spec"]["containers"]
    assert (container["image"], "env" in container) == ("auto", False)


@contextmanager
def started(behaviour: str, *, ip: str = "127.0.0.1") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    environment = {
        "POD_NAME": "a-1", "POD_NAMESPACE": "staging", "POD_IP": ip, "POD_APP": "a-svc", "POD_VERSION": "v1",
        "POD_WORKLOAD": "a", "POD_PORTS": str(port), "POD_BEHAVIOUR": behaviour,
    }  # fmt: skip
    paths = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "chaos.lab.workloads.pod"], env={**os.environ, **environment, "PYTHONPATH": paths}
    )
    try:
        until(lambda: get(port, "/healthz").status_code == 200, tolerate=(httpx.TransportError,))
        yield process, port
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str) -> httpx.Response:
    return loopback.get(f"http://127.0.0.1:{port}{path}")


def test_it_answers_calls_others_by_name_and_ends_when_its_pod_does() -> None:
    with started("routes: [{path: '/stock/{id}', payload: {stock: 7}}]") as (_, stock):
        calls = f"routes: [{{path: /orders, calls: [{{url: 'http://localhost:{stock}/stock/1', take: [stock]}}]}}]"
        with started(calls) as (process, port):
            said = get(port, "/orders").json()
            assert (said["workload"], said["service"], said["pod"], said["stock"]) == ("a", "a-svc", "a-1", 7)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_an_environment_that_is_wrong_is_told() -> None:
    with pytest.raises(InputError, match="POD_IP, POD_WORKLOAD, POD_PORTS"):
        order_of({"POD_NAME": "a", "POD_NAMESPACE": "n"})
    whole = dict.fromkeys(VARIABLES, "x")
    with pytest.raises(InputError, match="POD_PORTS: expected numbers"):
        order_of(whole)
    assert order_of({**whole, "POD_PORTS": "80,81"})["ports"] == [80, 81]
