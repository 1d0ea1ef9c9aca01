"""The entry as real servers on loopback answer it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.adapters.http_probe import HttpProbe
from chaos.model.experiment import Request
from chaos.values.entry import Contact, Hindrance
from tests.contract.load_server import Server
from tests.support.certificates import certificate, pem
from tests.support.tls_server import over_tls

ORDERS = Request.get("/ok", headers={"x-user": "1"})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def probe() -> HttpProbe:
    return HttpProbe(timeout=0.3)


@pytest.fixture
def closed() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_an_answer_is_an_answer_whatever_its_status(server: Server, probe: HttpProbe) -> None:
    assert probe.connect(server.url, host=None) == Contact()
    assert probe.ask(server.url, ORDERS, host="shop.example") == Contact(status=200)
    assert probe.ask(server.url, Request.get("/status/404"), host=None) == Contact(status=404)
    assert probe.ask(server.url, Request.get("/redirect"), host=None) == Contact(status=302, location="/followed")
    (first, *_) = server.seen
    assert (first.method, first.path, first.headers["host"], first.headers["x-user"]) == (
        "GET",
        "/ok",
        "shop.example",
        "1",
    )
    assert server.paths()["/followed"] == 0


def test_the_answers_that_do_not_come_are_told_apart(server: Server, probe: HttpProbe, closed: str) -> None:
    assert probe.ask(server.url, Request.get("/closed"), host=None).hindrance is Hindrance.CLOSED
    assert probe.ask(server.url, Request.get("/silent"), host=None).hindrance is Hindrance.SILENT
    assert probe.connect(closed, host=None) == Contact(hindrance=Hindrance.REFUSED)
    assert probe.connect("http://no-such-host.invalid", host=None).hindrance is Hindrance.UNKNOWN_NAME


def test_a_body_that_trickles_in_is_not_waited_for(server: Server, probe: HttpProbe) -> None:
    assert probe.ask(server.url, Request.get("/drip"), host=None) == Contact(status=200)


def test_an_envoy_that_answers_by_itself_is_known() -> None:
    import httpx

    from chaos.adapters.http_probe import _contact

    own = httpx.Response(404, headers={"server": "istio-envoy", "content-length": "0"})
    services = httpx.Response(404, headers={"server": "istio-envoy", "x-envoy-upstream-service-time": "3"})
    assert [_contact(one).by_gateway for one in (own, services, httpx.Response(404))] == [True, False, False]


def test_tls_and_plain_http_are_told_apart(server: Server, probe: HttpProbe, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"https://127.0.0.1:{listening.getsockname()[1]}"

        def refuse() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        assert probe.connect(address, host=None).hindrance is Hindrance.NO_TLS
    waits = probe.connect(server.url.replace("http:", "https:"), host=None)
    assert waits == Contact(hindrance=Hindrance.TLS_FAILED, detail="no answer in time")
    with over_tls(tmp_path, "shop.example", certificate("an authority")) as (url, _):
        plain = url.replace("https:", "http:")
        assert probe.connect(plain, host=None) == Contact()
        assert probe.ask(plain, ORDERS, host=None) == Contact(hindrance=Hindrance.TLS_ONLY)


def test_a_certificate_that_is_not_trusted_is_told_and_hinders_nothing(
    probe: HttpProbe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificate("an authority")
    (tmp_path / "root.pem").write_text(pem(*authority)[0])
    with over_tls(tmp_path, "shop.example", authority) as (url, seen):
        unknown = probe.connect(url, host="shop.example")
        assert unknown.hindrance is None
        assert "issuer certificate" in unknown.certificate
        assert probe.ask(url, ORDERS, host="shop.example") == Contact(status=200)
        assert seen[-2:] == ["sni shop.example", "Host: shop.example"]
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
        assert probe.connect(url, host="shop.example") == Contact()
        assert "not valid for 'other.example'" in probe.connect(url, host="other.example").certificate


def test_a_handshake_that_fails_is_told(probe: HttpProbe, tmp_path: Path) -> None:
    with over_tls(tmp_path, "shop.example", certificate("an authority"), wants_certificate=True) as (url, _):
        found = probe.connect(url, host="shop.example")
    assert found.hindrance is Hindrance.TLS_FAILED
    assert found.detail


def test_no_proxy_of_the_environment_stands_between(
    server: Server, probe: HttpProbe, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, closed)
    assert probe.ask(server.url, ORDERS, host=None) == Contact(status=200)
    assert not probe.connect(server.url, host=None).proxied
    assert probe.connect("http://no-such-host.invalid", host=None).proxied
    monkeypatch.setenv("NO_PROXY", ".invalid")
    assert not probe.connect("http://no-such-host.invalid", host=None).proxied
