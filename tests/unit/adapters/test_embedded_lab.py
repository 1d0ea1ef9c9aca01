"""The seam to the lab: an entry point, and what is told where it leads nowhere."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.adapters import embedded_lab
from chaos.adapters.embedded_lab import find_lab, lab_in_use
from chaos.cli import app
from chaos.errors import LabError
from chaos.lab import commands, door

DOOR: embedded_lab.Lab = door
"""A type checker sees here that the module has what the harness asks of it."""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The entry points of a package that comes before all others on the path, under a group of this test's own."""
    monkeypatch.setattr(embedded_lab, "GROUP", "chaos.lab.of-a-test")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "a_lab", raising=False)
    folder = tmp_path / "a_lab-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: a-lab\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[chaos.lab.of-a-test]\nany = a_lab\n")
    return tmp_path


def test_this_installation_has_the_lab_behind_its_entry_point() -> None:
    assert find_lab() is DOOR


def test_without_an_entry_point_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_lab, "GROUP", "chaos.lab.nobody")
    with pytest.raises(LabError, match="the embedded lab is not installed") as caught:
        find_lab()
    assert "name the context of a cluster" in str(caught.value)


def test_a_lab_that_lacks_a_package_is_told_with_its_name(installed: Path) -> None:
    (installed / "a_lab.py").write_text("import a_package_that_nobody_has\n")
    with pytest.raises(LabError, match="a_package_that_nobody_has") as caught:
        find_lab()
    assert "name the context of a cluster" in str(caught.value)


def test_somebody_elses_lab_is_used_and_ended_in_the_same_way(installed: Path) -> None:
    (installed / "a_lab.py").write_text(
        "said = []\n"
        "def use(own, *, owner, told=None):\n    said.append(('use', own, owner))\n"
        "def end(name):\n    said.append(('end', name))\n"
    )
    with pytest.raises(KeyError, match="inside"), lab_in_use():
        raise KeyError("inside")
    said = importlib.import_module("a_lab").said
    own = said[0][1]
    assert said == [("use", own, os.getpid()), ("end", own)]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "control-plane"),
        (["up", "-h"], 0, "--manifests"),
        (["status", "--name", "nobody"], 1, "not running"),
        (["down", "--name", "nobody", "--json"], 0, '"was_running": false'),
        (["no-such-command"], 2, "No such command"),
        (["status", "--no-such-option"], 2, "No such option"),
    ],
)
def test_chaosctl_hands_the_labs_commands_on(
    arguments: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_LAB_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["lab", *arguments], env={"NO_COLOR": "1", "TERM": "dumb"})
    assert (done.exit_code, told in done.output) == (code, True), done.output


def test_a_default_lab_that_is_not_whole_is_told_instead_of_used(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = commands.LabStatus("default", running=True, detail="failed: prometheus")
    monkeypatch.setattr(commands, "running", lambda name: "a state" if name == "default" else None)
    monkeypatch.setattr(commands, "status", lambda name: broken)
    with pytest.raises(LabError, match="the lab 'default' is not whole: failed: prometheus"):
        door.use("own", owner=os.getpid())
