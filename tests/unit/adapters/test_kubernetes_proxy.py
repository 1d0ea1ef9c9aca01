"""Proxies before the API server, as companies have them: with a password, without a scheme, and wrong ones."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chaos.adapters.kubernetes_api import KubernetesApi
from chaos.adapters.kubernetes_config import load
from chaos.errors import InputError

CANARY = "canary-4711"


class Proxy(BaseHTTPRequestHandler):
    """Answers in place of the API server whoever has the password."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        given = self.headers.get("Proxy-Authorization")
        self.seen.append((self.path, given))
        content = json.dumps({"major": "1"}).encode()
        self.send_response(200 if given else 407)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def proxy() -> Iterator[str]:
    Proxy.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def kubeconfig(folder: Path, **cluster: str) -> str:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://api.example", **cluster}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "config").write_text(json.dumps(config))
    return str(folder / "config")


@pytest.mark.parametrize("form", ["http://{}:{}@{}", "{}:{}@{}"])
@pytest.mark.parametrize("by", ["kubeconfig", "environment"])
def test_a_proxy_gets_its_password(
    form: str, by: str, proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = form.format("me", "pass%2Fword", proxy)
    given: Mapping[str, str] = {"proxy-url": address} if by == "kubeconfig" else {}
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9" if given else address)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    api = KubernetesApi(kubeconfig(tmp_path, **given), "x", timeouts=(1.0, 1.0))
    assert api.get("/version") == {"major": "1"}
    basic = base64.b64encode(b"me:pass/word").decode()
    assert Proxy.seen == [("http://api.example/version", f"Basic {basic}")]


@pytest.mark.parametrize(("address", "says"), [
    (f"http://me:{CANARY}@proxy:abc", "got 'http://proxy:abc'"),
    (f"http://me:{CANARY}@[::1", "got 'http://[::1'"),
    (f"ftp://me:{CANARY}@proxy", "got 'ftp://proxy'"),
    (f"socks5://me:{CANARY}@proxy:1080", "hint: pip install PySocks"),
])  # fmt: skip
def test_a_wrong_proxy_is_told_without_its_password(
    address: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError) as caught:
        load(kubeconfig(tmp_path, **{"proxy-url": address}), "x")
    assert says in str(caught.value)
    assert CANARY not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "api.example")
    assert load(kubeconfig(tmp_path, **{"proxy-url": address}), "x"), "it is not asked"


@pytest.mark.parametrize(
    "server", ["me:canary@127.0.0.1:6443", "", "http+unix://%2Fvar", "https://me:canary@h:x", "https://me:canary@[::1"]
)
def test_a_server_without_an_address_is_told(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be used") as caught:
        load(kubeconfig(tmp_path, server=server), "x")
    assert "canary" not in str(caught.value)
