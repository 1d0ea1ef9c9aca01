"""What the Kubernetes adapter does beyond the port: its words, execs, and trouble on the way; ``test_mesh.py`` has what every mesh does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import InputError, MeshError
from chaos.lab.api.execute import ExecResult
from chaos.lab.api.resources import DEPLOYMENTS, PODS
from chaos.ports import Mesh
from tests.support.api_server import CONTEXT, ApiServer, fault, kubeconfig, lease


async def pilot_agent(namespace: str, pod: str, container: str, argv: list[str]) -> ExecResult:
    if container != "istio-proxy" or argv != [
        "pilot-agent",
        "request",
        "GET",
        "config_dump?resource=dynamic_route_configs",
    ]:
        return ExecResult(stderr=b"not found\n", exit_code=127)
    if pod == "sick":
        return ExecResult(stderr=b"no answer from the admin\n", exit_code=1)
    if pod == "slow":
        await asyncio.sleep(0.1)
    return ExecResult(
        stdout=json.dumps({"configs": ["chaos-r1" * 20_000, "é"]}, ensure_ascii=False).encode(), stderr=b"noise"
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    server = ApiServer(tmp_path_factory.mktemp("api"), exec_handler=pilot_agent)
    yield server
    server.stop()


@pytest.fixture
def server(shared: ApiServer) -> ApiServer:
    shared.calls.clear()
    return shared


@pytest.fixture
def mesh(server: ApiServer) -> Iterator[Mesh]:
    mesh = KubernetesMesh(str(server.kubeconfig), CONTEXT)
    yield mesh
    for obj in mesh.injected():
        delete = mesh.delete_lease if obj["kind"] == "Lease" else mesh.delete_virtual_service
        delete(obj["metadata"]["namespace"], obj["metadata"]["name"])


# --- reading ---------------------------------------------------------------------------------------------------------


def test_identity(server: ApiServer, mesh: Mesh) -> None:
    identity = mesh.identity()
    assert identity.context == CONTEXT
    assert identity.server == "http://{}:{}".format(*server.address)
    place = mesh.namespace("kube-system")
    assert place is not None
    assert identity.uid == place["metadata"]["uid"]
    assert identity.kubernetes.startswith("v1.")
    assert identity.istio == ""


@pytest.mark.parametrize("root", ["istio-system", "mesh-root"])
def test_the_version_of_istio_is_that_of_istiods_image(server: ApiServer, root: str) -> None:
    from chaos.lab.api.resources import NAMESPACES

    mesh = KubernetesMesh(str(server.kubeconfig), CONTEXT, root=root)
    server.store.create(NAMESPACES, {"metadata": {"name": root}})
    istiod = {
        "metadata": {"name": "istiod", "namespace": root, "labels": {"app": "istiod"}},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "discovery", "image": "reg:5000/istio/pilot:1.26.2-distroless"}]}
            }
        },
    }
    server.store.create(DEPLOYMENTS, istiod)
    try:
        assert mesh.identity().istio == "1.26.2"
    finally:
        server.store.delete(NAMESPACES, None, root)


def test_a_dry_run_stores_nothing_and_tells_what_the_server_thinks(mesh: Mesh) -> None:
    odd = fault("r1")
    odd["spec"]["http"].insert(0, {**odd["spec"]["http"][0], "name": "first"})
    stored, warnings = mesh.create_virtual_service(odd, dry_run=True)
    assert stored["metadata"]["uid"]
    assert any("IST0130" in text or "unreachable" in text or "not used" in text for text in warnings), warnings
    assert mesh.virtual_services() == []


def test_what_the_schema_forbids_is_refused_with_the_servers_words(mesh: Mesh) -> None:
    wrong = fault("r1")
    wrong["spec"]["http"][0]["fault"]["abort"]["httpStatos"] = 503
    with pytest.raises(MeshError, match="httpStatos") as caught:
        mesh.create_virtual_service(wrong, dry_run=True)
    assert caught.value.status in (400, 422)


# --- exec ------------------------------------------------------------------------------------------------------------


def test_the_routes_of_a_proxy_come_whole_and_without_noise(server: ApiServer, mesh: Mesh) -> None:
    for name in ("well", "slow", "sick"):
        server.store.create(PODS, {"metadata": {"name": name, "namespace": "production"}})
    for name in ("well", "slow"):
        text = mesh.routes_of_proxy("production", name)
        assert text is not None
        assert json.loads(text) == {"configs": ["chaos-r1" * 20_000, "é"]}
    assert mesh.routes_of_proxy("production", "sick") is None
    assert mesh.routes_of_proxy("production", "nowhere") is None


def test_where_exec_is_denied_there_are_no_routes(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)  # serves no exec at all: answers 403 to the handshake
    try:
        assert KubernetesMesh(str(server.kubeconfig), CONTEXT).routes_of_proxy("staging", "p") is None
    finally:
        server.stop()


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_the_context_has_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(kubeconfig("http://127.0.0.1:1"))
    with pytest.raises(InputError, match="no context is named"):
        KubernetesMesh(str(tmp_path / "k"), "")
    with pytest.raises(InputError, match="got 'stagign'") as caught:
        KubernetesMesh(str(tmp_path / "k"), "stagign")
    assert caught.value.hint == f"its contexts are: not-to-be-used, {CONTEXT}"


@pytest.mark.parametrize(
    "text", [None, "", "[]", "just words", "{", '{"contexts": 3}', '{"contexts": [{"name": "test-mesh"}]}']
)
def test_a_kubeconfig_that_is_none_is_the_users_mistake(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "k").write_text(text)
    with pytest.raises(InputError, match=str(tmp_path / "k")):
        KubernetesMesh(str(tmp_path / "k"), CONTEXT)


def test_a_token_that_is_none_is_not_taken_for_a_file_that_is_no_text(tmp_path: Path) -> None:
    oidc = {"name": "oidc", "config": {"id-token": "a.__8.c", "idp-issuer-url": "https://x"}}
    config = json.loads(kubeconfig("http://127.0.0.1:1"))
    config["users"] = [{"name": "u", "user": {"auth-provider": oidc}}]
    (tmp_path / "k").write_text(json.dumps(config))
    with pytest.raises(InputError, match="something in it is not of the form of a kubeconfig"):
        KubernetesMesh(str(tmp_path / "k"), CONTEXT)


def test_an_unreachable_api_is_told_within_seconds(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(kubeconfig("http://127.0.0.1:1"))
    mesh = KubernetesMesh(str(tmp_path / "k"), CONTEXT)
    start = time.monotonic()
    with pytest.raises(MeshError, match=r"no answer from http://127\.0\.0\.1:1: ") as caught:
        mesh.identity()
    assert caught.value.status is None
    assert caught.value.hint is not None
    assert CONTEXT in caught.value.hint
    assert time.monotonic() - start < 5


class Scripted:
    """Stands before the API and answers some requests itself: before they reach it, or after."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.plan: list[tuple[str, int, dict[bytes, bytes]]] = []
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.seen.append(scope["method"])
        if not self.plan:
            await self.app(scope, receive, send)
            return
        when, status, headers = self.plan.pop(0)
        if when == "after":

            async def swallow(message: Any) -> None:
                del message

            await self.app(scope, receive, swallow)
        await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
        body = json.dumps({"kind": "Status", "message": "scripted", "code": status}).encode()
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def scripted(server: ApiServer) -> Iterator[Scripted]:
    inner = server.app
    server.app = script = Scripted(inner)
    yield script
    server.app = inner


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_tried_again(mesh: Mesh, scripted: Scripted, status: int) -> None:
    scripted.plan = [("before", status, {}), ("before", status, {b"retry-after": b"0"})]
    assert mesh.services("production") == []
    assert scripted.seen == ["GET"] * 3


