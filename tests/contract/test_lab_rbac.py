"""Service accounts' tokens and RBAC on the lab's API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support import loopback
from tests.support.api_server import CONTEXT, ApiServer
from tests.support.kubectl import needs_kubectl, run_kubectl

RBAC = "/apis/rbac.authorization.k8s.io/v1"
VIRTUAL_SERVICES = "/apis/networking.istio.io/v1/namespaces/{}/virtualservices"
VS = {
    "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"},
    "spec": {"hosts": ["x"], "http": [{"route": [{"destination": {"host": "x"}}]}]},
}  # fmt: skip


Token = Callable[..., httpx.Client]


@pytest.fixture
def bound(admin: httpx.Client) -> Iterator[Token]:
    """A client of a new service account of staging, bound to a Role of these rules there."""
    clients: list[httpx.Client] = []

    def make(*rules: dict[str, Any], cluster: bool = False) -> httpx.Client:
        name = f"user-{len(clients)}"
        accounts = "/api/v1/namespaces/staging/serviceaccounts"
        assert admin.post(accounts, json={"metadata": {"name": name}}).status_code == 201
        kind = "ClusterRole" if cluster else "Role"
        where = RBAC if cluster else f"{RBAC}/namespaces/staging"
        role = {"metadata": {"name": name}, "rules": list(rules)}
        assert admin.post(f"{where}/{kind.lower()}s", json=role).status_code == 201
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "staging"}],
        }
        assert admin.post(f"{where}/{kind.lower()}bindings", json=binding).status_code == 201
        token = admin.post(f"{accounts}/{name}/token", json={"spec": {}}).json()["status"]["token"]
        made = loopback.Client(base_url=admin.base_url, headers={"authorization": f"Bearer {token}"})
        clients.append(made)
        return made

    yield make
    for one in clients:
        one.close()


def rule(*verbs: str, resource: str = "virtualservices", names: tuple[str, ...] = ()) -> dict[str, Any]:
    group = "networking.istio.io" if resource == "virtualservices" else ""
    found: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return {**found, "resourceNames": list(names)} if names else found


def test_a_token_may_do_what_its_role_says_and_nothing_else(bound: Token) -> None:
    user = bound(rule("create", "get", "list"))
    here, there = VIRTUAL_SERVICES.format("staging"), VIRTUAL_SERVICES.format("production")
    assert user.post(here, json=VS).status_code == 201
    assert user.get(f"{here}/a").status_code == 200
    assert user.get(here).status_code == 200
    refused = user.delete(f"{here}/a")
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'virtualservices.networking.istio.io "a" is forbidden: User "system:serviceaccount:staging:user-0" cannot delete '
        'resource "virtualservices" in API group "networking.istio.io" in the namespace "staging"'
    )
    assert user.get(here, params={"watch": "true"}).status_code == 403
    assert user.put(f"{here}/a", json=VS).status_code == 403
    assert user.post(there, json=VS).status_code == 403
    assert user.get("/apis/networking.istio.io/v1/virtualservices").status_code == 403
    assert user.get("/api/v1/namespaces/staging/pods").status_code == 403


def test_a_role_of_the_cluster_reaches_everywhere(bound: Token) -> None:
    user = bound(rule("list", "create"), cluster=True)
    assert user.get("/apis/networking.istio.io/v1/virtualservices").status_code == 200
    assert user.post(VIRTUAL_SERVICES.format("production"), json=VS).status_code == 201


def test_names_and_subresources_are_told_apart(admin: httpx.Client, bound: Token) -> None:
    user = bound(rule("get", names=("a",)), rule("get", resource="pods/log"))
    path = VIRTUAL_SERVICES.format("staging")
    for name in ("a", "b"):
        assert admin.post(path, json={**VS, "metadata": {"name": name}}).status_code == 201
    assert (user.get(f"{path}/a").status_code, user.get(f"{path}/b").status_code) == (200, 403)
    assert user.get("/api/v1/namespaces/staging/pods/p").status_code == 403
    assert user.get("/api/v1/namespaces/staging/pods/p/log").status_code == 404, "allowed, but there is none"


def test_applying_what_is_not_there_wants_create(bound: Token) -> None:
    path = f"{VIRTUAL_SERVICES.format('staging')}/a"
    more: dict[str, Any] = {
        "params": {"fieldManager": "m"},
        "headers": {"content-type": "application/apply-patch+yaml"},
    }
    assert bound(rule("patch")).request("PATCH", path, json=VS, **more).status_code == 403
    assert bound(rule("patch", "create")).request("PATCH", path, json=VS, **more).status_code == 201


def test_a_token_ends_with_its_account(admin: httpx.Client, bound: Token) -> None:
    user = bound(rule("list"))
    path = VIRTUAL_SERVICES.format("staging")
    assert user.get(path).status_code == 200
    admin.delete("/api/v1/namespaces/staging/serviceaccounts/user-0")
    assert user.get(path).status_code == 401
    admin.post("/api/v1/namespaces/staging/serviceaccounts", json={"metadata": {"name": "user-0"}})
    assert user.get(path).status_code == 401, "another account of the same name is not the same"
    assert admin.get(path, headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_reviews_tell_what_the_user_may(bound: Token) -> None:
    user = bound(rule("create"))

    asked = {
        "spec": {
            "resourceAttributes": {"group": "networking.istio.io", "resource": "virtualservices", "verb": "create"}
        }
    }

    for namespace, allowed in (("staging", True), ("production", False), ("", False)):
        asked["spec"]["resourceAttributes"]["namespace"] = namespace
        told = user.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=asked).json()
        assert told["status"]["allowed"] is allowed
    who = user.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}).json()
    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:staging:user-0"


@needs_kubectl
def test_kubectl_makes_tokens_and_asks_what_it_may(server: ApiServer, admin: httpx.Client, bound: Token) -> None:
    bound(rule("create", "get"))

    def kubectl(*arguments: str) -> str:
        done = run_kubectl(server.kubeconfig, "-n", "staging", *arguments, context=CONTEXT)
        return done.stdout.strip() or done.stderr.strip()

    token = kubectl("create", "token", "user-0")
    assert token.startswith("lab-")
    told = admin.get("/api/v1/namespaces/staging/pods", headers={"authorization": f"Bearer {token}"})
    assert told.status_code == 403
    # kubectl keeps tokens to itself without TLS, so what it asks here it asks as the administrator.
    assert kubectl("auth", "can-i", "delete", "virtualservices.networking.istio.io") == "yes"
    assert "lab-admin" in kubectl("auth", "whoami")
