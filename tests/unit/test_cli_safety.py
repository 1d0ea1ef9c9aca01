"""The commands that keep a cluster clean, against a real API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.cli import app, option
from chaos.errors import InputError
from chaos.lab.api.resources import NAMESPACES
from chaos.manifests.janitor import RULES, janitor
from chaos.safety.lock import acquire
from chaos.safety.sweep import sweep
from tests.support.api_server import CONTEXT, ApiServer, fault
from tests.support.dead_runs import leave
from tests.support.permissions import permission


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no settings are."""
    monkeypatch.chdir(tmp_path)


def chaosctl(server: ApiServer, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--context", CONTEXT, "--kubeconfig", str(server.kubeconfig)])


def test_status_and_sweep_need_nothing_but_the_cluster(server: ApiServer, mesh: KubernetesMesh) -> None:
    leave(mesh, "dead", service="inventory-svc")
    held = acquire(mesh, namespace="staging", service="payment-svc", run="live", experiment="e", owner=None)
    mesh.create_virtual_service(fault("live", service="payment-svc"))
    shown = json.loads(chaosctl(server, "status", "-n", "staging", "--json").output)
    assert {one["run"]: one["renewed"] for one in shown} == {"dead": False, "live": True}
    assert not any(one["inside"] for one in shown)
    would = chaosctl(server, "sweep", "--all-staging", "--dry-run")
    assert "would remove VirtualService staging/chaos-dead-inventory-svc" in would.output
    assert "live" not in would.output
    assert len(server.left()) == 4
    done = json.loads(chaosctl(server, "sweep", "-n", "staging", "--expired", "--json").output)
    assert [(one["run"], one["removed"]) for one in done] == [("dead", True)] * 2
    assert chaosctl(server, "sweep", "-n", "staging").output == "nothing to sweep\n"
    assert "live" in chaosctl(server, "sweep", "-n", "staging", "--all").output
    assert server.left() == []
    assert chaosctl(server, "status", "-n", "staging").output == "no active faults\n"
    held.stop()


def test_all_staging_is_what_carries_the_label(server: ApiServer, mesh: KubernetesMesh) -> None:
    for name in ("staging-2", "staging-3", "staging-4", "staging-5"):
        server.store.create(NAMESPACES, {"metadata": {"name": name, "labels": {"env": "staging"}}})
    for namespace in ("staging-4", "production"):
        one = fault("dead")
        one["metadata"]["namespace"] = namespace
        mesh.create_virtual_service(one)
    shown = json.loads(chaosctl(server, "status", "--all-staging", "--json").output)
    assert [one["namespace"] for one in shown] == ["staging-4"]
    chaosctl(server, "sweep", "--all-staging")
    assert [vs["metadata"]["namespace"] for vs in mesh.virtual_services()] == ["production"], "not staging: not touched"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sweep", "--run", "x", "--all", "-n", "staging"], "at most one of --expired, --run and --all"),
        (["sweep", "-n", "staging", "--all-staging"], "--namespace or --all-staging"),
        (["status"], "no namespace is named"),
        (["freeze", "-n", "nowhere"], "there is no namespace 'nowhere'"),
    ],
)
def test_what_can_not_be_meant_is_told(server: ApiServer, arguments: list[str], told: str) -> None:
    done = chaosctl(server, *arguments)
    assert isinstance(done.exception, InputError)
    assert told in str(done.exception)


@pytest.mark.parametrize(
    ("command", "told"),
    [(["status"], "no active faults\n"), (["sweep"], "nothing to sweep\n"), (["status", "--json"], "[]\n")],
)
def test_where_no_lab_runs_there_is_nothing(tmp_path: Path, command: list[str], told: str) -> None:
    done = CliRunner().invoke(app, command, env={"CHAOS_LAB_HOME": str(tmp_path)})
    assert done.exit_code == 0
    assert done.stdout == told
    assert "no lab is running and no context is named" in done.stderr


def test_what_is_not_there_can_not_be_frozen(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["freeze"], env={"CHAOS_LAB_HOME": str(tmp_path)})
    assert isinstance(done.exception, InputError)
    assert done.exception.told(option).endswith("hint: chaosctl lab up, or give --context")


def test_freeze_and_thaw(server: ApiServer, mesh: KubernetesMesh) -> None:
    assert chaosctl(server, "thaw", "-n", "staging").output == "staging: not frozen\n"
    chaosctl(server, "freeze", "-n", "staging", "--reason", "release")
    place = mesh.namespace("staging") or {}
    assert place["metadata"]["annotations"] == {"chaos-harness.dev/frozen": "release"}
    assert place["metadata"]["labels"]["env"] == "staging", "and nothing else is changed"
    chaosctl(server, "thaw", "-n", "staging")
    assert not (mesh.namespace("staging") or {})["metadata"].get("annotations")


def test_freeze_and_thaw_for_machines(server: ApiServer) -> None:
    names = ("-n", "staging", "-n", "production", "--json")
    assert json.loads(chaosctl(server, "freeze", *names, "--reason", "release").output) == [
        {"namespace": name, "reason": "release", "before": None} for name in ("staging", "production")
    ]
    assert json.loads(chaosctl(server, "thaw", *names).output) == [
        {"namespace": name, "reason": None, "before": "release"} for name in ("staging", "production")
    ]


# --- the janitor -------------------------------------------------------------------------------------------------------


