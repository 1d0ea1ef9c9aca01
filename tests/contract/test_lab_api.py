"""The lab's Kubernetes API as kubectl and the official Python client meet it."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from tests.support import loopback
from tests.support.api_server import CONTEXT, ApiServer
from tests.support.kubectl import needs_kubectl, run_kubectl

GROUP = ("networking.istio.io", "v1", "staging", "virtualservices")


def virtual_service(name: str = "inventory", **spec: Any) -> dict[str, Any]:
    spec.setdefault("hosts", ["inventory-svc"])
    spec.setdefault("http", [{"route": [{"destination": {"host": "inventory-svc"}}]}])
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "staging"},
        "spec": spec,
    }


@pytest.fixture
def api(server: ApiServer) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(server.kubeconfig), CONTEXT) as made:
        yield made


@pytest.fixture
def custom(api: client.ApiClient) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(api)


def url(server: ApiServer) -> str:
    host, port = server.address
    return f"http://{host}:{port}"


def kubectl(server: ApiServer, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return run_kubectl(server.kubeconfig, "-n", "staging", *arguments, context=CONTEXT, stdin=stdin)


# --- the official client -----------------------------------------------------------------------------------------------


def test_create_read_replace_patch_delete(custom: client.CustomObjectsApi) -> None:
    made = custom.create_namespaced_custom_object(*GROUP, virtual_service())
    assert made["metadata"]["generation"] == 1
    made["spec"]["hosts"] = ["a"]
    replaced = custom.replace_namespaced_custom_object(*GROUP, "inventory", made)
    assert replaced["metadata"]["generation"] == 2
    assert replaced["metadata"]["uid"] == made["metadata"]["uid"]
    replaced["metadata"]["labels"] = {"x": "1"}
    labelled = custom.replace_namespaced_custom_object(*GROUP, "inventory", replaced)
    assert labelled["metadata"]["generation"] == 2, "only the spec counts"
    patched = custom.patch_namespaced_custom_object(*GROUP, "inventory", {"spec": {"hosts": ["b"]}})
    assert patched["spec"]["hosts"] == ["b"]
    custom.delete_namespaced_custom_object(*GROUP, "inventory")
    with pytest.raises(ApiException) as gone:
        custom.get_namespaced_custom_object(*GROUP, "inventory")
    assert gone.value.status == 404
    assert json.loads(gone.value.body)["reason"] == "NotFound"


def test_a_stale_write_conflicts(custom: client.CustomObjectsApi) -> None:
    stale = custom.create_namespaced_custom_object(*GROUP, virtual_service())
    custom.patch_namespaced_custom_object(*GROUP, "inventory", {"spec": {"hosts": ["b"]}})
    with pytest.raises(ApiException) as conflict:
        custom.replace_namespaced_custom_object(*GROUP, "inventory", stale)
    assert (conflict.value.status, json.loads(conflict.value.body)["reason"]) == (409, "Conflict")


def test_a_second_create_conflicts(custom: client.CustomObjectsApi) -> None:
    custom.create_namespaced_custom_object(*GROUP, virtual_service())
    with pytest.raises(ApiException) as conflict:
        custom.create_namespaced_custom_object(*GROUP, virtual_service())
    assert (conflict.value.status, json.loads(conflict.value.body)["reason"]) == (409, "AlreadyExists")


def test_delete_by_uid_spares_a_successor(custom: client.CustomObjectsApi) -> None:
    first = custom.create_namespaced_custom_object(*GROUP, virtual_service())
    custom.delete_namespaced_custom_object(*GROUP, "inventory")
    custom.create_namespaced_custom_object(*GROUP, virtual_service())
    wrong = {"preconditions": {"uid": first["metadata"]["uid"]}}
    with pytest.raises(ApiException) as conflict:
        custom.delete_namespaced_custom_object(*GROUP, "inventory", body=wrong)
    assert conflict.value.status == 409


def test_a_dry_run_validates_and_stores_nothing(custom: client.CustomObjectsApi) -> None:
    custom.create_namespaced_custom_object(*GROUP, virtual_service(), dry_run="All")
    assert custom.list_namespaced_custom_object(*GROUP)["items"] == []
    with pytest.raises(ApiException) as denied:
        custom.create_namespaced_custom_object(*GROUP, virtual_service(http=[]), dry_run="All")
    assert denied.value.status == 400
    assert "admission webhook" in json.loads(denied.value.body)["message"]


def test_a_schema_error_names_the_field(custom: client.CustomObjectsApi) -> None:
    with pytest.raises(ApiException) as invalid:
        custom.create_namespaced_custom_object(*GROUP, virtual_service(hosts="inventory-svc"))
    status = json.loads(invalid.value.body)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "spec.hosts"


def test_unknown_fields_are_dropped_with_a_warning_or_refused_when_strict(server: ApiServer) -> None:
    path = f"{url(server)}/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
    body = virtual_service(surprise=1)
    made = loopback.post(path, json=body)
    assert made.status_code == 201
    assert "surprise" not in made.json()["spec"]
    assert 'unknown field \\"spec.surprise\\"' in made.headers["warning"]
    strict = loopback.post(path, json=body, params={"fieldValidation": "Strict"})
    assert strict.status_code == 400
    assert 'strict decoding error: unknown field "spec.surprise"' in strict.json()["message"]


def test_nulls_are_dropped_without_a_word(server: ApiServer) -> None:
    path = f"{url(server)}/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
    made = loopback.post(path, json=virtual_service(gateways=None))
    assert made.status_code == 201
    assert "gateways" not in made.json()["spec"]
    assert "warning" not in made.headers
    in_a_list = loopback.post(path, json=virtual_service("other", hosts=[None]))
    assert in_a_list.status_code == 422
    assert in_a_list.json()["details"]["causes"][0]["field"] == "spec.hosts[0]"


@pytest.mark.parametrize("depth", [500, 100_000])
def test_what_is_nested_without_end_is_refused(server: ApiServer, depth: int) -> None:
    path = f"{url(server)}/api/v1/namespaces/staging/configmaps"
    body = f'{{"metadata": {{"name": "deep"}}, "data": {"[" * depth}{"]" * depth}}}'
    refused = loopback.post(path, content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 400
    assert ("too deep" if depth > 10_000 else "cannot unmarshal array") in refused.json()["message"]
    assert loopback.get(f"{path}/deep").status_code == 404


def test_selectors(api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y", "tier": "1"}), ("c", {})):
        core.create_namespaced_config_map("staging", {"metadata": {"name": name, "labels": labels}})

    def names(**selector: str) -> list[str]:
        return [one.metadata.name for one in core.list_namespaced_config_map("staging", **selector).items]

    assert names(label_selector="app=x") == ["a"]
    assert names(label_selector="app!=x") == ["b", "c"]
    assert names(label_selector="app in (x,y),!tier") == ["a"]
    assert names(label_selector="app notin (x)") == ["b", "c"]
    assert names(label_selector="tier") == ["b"]
    assert names(field_selector="metadata.name=c") == ["c"]


def test_owned_objects_go_with_their_owner(api: client.ApiClient, custom: client.CustomObjectsApi) -> None:
    leases = client.CoordinationV1Api(api)
    lease = leases.create_namespaced_lease("staging", {"metadata": {"name": "l"}, "spec": {}})
    owner = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "l", "uid": lease.metadata.uid}
    owned = virtual_service("owned")
    owned["metadata"]["ownerReferences"] = [owner]
    custom.create_namespaced_custom_object(*GROUP, owned)
    custom.create_namespaced_custom_object(*GROUP, virtual_service("free"))
    leases.delete_namespaced_lease("l", "staging")
    left = custom.list_namespaced_custom_object(*GROUP)["items"]
    assert [one["metadata"]["name"] for one in left] == ["free"]
    dangling = virtual_service("dangling")
    dangling["metadata"]["ownerReferences"] = [owner]
    custom.create_namespaced_custom_object(*GROUP, dangling)
    left = custom.list_namespaced_custom_object(*GROUP)["items"]
    assert [one["metadata"]["name"] for one in left] == ["free"], "an owner of that uid is not there"


def test_deleting_a_namespace_deletes_what_is_in_it(api: client.ApiClient, custom: client.CustomObjectsApi) -> None:
    custom.create_namespaced_custom_object(*GROUP, virtual_service())
    client.CoreV1Api(api).delete_namespace("staging")
    assert custom.list_cluster_custom_object(GROUP[0], "v1", "virtualservices")["items"] == []


def test_all_versions_of_istio_show_the_same_object(custom: client.CustomObjectsApi) -> None:
    custom.create_namespaced_custom_object(*GROUP, virtual_service())
    for version in ("v1", "v1beta1", "v1alpha3"):
        found = custom.get_namespaced_custom_object(GROUP[0], version, *GROUP[2:], "inventory")
        assert found["apiVersion"] == f"networking.istio.io/{version}"
        assert found["spec"]["hosts"] == ["inventory-svc"]


def test_a_watch_tells_every_change_in_order(custom: client.CustomObjectsApi) -> None:
    version = custom.list_namespaced_custom_object(*GROUP)["metadata"]["resourceVersion"]

    def meddle() -> None:
        custom.create_namespaced_custom_object(*GROUP, virtual_service())
        custom.patch_namespaced_custom_object(*GROUP, "inventory", {"spec": {"hosts": ["b"]}})
        custom.delete_namespaced_custom_object(*GROUP, "inventory")

    thread = threading.Thread(target=meddle)
    thread.start()
    seen = []
    for event in watch.Watch().stream(
        custom.list_namespaced_custom_object, *GROUP, resource_version=version, timeout_seconds=10
    ):
        seen.append((event["type"], int(event["object"]["metadata"]["resourceVersion"])))
        if event["type"] == "DELETED":
            break
    thread.join()
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]
    assert [at for _, at in seen] == sorted(at for _, at in seen)


@pytest.mark.parametrize(
    ("flag", "watches"), [("1", True), ("true", True), ("True", True), ("", True), ("false", False), ("0", False)]
)
def test_a_flag_is_read_as_an_api_server_does(server: ApiServer, flag: str, watches: bool) -> None:
    loopback.post(f"{url(server)}/api/v1/namespaces/staging/configmaps", json={"metadata": {"name": "c"}})
    asked = {"watch": flag, "timeoutSeconds": "1"}
    told = json.loads(
        loopback.get(f"{url(server)}/api/v1/namespaces/staging/configmaps", params=asked).text.splitlines()[0]
    )
    assert (told.get("type") == "ADDED") is watches
    assert (told.get("kind") == "ConfigMapList") is not watches


def test_a_list_may_be_streamed_and_says_where_it_ends(server: ApiServer) -> None:
    path = f"{url(server)}/api/v1/namespaces/staging/configmaps"
    for number in range(2):
        loopback.post(path, json={"metadata": {"name": f"c{number}"}})
    asked = {
        "watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true",
        "timeoutSeconds": "1",
    }  # fmt: skip
    told = [json.loads(line) for line in loopback.get(path, params=asked).text.splitlines()]
    assert [one["type"] for one in told[:3]] == ["ADDED", "ADDED", "BOOKMARK"]
    end = told[2]["object"]["metadata"]
    assert end["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["resourceVersion"] == loopback.get(path).json()["metadata"]["resourceVersion"]


def test_older_kubectls_get_the_schema_in_protobuf(server: ApiServer) -> None:
    wanted = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = loopback.get(f"{url(server)}/openapi/v2", headers={"accept": wanted})
    assert answer.headers["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert answer.content.startswith(b"\x0a\x032.0")


def test_a_watch_from_a_forgotten_version_is_gone(server: ApiServer) -> None:
    path = f"{url(server)}/api/v1/namespaces/staging/configmaps"
    for number in range(3):
        loopback.post(path, json={"metadata": {"name": f"c{number}"}})
    server.store._log.clear()  # as if 20,000 changes had happened since
    answer = loopback.get(path, params={"watch": "1", "resourceVersion": "1"})
    told = answer.json()
    assert (answer.status_code, told["type"]) == (200, "ERROR"), "a watch has begun when it notices"
    assert (told["object"]["code"], told["object"]["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("kind", "patch", "hosts"),
    [
        ("application/json-patch+json", [{"op": "add", "path": "/spec/hosts/-", "value": "b"}], ["inventory-svc", "b"]),
        ("application/json-patch+json", [{"op": "test", "path": "/spec/hosts/0", "value": "inventory-svc"},
                                         {"op": "replace", "path": "/spec/hosts/0", "value": "c"}], ["c"]),
        ("application/merge-patch+json", {"spec": {"hosts": ["d"]}}, ["d"]),
    ],
)  # fmt: skip
def test_patches(server: ApiServer, custom: client.CustomObjectsApi, kind: str, patch: Any, hosts: list[str]) -> None:
    custom.create_namespaced_custom_object(*GROUP, virtual_service())
    path = f"{url(server)}/apis/networking.istio.io/v1/namespaces/staging/virtualservices/inventory"
    answer = httpx.patch(path, content=json.dumps(patch), headers={"content-type": kind})
    assert answer.json()["spec"]["hosts"] == hosts


@pytest.mark.parametrize(
    ("kind", "patch", "code"),
    [
        ("application/json-patch+json", [{"op": "test", "path": "/spec/hosts/0", "value": "z"}], 422),
        ("application/json-patch+json", [{"op": "remove", "path": "/spec/nothing"}], 422),
        ("application/json-patch+json", {"spec": {}}, 400),
        ("application/strategic-merge-patch+json", {"spec": {}}, 415),
        ("text/plain", {}, 415),
    ],
)
def test_patches_that_can_not_be(
    server: ApiServer, custom: client.CustomObjectsApi, kind: str, patch: Any, code: int
) -> None:
    custom.create_namespaced_custom_object(*GROUP, virtual_service())
    path = f"{url(server)}/apis/networking.istio.io/v1/namespaces/staging/virtualservices/inventory"
    assert httpx.patch(path, content=json.dumps(patch), headers={"content-type": kind}).status_code == code


@pytest.mark.parametrize("path", ["/api/v1/nothings", "/apis/apps/v1/controllerrevisions"])
def test_what_kubernetes_groups_do_not_have_is_not_found(server: ApiServer, path: str) -> None:
    answer = loopback.get(url(server) + path)
    assert answer.status_code == 404
    assert answer.json()["kind"] == "Status"


@pytest.mark.parametrize("path", ["/apis/nothing.io/v1/things", "/nonsense"])
def test_what_nobody_serves_is_no_page(server: ApiServer, path: str) -> None:
    answer = loopback.get(url(server) + path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


# --- kubectl -----------------------------------------------------------------------------------------------------------


@needs_kubectl
def test_kubectl_apply_get_patch_label_delete(server: ApiServer) -> None:
    manifest = json.dumps(virtual_service())
    assert (
        kubectl(server, "apply", "-f", "-", stdin=manifest).stdout
        == "virtualservice.networking.istio.io/inventory created\n"
    )
    assert "unchanged" in kubectl(server, "apply", "-f", "-", stdin=manifest).stdout
    changed = json.dumps(virtual_service(hosts=["a", "b"]))
    assert "configured" in kubectl(server, "apply", "-f", "-", stdin=changed).stdout
    assert '["a","b"]' in kubectl(server, "get", "vs").stdout
    assert (
        "patched"
        in kubectl(server, "patch", "vs", "inventory", "--type=merge", "-p", '{"spec":{"hosts":["z"]}}').stdout
    )
    assert "labeled" in kubectl(server, "label", "vs", "inventory", "a=1").stdout
    assert kubectl(server, "get", "vs", "inventory", "-o", "jsonpath={.spec.hosts[0]}").stdout == "z"
    assert "deleted" in kubectl(server, "delete", "vs", "inventory").stdout
    assert "NotFound" in kubectl(server, "get", "vs", "inventory").stderr


@needs_kubectl
def test_kubectl_shows_what_the_webhook_says(server: ApiServer) -> None:
    route = [{"destination": {"host": "inventory-svc"}}]
    unreachable = json.dumps(virtual_service(http=[{"route": route}, {"name": "second", "route": route}]))
    told = kubectl(server, "apply", "-f", "-", stdin=unreachable)
    assert 'Warning: virtualService rule "second" not used' in told.stderr
    denied = kubectl(
        server,
        "apply",
        "-f",
        "-",
        stdin=json.dumps(virtual_service("m", tcp=[{"route": route}])),
    )
    assert denied.returncode != 0
    assert "the lab does not support spec.tcp yet" in denied.stderr


@needs_kubectl
def test_kubectl_scale_and_describe(server: ApiServer) -> None:
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}},
                 "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }  # fmt: skip
    kubectl(server, "apply", "-f", "-", stdin=json.dumps(deployment))
    assert "scaled" in kubectl(server, "scale", "deploy", "d", "--replicas=3").stdout
    assert kubectl(server, "get", "deploy", "d", "-o", "jsonpath={.spec.replicas}").stdout == "3"
    assert "Name:" in kubectl(server, "describe", "deploy", "d").stdout
    assert kubectl(server, "auth", "can-i", "create", "vs").stdout == "yes\n"


def pages(client: Any, path: str, limit: int, **query: str) -> list[dict[str, Any]]:
    found, token = [], ""
    while True:
        asked = {"limit": str(limit), **query, **({"continue": token} if token else {})}
        page = client.get(path, params=asked).json()
        found.append(page)
        token = page["metadata"].get("continue", "")
        if not token:
            return found


def test_lists_come_in_pages_of_one_moment(server: ApiServer) -> None:
    path = "/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
    with loopback.Client(base_url="http://{}:{}".format(*server.address)) as client:
        for number in range(7):
            client.post(path, json=virtual_service(f"vs-{number}"))
        found = pages(client, path, 3)
        assert [len(page["items"]) for page in found] == [3, 3, 1]
        assert [page["metadata"].get("remainingItemCount") for page in found] == [4, 1, None]
        assert len({page["metadata"]["resourceVersion"] for page in found}) == 1
        first = client.get(path, params={"limit": "3"}).json()
        client.delete(f"{path}/vs-5")
        client.post(path, json=virtual_service("vs-9"))
        rest = client.get(path, params={"limit": "9", "continue": first["metadata"]["continue"]}).json()
        assert [item["metadata"]["name"] for item in rest["items"]] == ["vs-3", "vs-4", "vs-5", "vs-6"], (
            "as it was then"
        )
        assert client.get(path, params={"continue": "nonsense"}).status_code == 400
        server.store._log.clear()  # as if 20,000 changes had happened since
        gone = client.get(path, params={"continue": first["metadata"]["continue"]})
        assert (gone.status_code, gone.json()["reason"]) == (410, "Expired")
        assert client.get(path, params={"limit": "many"}).status_code == 400


def test_field_selectors_select_or_are_refused(server: ApiServer) -> None:
    with loopback.Client(base_url="http://{}:{}".format(*server.address)) as client:
        for name, involved in (("e1", "a"), ("e2", "b")):
            event = {
                "metadata": {"name": name},
                "involvedObject": {"kind": "Service", "name": involved, "namespace": "staging"},
                "type": "Normal",
            }
            assert client.post("/api/v1/namespaces/staging/events", json=event).status_code == 201
        found = client.get("/api/v1/events", params={"fieldSelector": "involvedObject.name=b,type!=Warning"}).json()
        assert [item["metadata"]["name"] for item in found["items"]] == ["e2"]
        named = client.get("/api/v1/namespaces", params={"fieldSelector": "metadata.name!=staging"}).json()["items"]
        assert "staging" not in [item["metadata"]["name"] for item in named]
        refused = client.get("/api/v1/events", params={"fieldSelector": "message=x"})
        assert (refused.status_code, refused.json()["message"]) == (400, "field label not supported: message")