def test_a_read_is_not_tried_for_ever(mesh: Mesh, scripted: Scripted) -> None:
    scripted.plan = [("before", 503, {})] * 50
    start = time.monotonic()
    with pytest.raises(MeshError, match="503 scripted") as caught:
        mesh.services("production")
    assert caught.value.status == 503
    assert len(scripted.seen) <= 4
    assert time.monotonic() - start < 8
    scripted.plan.clear()


def test_a_long_retry_after_is_not_waited_for(mesh: Mesh, scripted: Scripted) -> None:
    scripted.plan = [("before", 429, {b"retry-after": b"600"})]
    start = time.monotonic()
    with pytest.raises(MeshError) as caught:
        mesh.services("production")
    assert (caught.value.status, scripted.seen) == (429, ["GET"])
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refused_read_is_final(mesh: Mesh, scripted: Scripted, status: int) -> None:
    scripted.plan = [("before", status, {})] * 2
    with pytest.raises(MeshError) as caught:
        mesh.services("production")
    assert caught.value.status == status
    assert len(scripted.seen) == (2 if status == 410 else 1)  # an expired continuation begins anew, once
    scripted.plan.clear()


def test_namespaces_fall_back_to_the_contexts_own(mesh: Mesh, scripted: Scripted) -> None:
    scripted.plan = [("before", 403, {})]
    assert [n["metadata"]["name"] for n in mesh.namespaces()] == ["staging"]
    scripted.plan = [("before", 403, {})] * 2
    assert mesh.namespaces() == []


