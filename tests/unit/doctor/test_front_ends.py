"""The doctor's command, and before a suite."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.cli import app
from chaos.doctor.finding import text
from chaos.errors import InputError
from chaos.harness.harness import Harness
from chaos.model.settings import Settings
from tests.support.plugin_sessions import QUIET, ROOT
from tests.unit.doctor.examined_mesh import Mesh

pytest_plugins = ["pytester"]
ILL = """\
import sys
sys.path.insert(0, {root!r})
from tests.unit.doctor.examined_mesh import Mesh
from chaos.engine.surroundings import NoWatch

def pytest_chaos_harness(config):
    made = Mesh()
    {broken}
    return made.shop.harness()
"""


def harness(mesh: Mesh) -> Harness:
    mesh.count("order-svc", 1000)
    mesh.mesh.identity = lambda: mesh.identity  # type: ignore[method-assign]
    return mesh.shop.harness()


def test_a_finding_is_told_with_cause_and_hint() -> None:
    mesh = Mesh()
    mesh.mesh.annotate_namespace("staging", "chaos-harness.dev/frozen", "release day")
    told = text(harness(mesh).doctor())
    assert "control-plane: ok: istio-system/istiod-1 is ready\n" in told
    assert told.endswith(
        "freeze: warning: staging is frozen: release day\n    cause: somebody stopped all experiments\n"
        "    hint: when that is over: chaosctl thaw -n staging"
    )


@pytest.mark.parametrize(("ill", "code"), [("", 0), ("stop", 1), ("hide", 3)])
def test_the_exit_code_tells_how_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ill: str, code: int) -> None:
    mesh = Mesh()
    if ill == "stop":
        mesh.mesh.proxy_stats["order-svc-1-a"] = "cluster.xds-grpc.upstream_rq_active: 0\n"
    if ill == "hide":
        mesh.mesh.answers_exec = False
    made = harness(mesh)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Harness, "at", lambda options: made)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == code, done.output
    levels = {one["check"]: one["level"] for one in json.loads(done.output)}
    assert levels["sync"] == {0: "ok", 1: "error", 3: "unknown"}[code]


def test_without_a_namespace_nothing_is_looked_at() -> None:
    made = Mesh().shop.harness()
    made.place = replace(made.place, settings=Settings())
    with pytest.raises(InputError, match="no namespace is named"):
        made.doctor()


def test_patterns_that_match_no_namespace_are_no_healthy_mesh() -> None:
    made = Mesh().shop.harness()
    made.place = replace(made.place, settings=Settings(namespaces=("elsewhere-*",)))
    with pytest.raises(InputError, match=r"no namespace of this cluster matches elsewhere-\*"):
        made.doctor()


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        ("", {"passed": 2}),
        ('made.mesh.proxy_stats["order-svc-1-a"] = "cluster.xds-grpc.upstream_rq_active: 0\\n"', {"errors": 2}),
    ],
)
def test_a_suite_on_a_mesh_that_is_ill_fails_at_once(
    pytester: pytest.Pytester, broken: str, outcome: dict[str, int]
) -> None:
    pytester.makeconftest(ILL.format(root=str(ROOT), broken=broken))
    pytester.makepyfile("def test_one(harness):\n    pass\n\ndef test_two(harness):\n    pass\n")
    found = pytester.runpytest_subprocess("--chaos-doctor", *QUIET)
    found.assert_outcomes(**outcome)
    if broken:
        found.stdout.fnmatch_lines(["*the mesh is not well, so nothing is tested:*", "*is not connected to istiod*"])
