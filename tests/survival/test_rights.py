"""The printed Roles against the calls that whole runs make: enough, and nothing in them is idle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.cli import app
from chaos.errors import MeshError
from chaos.lab.api.resources import EVENTS, NAMESPACES
from chaos.manifests.rbac import CLUSTER, EXEC, FREEZE, NAME, STAGING, Rule, in_root, rbac
from tests.support import loopback
from tests.support.api_server import ADMIN_TOKEN, CONTEXT, kubeconfig
from tests.support.permissions import permission
from tests.survival.proxy import Call
from tests.survival.world import STRATEGIES, Strategy, World

Right = tuple[str, str, str]


GATEWAY_API: set[Right] = {("gateway.networking.k8s.io", f"{kind}routes", "list") for kind in ("http", "grpc")}


def rights(rules: tuple[Rule, ...]) -> set[Right]:
    return {(rule.group, rule.resource, verb) for rule in rules for verb in rule.verbs}


def needed(calls: list[Call]) -> tuple[set[Right], set[Right], set[Right]]:
    """What was asked for cluster-wide, in the staging namespace, and in the mesh's root namespace."""
    wide: set[Right] = set()
    inside: set[Right] = set()
    root: set[Right] = set()
    for call in calls:
        parts = call.path.split("/")
        if "namespaces" in parts and len(parts) > parts.index("namespaces") + 2:
            found = permission(call.method, call.path)
            if found is not None:
                (root if "/namespaces/istio-system/" in call.path else inside).add(found)
            continue
        group = parts[2] if parts[1] == "apis" else ""
        rest = (
            parts[3:] if parts[1] == "api" else parts[4:] if parts[1] == "apis" else []
        )  # else discovery: open to all
        if rest:
            wide.add((group, rest[0], "get" if len(rest) > 1 else "watch" if call.watch else "list"))
    return wide, inside, root


@pytest.mark.timeout(120)
def test_the_roles_are_enough_and_every_rule_is_used(tmp_path: Path) -> None:
    wide: set[Right] = set()
    inside: set[Right] = set()
    rooted: set[Right] = set()
    for strategy in STRATEGIES:
        (tmp_path / strategy).mkdir()
        world = World(tmp_path / strategy, strategy)
        try:
            found = world.run(world.orders(lease=1.0))
            assert found["outcome"] == "passed", found
            more, own, root = needed(world.proxy.calls)
        finally:
            world.close()
        wide |= more
        inside |= own
        rooted |= {right for right in root if right[1] != "deployments"}  # istiod's version; its absence is borne
    inside |= {("coordination.k8s.io", "leases", "update")}  # renewals come when they are due
    assert wide | GATEWAY_API == rights(CLUSTER), "these are listed where they are served; here they are not"
    assert rooted == rights(in_root(["default"]))
    assert inside - rights(CLUSTER) == rights(STAGING), "what may be done everywhere may be done there"


def test_the_configuration_of_each_revision_may_be_read_and_no_other() -> None:
    objects = rbac(["staging"], home="tools", revisions=["canary", "default"])
    [root] = (one for one in objects if one["kind"] == "Role" and one["metadata"]["namespace"] == "istio-system")
    assert [rule["resourceNames"] for rule in root["rules"]] == [["istio-canary", "istio"]]