def test_a_write_that_was_turned_away_is_tried_again(mesh: Mesh, scripted: Scripted) -> None:
    mesh.virtual_services()
    scripted.seen.clear()
    scripted.plan = [("before", 429, {})] * 2
    mesh.create_virtual_service(fault("r1"))
    assert scripted.seen == ["POST"] * 3
    assert len(mesh.virtual_services()) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_write_is_never_repeated(mesh: Mesh, scripted: Scripted, status: int) -> None:
    mesh.virtual_services()
    scripted.seen.clear()
    scripted.plan = [("before", status, {})]
    with pytest.raises(MeshError) as caught:
        mesh.create_virtual_service(fault("r1"))
    assert caught.value.status == status
    assert scripted.seen.count("POST") == 1
    assert mesh.virtual_services() == []
    held = mesh.create_lease(lease("r1"))
    for write in (lambda: mesh.replace_lease(held), lambda: mesh.delete_lease("staging", "chaos-inventory-svc")):
        scripted.plan = [("before", status, {})]
        scripted.seen.clear()
        with pytest.raises(MeshError):
            write()
        assert len(scripted.seen) == 1


@pytest.mark.parametrize("status", [500, 504])
def test_a_creation_whose_answer_was_lost_is_read_back(mesh: Mesh, scripted: Scripted, status: int) -> None:
    mesh.virtual_services()
    scripted.seen.clear()
    scripted.plan = [("after", status, {})]
    stored, _ = mesh.create_virtual_service(fault("r1"))
    assert stored["metadata"]["name"] == "chaos-r1-inventory-svc"
    assert scripted.seen == ["POST", "GET"]


def test_an_object_of_another_run_is_not_taken_for_ours(mesh: Mesh, scripted: Scripted) -> None:
    other = fault("r2")
    other["metadata"]["name"] = fault("r1")["metadata"]["name"]
    mesh.create_virtual_service(other)
    scripted.plan = [("before", 500, {})]
    with pytest.raises(MeshError):
        mesh.create_virtual_service(fault("r1"))


def test_an_answer_that_is_no_json_is_an_error(mesh: Mesh, server: ApiServer) -> None:
    inner = server.app

    async def portal(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>log in</html>"})

    server.app = portal
    try:
        with pytest.raises(MeshError, match="expected JSON"):
            mesh.namespace("staging")
    finally:
        server.app = inner


@pytest.mark.parametrize("effect", ["before", "after"])
def test_a_broken_connection_is_an_unknown_write(tmp_path: Path, server: ApiServer, effect: str) -> None:
    """A proxy that cuts the connection of every POST, before or after the API got it."""
    with cutting_proxy(server.address, effect) as (port, posts):
        (tmp_path / "k").write_text(kubeconfig(f"http://127.0.0.1:{port}"))
        mesh = KubernetesMesh(str(tmp_path / "k"), CONTEXT)
        if effect == "after":
            stored, _ = mesh.create_virtual_service(fault("r1"))
            assert mesh.delete_virtual_service("staging", stored["metadata"]["name"]) is True
        else:
            with pytest.raises(MeshError) as caught:
                mesh.create_virtual_service(fault("r1"))
            assert caught.value.status is None
            assert mesh.virtual_services() == []
        assert len(posts) == 1


class cutting_proxy:  # noqa: N801 - used as a context manager
    def __init__(self, upstream: tuple[str, int], effect: str) -> None:
        self.upstream, self.effect = upstream, effect
        self.posts: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> tuple[int, list[bytes]]:
        self.thread.start()
        return self.listener.getsockname()[1], self.posts

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                request = self.whole(client)
                if not request:
                    continue
                cut = request.startswith(b"POST")
                if cut:
                    self.posts.append(request)
                if cut and self.effect == "before":
                    continue
                with socket.create_connection(self.upstream) as api:
                    api.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    answer = b"".join(iter(lambda: api.recv(65536), b""))
                if not cut:
                    client.sendall(answer)

    @staticmethod
    def whole(client: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = client.recv(65536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += client.recv(65536)
        return head + b"\r\n\r\n" + body


def test_lists_come_page_by_page(server: ApiServer, mesh: Mesh) -> None:
    """The lab's server gives everything at once; so pages are put before it here."""
    inner, pages = server.app, []

    async def paged(scope: Any, receive: Any, send: Any) -> None:
        query = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
        pages.append(query)
        going_on = query.get("continue")
        body = {
            "kind": "ServiceList", "apiVersion": "v1",
            "metadata": {} if going_on else {"continue": "next"},
            "items": [{"metadata": {"name": "second" if going_on else "first"}}],
        }  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    server.app = paged
    try:
        assert [(s["kind"], s["metadata"]["name"]) for s in mesh.services("staging")] == [
            ("Service", "first"),
            ("Service", "second"),
        ]
    finally:
        server.app = inner
    assert [page.get("continue") for page in pages] == [None, "next"]
