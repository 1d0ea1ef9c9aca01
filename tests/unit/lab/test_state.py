"""Where labs live, and how they are recognised as alive."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.cli import app
from chaos.errors import InputError
from chaos.lab import commands
from chaos.lab.state import LabFiles, LabState, SupervisorLock, home

STATE = LabState(
    name="default",
    kubeconfig="/x/kubeconfig",
    context="chaos-lab",
    api="http://127.0.0.1:1",
    prometheus="http://127.0.0.1:2",
    entry="http://127.9.1.1:8080",
    entries={"staging": "http://127.9.1.1:8080"},
    namespaces=("staging", "production"),
    staging=("staging",),
    pid=1,
    started=2,
    directory="/x",
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAOS_LAB_HOME", str(tmp_path / "labs"))
    return tmp_path / "labs"


def test_the_environment_says_where_labs_live(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home() == own_home
    monkeypatch.delenv("CHAOS_LAB_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert home() == tmp_path / "istio-chaos" / "labs"


@pytest.mark.parametrize("name", ["", "Default", "a/b", "..", "-a", "a" * 41])
def test_a_name_that_cannot_be_one_is_an_input_error(name: str) -> None:
    with pytest.raises(InputError, match="a lab's name is"):
        LabFiles.of(name)


def test_only_the_default_lab_has_the_short_context() -> None:
    assert LabFiles.of("default").context == "chaos-lab"
    assert LabFiles.of("second").context == "chaos-lab-second"


def test_a_state_survives_its_file() -> None:
    files = LabFiles.of("default")
    files.directory.mkdir(parents=True)
    assert files.read_state() is None
    files.write_state(STATE)
    assert files.read_state() == STATE
    assert [path.name for path in files.directory.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"name": "default"})])
def test_a_damaged_state_is_none(text: str) -> None:
    files = LabFiles.of("default")
    files.directory.mkdir(parents=True)
    files.state.write_text(text)
    assert files.read_state() is None


def test_what_users_get_is_exactly_what_is_promised() -> None:
    assert set(STATE.public()) == {"kubeconfig", "context", "prometheus", "entry", "namespaces", "pid"}
    assert json.loads(json.dumps(STATE.public()))["namespaces"] == ["staging", "production"]
    assert dataclasses.replace(STATE, pid=7).public()["pid"] == 7


def test_the_lock_is_held_by_one_and_free_again() -> None:
    path = LabFiles.of("default").lock
    assert not SupervisorLock.is_held(path)
    first, second = SupervisorLock(path), SupervisorLock(path)
    assert first.acquire()
    assert SupervisorLock.is_held(path)
    assert not second.acquire()
    first.release()
    assert not SupervisorLock.is_held(path)
    assert second.acquire()
    second.release()


def test_a_lock_whose_file_was_removed_holds_nothing() -> None:
    files = LabFiles.of("default")
    old = SupervisorLock(files.lock)
    assert old.acquire()
    files.remove()
    fresh = SupervisorLock(files.lock)
    assert fresh.acquire()
    fresh.release()
    old.release()


@pytest.mark.parametrize(("state", "api"), [(STATE, STATE.api), (None, None)])
def test_the_status_names_the_plain_address_of_the_api(
    monkeypatch: pytest.MonkeyPatch, state: LabState | None, api: str | None
) -> None:
    found = commands.LabStatus("default", running=state is not None, detail="", state=state)
    monkeypatch.setattr(commands, "status", lambda _: found)
    told = CliRunner().invoke(app, ["lab", "status", "--json"])
    assert json.loads(told.stdout)["api"] == api


def test_what_ends_and_disturbs_a_lab_answers_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    told = CliRunner().invoke(app, ["lab", "down", "--json"])
    assert json.loads(told.stdout) == {"name": "default", "was_running": False}
    monkeypatch.setattr(commands, "control_plane", lambda _name, **_how: {"pushes": 7})
    told = CliRunner().invoke(app, ["lab", "control-plane", "--down", "--json"])
    assert json.loads(told.stdout) == {"pushes": 7}