def test_the_janitors_manifests_are_what_kubectl_takes() -> None:
    done = CliRunner().invoke(app, ["manifests", "janitor", "-n", "staging", "-n", "qa", "--image", "example/chaos:1"])
    objects = list(YAML(typ="safe").load_all(done.output))
    assert [(one["kind"], one["metadata"].get("namespace")) for one in objects] == [
        ("Namespace", None), ("ServiceAccount", "chaos-janitor"), ("Role", "staging"), ("RoleBinding", "staging"),
        ("Role", "qa"), ("RoleBinding", "qa"), ("CronJob", "chaos-janitor"),
    ]  # fmt: skip
    pod = objects[-1]["spec"]["jobTemplate"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["args"] == [
        "sweep",
        "--context",
        "in-cluster",
        "--namespace=staging",
        "--namespace=qa",
    ]
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert not [one for one in objects if one["kind"].startswith("Cluster")], "nothing is cluster-wide"


@pytest.mark.parametrize(
    "wrong",
    [{"namespaces": []}, {"image": " "}, {"schedule": "often"}],
    ids=["no namespace", "no image", "no schedule"],
)
def test_the_janitors_values_are_checked(wrong: dict[str, object]) -> None:
    values = {"namespaces": ["staging"], "image": "x", "home": "h", "schedule": "* * * * *", **wrong}
    with pytest.raises(InputError):
        janitor(values.pop("namespaces"), **values)  # type: ignore[arg-type]


PRINTED = pytest.mark.parametrize(
    "printing",
    [["rbac"], ["janitor", "--image", "example/chaos:1"], ["admission", "--kubernetes", "1.27"]],
    ids=lambda one: one[0],
)


@PRINTED
def test_roles_are_for_the_settings_namespaces_or_for_those_that_are_named(tmp_path: Path, printing: list[str]) -> None:
    def roles(*arguments: str) -> set[str]:
        text = CliRunner().invoke(app, ["manifests", *printing, *arguments]).stdout
        return {one["metadata"]["namespace"] for one in YAML(typ="safe").load_all(text) if one["kind"] == "Role"}

    (tmp_path / "chaos.toml").write_text('[tool.chaos]\nnamespaces = ["staging", "qa"]\nroot_namespace = "mesh"\n')
    assert roles() - {"mesh"} == {"staging", "qa"}
    assert roles("-n", "team-a") - {"mesh"} == {"team-a"}
    assert ("mesh" in roles()) == (printing[0] != "janitor"), "the settings' root namespace"


@PRINTED
def test_there_is_no_role_for_a_pattern_of_namespaces(tmp_path: Path, printing: list[str]) -> None:
    for settings in ('namespaces = ["staging", "team-*-staging"]', ""):
        (tmp_path / "chaos.toml").write_text(settings)
        done = CliRunner().invoke(app, ["manifests", *printing])
        assert isinstance(done.exception, InputError)
        assert "expected names of staging namespaces" in str(done.exception)
        assert done.stdout == ""


def test_the_policy_is_printed_for_the_meshs_default_of_export_to() -> None:
    printed = [
        CliRunner().invoke(app, ["manifests", "admission", "-n", "staging", *options]).stdout
        for options in ([], ["--default-export", "."], ["--default-export", ".", "--default-export", "team-a"])
    ]
    for text, default in zip(printed, ("['*']", "['.']", "['.', 'team-a']"), strict=True):
        assert f"object.spec.exportTo : {default}" in " ".join(text.split())


def test_the_janitors_role_is_sufficient_and_nothing_in_it_is_idle(server: ApiServer, mesh: KubernetesMesh) -> None:
    """What a sweep calls, in a namespace with every kind of leftover, against what the Role allows."""
    leave(mesh, "dead", service="inventory-svc")
    private = fault("x")
    private["metadata"] = {"name": "theirs", "namespace": "staging"}
    stored, _ = mesh.create_virtual_service(private)
    dirty = {**stored, "metadata": {**stored["metadata"], "labels": {"chaos-harness.dev/run": "gone"}, "annotations": {
        "chaos-harness.dev/undo": json.dumps({"run": "gone"}), "chaos-harness.dev/target": "inventory-svc/u",
    }}}  # fmt: skip
    mesh.replace_virtual_service(dirty)
    server.calls.clear()

    class Raced:
        """Others write once, right before each of the sweep's writes, so that it has to read again."""

        def __init__(self) -> None:
            self.raced: set[str] = set()

        def __getattr__(self, name: str) -> object:
            return getattr(mesh, name)

        def replace_virtual_service(self, obj: dict[str, dict[str, str]]) -> object:
            if "vs" not in self.raced:
                self.raced.add("vs")
                obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "1"}}
            return mesh.replace_virtual_service(obj)

        def delete_lease(
            self, namespace: str, name: str, *, uid: str | None = None, version: str | None = None
        ) -> bool:
            if "lease" not in self.raced:
                self.raced.add("lease")
                return mesh.delete_lease(namespace, name, uid="another", version=version)
            return mesh.delete_lease(namespace, name, uid=uid, version=version)

    sweep(Raced(), namespaces=("staging",))  # type: ignore[arg-type]
    used = {permission(method, path) for method, path in server.calls} - {None}
    allowed = {
        (group, resource, verb)
        for rule in RULES
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert used == allowed
