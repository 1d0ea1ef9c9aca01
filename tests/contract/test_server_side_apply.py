"""Server-side apply and field managers on the lab's API, by kubectl and over HTTP."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import httpx
import pytest

from tests.support.api_server import CONTEXT, ApiServer
from tests.support.kubectl import needs_kubectl, run_kubectl

SERVICES = "/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
DEPLOYMENTS = "/apis/apps/v1/namespaces/staging/deployments"


def vs(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}, "spec": spec}


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": list(containers)}}
    whole = {"selector": {"matchLabels": {"app": "d"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": whole}


def apply(admin: httpx.Client, path: str, obj: dict[str, Any], manager: str, *, force: bool = False) -> httpx.Response:
    return admin.patch(
        f"{path}/{obj['metadata']['name']}",
        params={"fieldManager": manager, **({"force": "true"} if force else {})},
        content=json.dumps(obj), headers={"content-type": "application/apply-patch+yaml"},
    )  # fmt: skip


def route(host: str, **more: Any) -> dict[str, Any]:
    return {"route": [{"destination": {"host": host}}], **more}


def managers(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(one["manager"], one["operation"]): one["fieldsV1"] for one in obj["metadata"].get("managedFields") or ()}


def test_it_creates_and_repeats_without_a_change(admin: httpx.Client) -> None:
    made = apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git")
    assert made.status_code == 201, made.text
    again = apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git")
    assert again.status_code == 200
    assert again.json() == made.json()
    assert managers(again.json()) == {("git", "Apply"): {"f:spec": {"f:hosts": {}, "f:http": {}}}}


def test_lists_of_istio_are_owned_as_a_whole(admin: httpx.Client) -> None:
    """Why a fault can't be applied beside somebody else's routes."""
    apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git")
    fault = {"abort": {"percentage": {"value": 50}, "httpStatus": 503}}
    refused = apply(admin, SERVICES, vs(http=[route("x", fault=fault)]), "chaos")
    assert refused.status_code == 409
    assert 'conflict with "git": .spec.http' in refused.json()["message"]
    assert refused.json()["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    taken = apply(admin, SERVICES, vs(http=[route("x", fault=fault)]), "chaos", force=True)
    assert taken.status_code == 200
    assert taken.json()["spec"]["hosts"] == ["x"], "what it does not name stays"
    assert managers(taken.json()) == {
        ("git", "Apply"): {"f:spec": {"f:hosts": {}}},
        ("chaos", "Apply"): {"f:spec": {"f:http": {}}},
    }
    assert apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git").status_code == 409


def test_what_a_manager_no_longer_applies_goes(admin: httpx.Client) -> None:
    labelled = vs(hosts=["x"], http=[route("x")])
    labelled["metadata"]["labels"] = {"team": "a", "tier": "b"}
    apply(admin, SERVICES, labelled, "git")
    other = {**vs(), "metadata": {"name": "a", "labels": {"tier": "b"}}}
    del other["spec"]
    assert apply(admin, SERVICES, other, "ops").status_code == 200
    left = apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git").json()
    assert left["metadata"]["labels"] == {"tier": "b"}, "it has a second owner"
    gone = apply(admin, SERVICES, {**other, "metadata": {"name": "a"}}, "ops").json()
    assert "labels" not in gone["metadata"]


def test_updates_take_fields_over_from_who_applied_them(admin: httpx.Client) -> None:
    made = apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git").json()
    made["spec"]["hosts"] = ["y"]
    put = admin.put(f"{SERVICES}/a", params={"fieldManager": "kubectl-edit"}, json=made).json()
    assert managers(put) == {
        ("git", "Apply"): {"f:spec": {"f:http": {}}},
        ("kubectl-edit", "Update"): {"f:spec": {"f:hosts": {}}},
    }
    refused = apply(admin, SERVICES, vs(hosts=["x"], http=[route("x")]), "git")
    assert refused.status_code == 409
    assert 'conflict with "kubectl-edit" using networking.istio.io/v1: .spec.hosts' in refused.json()["message"]


def test_containers_are_merged_by_their_names(admin: httpx.Client) -> None:
    one = {"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}
    apply(admin, DEPLOYMENTS, deployment(one, replicas=2), "git")
    side = {"name": "side", "image": "side:1"}
    both = apply(admin, DEPLOYMENTS, deployment(side), "injector")
    assert both.status_code == 200, both.text
    containers = both.json()["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"]) for c in containers] == [("app", "app:1"), ("side", "side:1")]
    assert both.json()["spec"]["replicas"] == 2
    newer = apply(admin, DEPLOYMENTS, deployment({**one, "image": "app:2"}, replicas=2), "git").json()
    assert [c["image"] for c in newer["spec"]["template"]["spec"]["containers"]] == ["app:2", "side:1"]
    scaled = admin.patch(
        f"{DEPLOYMENTS}/d/scale",
        json={"spec": {"replicas": 5}},
        headers={"content-type": "application/merge-patch+json"},
    )
    assert scaled.status_code == 200
    refused = apply(admin, DEPLOYMENTS, deployment(one, replicas=2), "git")
    assert refused.status_code == 409
    assert ".spec.replicas" in refused.json()["message"]
    alone = apply(admin, DEPLOYMENTS, {**deployment(), "spec": {}}, "injector").json()
    assert [c["name"] for c in alone["spec"]["template"]["spec"]["containers"]] == ["app"]


def test_a_dry_run_changes_nothing(admin: httpx.Client) -> None:
    dry = admin.patch(
        f"{SERVICES}/a", params={"fieldManager": "git", "dryRun": "All"}, content=json.dumps(vs(hosts=["x"], http=[route("x")])),
        headers={"content-type": "application/apply-patch+yaml"},
    )  # fmt: skip
    assert dry.status_code == 201
    assert admin.get(f"{SERVICES}/a").status_code == 404


@pytest.mark.parametrize(
    ("body", "params", "code", "told"),
    [
        ("a: [", {"fieldManager": "m"}, 400, "error decoding YAML"),
        ("[]", {"fieldManager": "m"}, 400, "expected an object"),
        ("{}", {"fieldManager": "m"}, 400, "invalid object type: /, Kind="),
        ({"metadata": {"name": "b"}}, {"fieldManager": "m"}, 400, "does not match the name on the URL"),
        ({"metadata": {"managedFields": [{}]}}, {"fieldManager": "m"}, 400, "managedFields must be nil"),
        ({"spec": {"surprise": 1}}, {"fieldManager": "m"}, 500, ".spec.surprise: field not declared in schema"),
        ({}, {}, 422, "is required for apply patch"),
        ({"spec": {"hosts": [], "http": []}}, {"fieldManager": "m"}, 400, "denied the request"),
    ],
)
def test_what_can_not_be_applied_is_refused(
    admin: httpx.Client, body: str | dict[str, Any], params: dict[str, str], code: int, told: str
) -> None:
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    answer = admin.patch(
        f"{SERVICES}/a",
        params=params,
        content=body if isinstance(body, str) else json.dumps({**kind, **body}),
        headers={"content-type": "application/apply-patch+yaml"},
    )
    assert (answer.status_code, told in answer.json()["message"]) == (code, True), answer.text


@needs_kubectl
def test_kubectl_applies_on_the_server_tells_conflicts_and_takes_over(server: ApiServer) -> None:
    def kubectl(*arguments: str, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        words = ("-n", "staging", *arguments, "-f", "-")
        return run_kubectl(server.kubeconfig, *words, context=CONTEXT, stdin=json.dumps(spec))

    first = kubectl("apply", "--server-side", spec=vs(hosts=["x"], http=[route("x")]))
    assert first.stdout == "virtualservice.networking.istio.io/a serverside-applied\n", first.stderr
    assert kubectl("diff", "--server-side", spec=vs(hosts=["x"], http=[route("x")])).returncode == 0
    other = vs(hosts=["y"], http=[route("x")])
    refused = kubectl("apply", "--server-side", "--field-manager", "other", spec=other)
    assert refused.returncode == 1
    assert 'conflict with "kubectl": .spec.hosts' in refused.stderr
    forced = kubectl("apply", "--server-side", "--field-manager", "other", "--force-conflicts", spec=other)
    assert forced.returncode == 0, forced.stderr
    plain = kubectl("apply", spec=vs(hosts=["z"], http=[route("x")]))
    assert plain.returncode == 0, plain.stderr
    moved = kubectl("apply", "--server-side", "--force-conflicts", spec=vs(hosts=["w"], http=[route("x")]))
    assert moved.returncode == 0, moved.stderr