def test_nothing_that_writes_is_cluster_wide() -> None:
    objects = rbac(["staging", "qa"], home="tools")
    kinds = [(one["kind"], one["metadata"].get("namespace")) for one in objects]
    assert kinds == [
        ("Namespace", None), ("ServiceAccount", "tools"), ("ClusterRole", None), ("ClusterRoleBinding", None),
        ("Role", "istio-system"), ("RoleBinding", "istio-system"),
        ("Role", "staging"), ("RoleBinding", "staging"), ("Role", "qa"), ("RoleBinding", "qa"),
    ]  # fmt: skip
    cluster = next(one for one in objects if one["kind"] == "ClusterRole")
    assert {verb for rule in cluster["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert all(rule.why for rule in (*CLUSTER, *STAGING, FREEZE, EXEC))
    root, role = (one for one in objects if one["kind"] == "Role" and one["metadata"]["namespace"] != "qa")
    assert root["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["istio"], "verbs": ["get"]}
    ]
    assert "the fault itself" in role["metadata"]["annotations"]["chaos-harness.dev/reasons"]
    without = rbac(["staging"], home="tools", exec_=False, freeze=False)
    left = [rule for one in without for rule in one.get("rules") or ()]
    assert not any("pods/exec" in rule["resources"] or "patch" in rule["verbs"] for rule in left)


BREAKS = {
    "namespaces": ("error", "GET /api/v1/namespaces/kube-system: 403"),
    "virtualservices (list, watch)": ("error", 'cannot list resource "virtualservices"'),
    "destinationrules": ("error", 'cannot list resource "destinationrules"'),
    "sidecars": ("refused", "may not list sidecars.networking.istio.io"),
    "serviceentries": ("refused", "may not list serviceentries.networking.istio.io"),
    "configmaps": ("refused", "may not get configmaps/istio in istio-system"),
    "virtualservices (get, create, update, delete)": ("refused", 'cannot update resource "virtualservices"'),
    "services": ("refused", "may not list services in staging"),
    "pods": ("refused", "may not list pods in staging"),
    "leases": ("error", 'cannot list resource "leases"'),
    "events": ("passed", "no Event says that a fault was there"),
}
"""What is missed without a rule: how a run ends then, and what it says. The Gateway API's routes are not served here: a denied one is in
tests/contract/test_who_is_hit_is_read.py; without exec no proxy is asked, which tests/e2e/test_run.py would see."""


def title(rule: Rule) -> str:
    return f"{rule.resource} ({', '.join(rule.verbs)})" if rule.resource == "virtualservices" else rule.resource


def as_account(world: World, without: Rule | None, *, verb: str = "") -> Path:
    """A kubeconfig for a service account with the printed Roles but for one rule, or one verb everywhere."""
    host, port = world.api.address
    with loopback.Client(base_url=f"http://{host}:{port}") as admin:
        for obj in rbac(["staging"], home="staging"):
            made = json.loads(json.dumps(obj))
            if without is not None and "rules" in made:
                made["rules"] = [rule for rule in made["rules"] if rule != without.as_dict()]
            for rule in made.get("rules", ()):
                rule["verbs"] = [one for one in rule["verbs"] if one != verb]
            namespace = made["metadata"].get("namespace")
            place = f"/namespaces/{namespace}" if namespace else ""
            group = "/api/v1" if made["kind"] == "ServiceAccount" else "/apis/rbac.authorization.k8s.io/v1"
            admin.post(f"{group}{place}/{made['kind'].lower()}s", json=made).raise_for_status()
        asked = admin.post(f"/api/v1/namespaces/staging/serviceaccounts/{NAME}/token", json={"spec": {}})
    file = world.folder / "account"
    token = asked.json()["status"]["token"]
    file.write_text(kubeconfig(f"http://{host}:{port}").replace(ADMIN_TOKEN, token))
    return file


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_passes_with_the_printed_roles_and_leaves_nothing(tmp_path: Path, strategy: Strategy) -> None:
    world = World(tmp_path, strategy)
    try:
        world.api.store.create(NAMESPACES, {"metadata": {"name": "istio-system"}})
        file = str(as_account(world, None))
        assert world.run(world.orders(kubeconfig=file, watched=file))["outcome"] == "passed"
        assert world.is_clean()
        assert len(world.api.objects(EVENTS)) == 2
    finally:
        world.close()


@pytest.mark.parametrize(
    "rule",
    [one for one in (*CLUSTER, *in_root(["default"]), *STAGING) if one.group != "gateway.networking.k8s.io"],
    ids=title,
)
def test_without_any_one_rule_something_breaks(tmp_path: Path, rule: Rule) -> None:
    outcome, told = BREAKS[title(rule)]
    world = World(tmp_path, "patch")
    try:
        world.api.store.create(NAMESPACES, {"metadata": {"name": "istio-system"}})
        file = str(as_account(world, rule))
        found = world.run(world.orders(kubeconfig=file, watched=file))
        assert found["outcome"] == outcome, found
        if outcome == "passed":
            assert world.api.objects(EVENTS) == [], told
        else:
            assert told in " ".join(found["reasons"]), found
        assert world.is_clean()
    finally:
        world.close()


@pytest.mark.parametrize("allowed", [True, False], ids=["the printed Roles", "without the right to freeze"])
def test_the_printed_roles_allow_to_freeze_and_to_thaw(tmp_path: Path, allowed: bool) -> None:
    world = World(tmp_path, "create")
    try:
        world.api.store.create(NAMESPACES, {"metadata": {"name": "istio-system"}})
        file = str(as_account(world, None if allowed else FREEZE))
        for command in ("freeze", "thaw") if allowed else ("freeze",):
            asked = [command, "-n", "staging", "--context", CONTEXT, "--kubeconfig", file]
            done = CliRunner().invoke(app, asked)
            if allowed:
                assert done.exit_code == 0, done.output
                continue
            assert isinstance(done.exception, MeshError)
            account = "a Role in the namespace staging has to give system:serviceaccount:staging:chaos-harness the rule"
            assert f'{account} {{apiGroups: [""], resources: ["namespaces"], verbs: ["patch"]}}' in str(done.exception)
    finally:
        world.close()


def test_without_the_right_to_watch_a_run_lists_instead(tmp_path: Path) -> None:
    world = World(tmp_path, "create")
    try:
        world.api.store.create(NAMESPACES, {"metadata": {"name": "istio-system"}})
        file = str(as_account(world, None, verb="watch"))
        assert world.run(world.orders(kubeconfig=file, watched=file))["outcome"] == "passed"
        assert world.is_clean()
    finally:
        world.close()
