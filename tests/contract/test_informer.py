"""What is heard of VirtualServices while they are followed, on the lab's API server over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chaos.adapters import kubernetes_informer
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import MeshError
from chaos.ports import Informer
from tests.support.api_server import ApiServer, fault
from tests.support.waiting import until


@pytest.fixture
def followed(mesh: KubernetesMesh) -> Iterator[Informer]:
    followed = mesh.follow_virtual_services()
    yield followed
    followed.stop()


def names(followed: Informer) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in followed.objects())


def hears(followed: Informer, *expected: str) -> None:
    until(lambda: names(followed) == sorted(expected), f"{expected} are heard", tolerate=(MeshError,))


class Watches:
    """Stands before the API and answers some watches itself; counts what is asked for."""

    def __init__(self, server: ApiServer) -> None:
        self._inner = server.app
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.always: tuple[int, dict[str, Any]] | None = None
        self.lists = self.watches = 0
        server.app = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET" and scope["path"].endswith("/virtualservices"):
            if b"watch=true" not in scope["query_string"]:
                self.lists += 1
            else:
                self.watches += 1
                answer = self.answers.pop(0) if self.answers else self.always
                if answer is not None:
                    await send({"type": "http.response.start", "status": answer[0], "headers": []})
                    await send({"type": "http.response.body", "body": json.dumps(answer[1]).encode() + b"\n"})
                    return
        await self._inner(scope, receive, send)


def test_every_change_is_heard_without_another_list(mesh: KubernetesMesh, server: ApiServer) -> None:
    asked = Watches(server)
    first, _ = mesh.create_virtual_service(fault("aaaaaaaa"))
    followed = mesh.follow_virtual_services()
    assert names(followed) == [first["metadata"]["name"]]
    before = followed.changes
    second, _ = mesh.create_virtual_service(fault("bbbbbbbb", service="order-svc"))
    hears(followed, first["metadata"]["name"], second["metadata"]["name"])
    assert followed.changes > before
    mesh.replace_virtual_service({**first, "spec": {**first["spec"], "exportTo": ["*"]}})
    until(lambda: any(obj["spec"]["exportTo"] == ["*"] for obj in followed.objects()))
    mesh.delete_virtual_service("staging", second["metadata"]["name"])
    hears(followed, first["metadata"]["name"])
    assert asked.lists == 1
    followed.stop()
    until(lambda: all(thread.name != "informer" for thread in threading.enumerate()))


def test_a_watch_goes_on_where_the_last_one_ended(
    mesh: KubernetesMesh, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_informer, "WATCHED", 1.0)
    asked = Watches(server)
    followed = mesh.follow_virtual_services()
    hears(followed)
    until(lambda: asked.watches >= 3)
    created, _ = mesh.create_virtual_service(fault("aaaaaaaa"))
    hears(followed, created["metadata"]["name"])
    assert asked.lists == 1
    followed.stop()


def test_what_the_server_no_longer_knows_is_listed_anew(mesh: KubernetesMesh, server: ApiServer) -> None:
    asked = Watches(server)
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    asked.answers = [(200, gone)]
    followed = mesh.follow_virtual_services()
    created, _ = mesh.create_virtual_service(fault("aaaaaaaa"))
    hears(followed, created["metadata"]["name"])
    until(lambda: asked.lists == 2)
    followed.stop()


def test_who_may_not_watch_lists_now_and_then(
    mesh: KubernetesMesh, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_informer, "POLLED", 0.05)
    asked = Watches(server)
    asked.always = (403, {"kind": "Status", "code": 403, "message": "cannot watch"})
    followed = mesh.follow_virtual_services()
    hears(followed)
    created, _ = mesh.create_virtual_service(fault("aaaaaaaa"))
    hears(followed, created["metadata"]["name"])
    assert asked.lists >= 2
    followed.stop()


def test_while_the_api_is_gone_nobody_claims_to_know(
    mesh: KubernetesMesh, server: ApiServer, followed: Informer
) -> None:
    hears(followed)
    server.stop()

    def silent() -> bool:
        try:
            followed.objects()
        except MeshError:
            return True
        return False

    until(silent)
    server.start()
    created, _ = mesh.create_virtual_service(fault("aaaaaaaa"))
    hears(followed, created["metadata"]["name"])
