"""The printed Roles against the calls that whole runs make: enough, and nothing in them is idle."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.manifests.rbac import CLUSTER, EXEC, ROOT, STAGING, Rule, rbac
from tests.survival.proxy import Call
from tests.survival.world import STRATEGIES, World
from tests.unit.test_cli_safety import permission

Right = tuple[str, str, str]


HTTP_ROUTES: Right = ("gateway.networking.k8s.io", "httproutes", "list")


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
            wide.add((group, rest[0], "get" if len(rest) > 1 else "list"))
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
            assert world.run(world.orders(lease=1.0))["outcome"] == "passed"
            more, own, root = needed(world.proxy.calls)
        finally:
            world.close()
        wide |= more
        inside |= own
        rooted |= {right for right in root if right[1] != "deployments"}  # istiod's version; its absence is borne
    inside |= {("coordination.k8s.io", "leases", "update")}  # renewals come when they are due
    assert wide | {HTTP_ROUTES} == rights(CLUSTER), "HTTPRoutes are listed where they are served; here they are not"
    assert rooted == rights(ROOT)
    assert inside - rights(CLUSTER) == rights(STAGING), "what may be done everywhere may be done there"


def test_nothing_that_writes_is_cluster_wide() -> None:
    objects = rbac(["staging", "qa"], home="tools")
    kinds = [(one["kind"], one["metadata"].get("namespace")) for one in objects]
    assert kinds == [
        ("ServiceAccount", "tools"), ("ClusterRole", None), ("ClusterRoleBinding", None),
        ("Role", "istio-system"), ("RoleBinding", "istio-system"),
        ("Role", "staging"), ("RoleBinding", "staging"), ("Role", "qa"), ("RoleBinding", "qa"),
    ]  # fmt: skip
    cluster = next(one for one in objects if one["kind"] == "ClusterRole")
    assert {verb for rule in cluster["rules"] for verb in rule["verbs"]} == {"get", "list"}
    assert all(rule.why for rule in (*CLUSTER, *STAGING, EXEC))
    root, role = (one for one in objects if one["kind"] == "Role" and one["metadata"]["namespace"] != "qa")
    assert root["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["istio"], "verbs": ["get"]}
    ]
    assert "the fault itself" in role["metadata"]["annotations"]["chaos-harness.dev/reasons"]
    without = rbac(["staging"], home="tools", exec_=False)
    assert not any("pods/exec" in rule["resources"] for one in without for rule in one.get("rules") or ())
