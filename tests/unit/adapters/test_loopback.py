"""No proxy of the environment is asked for this very machine; one that a kubeconfig names is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.adapters.kubernetes_config import load
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.adapters.loopback import directly, is_loopback
from chaos.adapters.prometheus_metrics import PrometheusMetrics
from tests.contract.load_server import Server
from tests.support.api_server import CONTEXT, ApiServer

NOBODY = "http://127.0.0.1:9"
NAMES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY")


@pytest.fixture(autouse=True)
def behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, NOBODY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.9.8.7", "http://localhost/x", "http://[::1]:80"])
def test_addresses_of_this_machine_are_known(url: str) -> None:
    assert is_loopback(url)
    assert not is_loopback(url.replace("127.", "10.").replace("localhost", "localhost.example").replace("::1", "::2"))


def test_a_process_is_told_what_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "a.example")
    found = directly("http://127.0.0.1:1")
    assert (found["NO_PROXY"], found["no_proxy"]) == ("a.example,127.0.0.1", "a.example,127.0.0.1")
    assert directly("http://10.0.0.1")["NO_PROXY"] == "a.example"


def test_prometheus_is_asked_directly() -> None:
    with Server() as server:
        with pytest.raises(Exception, match="is no data of Prometheus"):  # an answer, though not Prometheus'
            PrometheusMetrics(server.url).now()
        assert sum(server.paths().values()) == 1


def test_the_api_is_asked_directly(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)
    try:
        assert KubernetesMesh(str(server.kubeconfig), CONTEXT).identity().context == CONTEXT
    finally:
        server.stop()


def test_the_proxy_of_a_kubeconfig_holds(tmp_path: Path) -> None:
    config = {
        "clusters": [
            {"name": "c", "cluster": {"server": "https://127.0.0.1:1", "proxy-url": "http://proxy.example:3128"}}
        ],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    loaded = load(str(tmp_path / "config"), "x").configuration
    assert (loaded.proxy, loaded.no_proxy) == ("http://proxy.example:3128", None)
    del config["clusters"][0]["cluster"]["proxy-url"]  # type: ignore[attr-defined]
    (tmp_path / "config").write_text(json.dumps(config))
    assert load(str(tmp_path / "config"), "x").configuration.no_proxy == "127.0.0.1"
