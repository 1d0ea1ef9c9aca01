"""The doors of pods: what counts as a refusal of plain text, and which doors there are."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from cryptography import x509

from chaos_suites.security import pods
from chaos_suites.security.pods import Door, doors


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "_SECONDS", 0.3)


@pytest.mark.parametrize(
    ("answer", "waits", "refused"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False, False),
        (b"-ERR unknown command 'GET'\r\n", False, False),
        (b"", True, False),
        (b"", False, True),
    ],
    ids=["http", "another-protocol", "slow", "ended"],
)
def test_only_an_end_without_an_answer_is_a_refusal(*, answer: bytes, waits: bool, refused: bool) -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(answer)
                if waits:
                    over.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        seen = Door("shop", "127.0.0.1", server.getsockname()[1]).refuses_plain_text()
        over.set()
        thread.join(10)
    assert seen is refused


@pytest.mark.parametrize("length", [20, 100, 200])
def test_an_identity_may_be_long(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    identity = f"spiffe://cluster.local/ns/staging/sa/{'a' * length}"
    shown = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]).public_bytes()
    monkeypatch.setattr(Door, "certificate", lambda _: shown)
    door = Door("shop", "127.0.0.1", 80)
    assert door.shows(identity)
    assert not door.shows(identity[:-1])


class Pods:
    """A harness as far as doors need one: a Service with ports by name, by number and by UDP, and pods."""

    def __init__(self, *found: dict[str, Any], selector: dict[str, str] | None = None) -> None:
        self.place = self.mesh = self
        self._found = found
        self._selector = {"app": "shop"} if selector is None else selector

    def services(self, _: str) -> list[dict[str, Any]]:
        ports = [{"port": 80, "targetPort": "web"}, {"port": 81, "targetPort": "gone"}, {"port": 53, "protocol": "UDP"}]
        return [{"metadata": {"name": "shop"}, "spec": {"selector": self._selector, "ports": ports}}]

    def pods(self, _: str) -> tuple[dict[str, Any], ...]:
        return self._found


def pod(ip: str, port: int, phase: str = "Running") -> dict[str, Any]:
    container = {"name": "app", "ports": [{"name": "web", "containerPort": port}]}
    return {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [container]},
        "status": {"podIP": ip, "phase": phase},
    }


def test_a_pod_that_has_ended_has_no_door_and_keeps_no_test_from_being_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        harness: Any = Pods(pod("127.0.0.1", port), pod("127.0.0.2", port, "Failed"))
        found = doors(harness, "staging", "shop")
    assert found == [Door("shop", "127.0.0.1", port)]


def test_a_service_without_a_selector_has_no_doors() -> None:
    harness: Any = Pods(pod("127.0.0.2", 9), selector={})
    with pytest.raises(pytest.fail.Exception, match="no pod of staging/shop runs"):
        doors(harness, "staging", "shop")


def test_a_pod_among_others_that_can_not_be_reached_is_not_skipped_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        harness: Any = Pods(pod("127.0.0.1", port), pod("127.0.0.2", port))
        with pytest.raises(pytest.fail.Exception, match="inconclusive: not all pods of staging/shop"):
            doors(harness, "staging", "shop")


def test_where_no_pod_can_be_reached_it_is_skipped() -> None:
    harness: Any = Pods(pod("127.0.0.2", 9))
    with pytest.raises(pytest.skip.Exception, match="can't be reached from here"):
        doors(harness, "staging", "shop")
