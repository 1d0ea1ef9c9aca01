"""Manifests as repositories have them: what is loaded, set aside, left out, and refused."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.errors import InputError
from chaos.lab import reading
from chaos.lab.api.resources import RESOURCES
from chaos.lab.other_kinds import TABLE, group_of, other
from chaos.lab.wanted import Wanted
from tests.support.kubectl import needs_kubectl

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: http, port: 80}]}\n"
BUDGET = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n"
POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {}}\n"
INGRESS = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: door}\nspec: {ingressClassName: %s}\n"
ODD = "apiVersion: odd.example/v1\nkind: Whatever\nmetadata: {name: it}\n"


def read(folder: Path, *documents: str, without: Sequence[str] = (), strict: bool = False) -> reading.Found:
    (folder / "all.yaml").write_text("---\n".join((SERVICE, *documents)))
    return reading.read([folder], without=without, strict=strict)


def refused(folder: Path, *documents: str, strict: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, *documents, strict=strict)
    return str(caught.value)


def test_what_can_not_change_an_answer_is_set_aside_with_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    found = read(tmp_path, BUDGET, INGRESS % "nginx")
    assert [one.obj["kind"] for one in found.documents] == ["Service"]
    assert [line.removeprefix(f"{tmp_path}/") for line in found.aside] == [
        "all.yaml, document 2: policy/v1 PodDisruptionBudget web: set aside: nothing evicts pods on the lab",
        "all.yaml, document 3: networking.k8s.io/v1 Ingress door: set aside: "
        "requests come in by Istio's gateways, or to the pods",
        "values.yaml, document 1: set aside: no Kubernetes object",
    ]


def test_what_could_change_an_answer_is_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, POLICY, ODD, INGRESS % "istio")
    assert (
        "document 2: networking.k8s.io/v1 NetworkPolicy deny: the lab does not serve this kind: the lab enforces"
        in told
    )
    assert "document 3: odd.example/v1 Whatever it: the lab does not serve this kind: the lab does not know" in told
    assert "document 4: networking.k8s.io/v1 Ingress door: the lab does not serve this kind" in told
    assert "`--without KIND` leaves a kind out" in told


def test_the_user_leaves_kinds_out_by_name(tmp_path: Path) -> None:
    found = read(tmp_path, POLICY, BUDGET, without=["NetworkPolicy"])
    assert "NetworkPolicy deny: left out by --without" in found.aside[0]
    with pytest.raises(InputError, match="no object has the kind NetworkPolice, which is to be left out"):
        read(tmp_path, BUDGET, without=["NetworkPolice"])


def test_strict_refuses_all_that_would_be_set_aside(tmp_path: Path) -> None:
    assert "PodDisruptionBudget web: set aside" in refused(tmp_path, BUDGET, strict=True)
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    assert "values.yaml, document 1: set aside: no Kubernetes object" in refused(tmp_path, strict=True)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "halves.yaml").write_text("kind: Service\n---\napiVersion: v1\nmetadata: {name: x}\n")
    told = refused(tmp_path, POLICY)
    assert "broken.yaml: can't be read as YAML" in told
    assert told.count("expected a Kubernetes object with kind and metadata.name") == 2
    assert "NetworkPolicy" in told


def test_a_file_that_is_named_itself_has_objects_only(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("replicas: 3\n")
    with pytest.raises(InputError, match="document 1: expected a Kubernetes object"):
        reading.read([file])


@pytest.mark.parametrize("what", ["nothing there", "empty folder", "no objects", "nothing that is served"])
def test_no_manifests_at_all(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what != "nothing there":
        path.mkdir()
    text = {"no objects": "---\n", "nothing that is served": BUDGET}.get(what)
    if text is not None:
        (path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match="expected"):
        reading.read([path])


def test_hidden_folders_are_nobodys_manifests(tmp_path: Path) -> None:
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "broken.yaml").write_text("a: [")
    assert not read(tmp_path).aside


@needs_kubectl
def test_a_folder_for_kustomize_is_built(tmp_path: Path) -> None:
    base, overlay = tmp_path / "base", tmp_path / "overlays" / "staging"
    base.mkdir()
    overlay.mkdir(parents=True)
    (base / "all.yaml").write_text(f"{SERVICE}---\n{BUDGET}")
    (base / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    (overlay / "kustomization.yaml").write_text("resources: [../../base]\nnamespace: shop\nnamePrefix: st-\n")
    for path in (overlay, overlay / "kustomization.yaml"):
        found = reading.read([path])
        (service,) = found.documents
        assert service.obj["metadata"] == {"name": "st-web", "namespace": "shop"}
        assert "(kustomize), document 2: policy/v1 PodDisruptionBudget st-web: set aside" in found.aside[0]
    with pytest.raises(InputError, match="may be of several environments") as caught:
        reading.read([tmp_path])
    assert str(overlay) in str(caught.value)
    (overlay / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    with pytest.raises(InputError, match=r"kustomize.* failed: .*nowhere\.yaml"):
        reading.read([overlay])


def test_kustomize_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="neither is on PATH"):
        reading.read([tmp_path])


def test_a_chart_is_to_be_rendered(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("name: shop\n")
    with pytest.raises(InputError, match="found a Helm chart"):
        reading.read([tmp_path])


def test_the_table_is_about_kinds_that_are_not_served() -> None:
    served = {(one.group, one.kind) for one in RESOURCES}
    assert not [row for row in TABLE for kind in row.kinds if (row.group, kind) in served]
    assert len({(row.group, row.kinds) for row in TABLE}) == len(TABLE)
    assert group_of({"apiVersion": "v1"}) == ""


def test_the_reference_has_every_row_of_the_table() -> None:
    rows = (Path(__file__).parents[3] / "docs/reference/lab.md").read_text(encoding="utf-8").splitlines()
    for row in TABLE:
        named = [line for line in rows if line.startswith("|") and (f"`{row.group}`" in line or not row.group)]
        for kind in row.kinds or ("all",):
            assert any(kind in line for line in named), (row.group, kind)


@pytest.mark.parametrize(
    ("version", "kind", "is_refused"),
    [
        ("autoscaling/v2", "HorizontalPodAutoscaler", False),
        ("batch/v1", "CronJob", False),
        ("gateway.networking.k8s.io/v1", "ReferenceGrant", False),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", True),
        ("flagger.app/v1beta1", "Canary", True),
        ("flagger.app/v1beta1", "MetricTemplate", False),
        ("apps/v1", "ControllerRevision", False),
        ("networking.istio.io/v1alpha3", "EnvoyFilter", True),
        ("argoproj.io/v1alpha1", "Workflow", True),
    ],
)
def test_kinds(version: str, kind: str, is_refused: bool) -> None:
    assert other({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}).refused is is_refused


def test_what_is_wanted_reaches_the_supervisor_as_arguments(tmp_path: Path) -> None:
    wanted = Wanted([tmp_path / "a", tmp_path / "b"], tmp_path / "c.yaml", ["Job", "CronJob"], strict=True)
    parser = argparse.ArgumentParser()
    Wanted.declare(parser)
    assert Wanted.of(parser.parse_args(wanted.arguments())) == wanted
    with pytest.raises(InputError, match="--without and --strict: for manifests of your own only"):
        Wanted(without=["Job"], strict=True)
