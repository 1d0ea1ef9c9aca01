"""Who is a caller and who is a gateway, by what the injector and istiod write into pods."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.proxy import proxy_role
from chaos.istio.workloads import workloads_of

APP = {"name": "app"}
OF_THE_GATEWAY_API = {
    "sidecar.istio.io/inject": "false", "gateway.networking.k8s.io/gateway-name": "door",
    "gateway.networking.k8s.io/gateway-class-name": "istio", "gateway.istio.io/managed": "istio.io-gateway-controller",
}  # fmt: skip
OF_A_WAYPOINT = {**OF_THE_GATEWAY_API, "gateway.istio.io/managed": "istio.io-mesh-controller"}


def pod(
    *args: str, labels: Any = None, templates: str = "", init: bool = False, app: bool = True, command: Any = None
) -> dict[str, Any]:
    proxy = {"name": "istio-proxy"} | ({"args": list(args)} if args else {}) | ({"command": command} if command else {})
    spec = {
        "containers": [*([APP] if app else []), *([] if init else [proxy])],
        "initContainers": [proxy] if init else [],
    }
    notes = {"inject.istio.io/templates": templates} if templates else {}
    return {"metadata": {"name": "p", "namespace": "n", "labels": labels or {}, "annotations": notes}, "spec": spec}


@pytest.mark.parametrize(
    ("given", "role"),
    [
        pytest.param({"metadata": {"name": "p"}, "spec": {"containers": [APP]}}, "", id="no proxy"),
        pytest.param(pod("proxy", "sidecar", "--domain", "x"), "sidecar", id="injected"),
        pytest.param(pod("proxy", "sidecar", init=True), "sidecar", id="a native sidecar"),
        pytest.param(pod("proxy", "--log_as_json"), "sidecar", id="pilot-agent takes no role for a sidecar"),
        pytest.param(pod("proxy", "sidecar", labels={"istio": "mine"}), "sidecar", id="an application labelled istio"),
        pytest.param(pod("proxy", "sidecar", templates="sidecar,mine"), "sidecar", id="a sidecar and a template of one's own"),
        pytest.param(pod("proxy", "router", labels=OF_THE_GATEWAY_API, app=False), "router", id="for the Gateway API"),
        pytest.param(pod("proxy", "waypoint", labels=OF_A_WAYPOINT, app=False), "waypoint", id="a waypoint"),
        pytest.param(pod("proxy", "ztunnel", app=False), "ztunnel", id="a ztunnel"),
        pytest.param(pod("proxy", "router", labels={"istio": "ingressgateway"}, app=False), "router", id="Istio's own"),
        pytest.param(pod("proxy", "router", app=False), "router", id="a gateway without any label"),
        pytest.param(pod("router", command=["pilot-agent", "proxy"], app=False), "router", id="by its command"),
        pytest.param(pod(templates="gateway", app=False), "router", id="not injected yet"),
        pytest.param(pod(templates="gateway, mine", app=False), "router", id="not injected yet, with another template"),
        pytest.param(pod(), "sidecar", id="nothing is said"),
    ],
)  # fmt: skip
def test_the_proxys_arguments_say_what_it_is(given: dict[str, Any], role: str) -> None:
    assert proxy_role(given) == role
    if "namespace" in given["metadata"]:
        (found,) = workloads_of([given])
        assert found.proxied
        assert found.gateway is (role != "sidecar")
