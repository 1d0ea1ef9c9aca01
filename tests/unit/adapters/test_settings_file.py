from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.adapters.settings_file import read_settings, read_sourced
from chaos.cli import app
from chaos.errors import InputError


def test_without_a_file_nothing_is_allowed(tmp_path: Path) -> None:
    assert read_settings(tmp_path).namespaces == ()


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "chaos.toml").write_text('namespaces = ["far"]')
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.chaos]\nnamespaces = ["near"]\nlabels = {tier = "test"}')
    (inner / "pyproject.toml").write_text("[tool.other]\n")
    assert read_settings(inner).namespaces == ("near",)
    assert dict(read_settings(inner).labels) == {"tier": "test"}
    assert read_settings(tmp_path).namespaces == ("far",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("namespaces = [", "can't be read as TOML"),
        ('namespace = ["x"]', "known settings: namespaces"),
        ("namespaces = 'staging'", "namespaces"),
        ('namespaces = [""]', "namespaces"),
        ("labels = {}", "labels"),
        ('labels = {a = "b"}\n[tool.chaos]\nnamespaces = ["staging"]', "or all of them without it"),
        ('[tool.chaos]\nnamespaces = ["staging"]\n[tool.ruff]\nfix = true', "or all of them without it"),
    ],
)
def test_a_wrong_file_is_an_error_and_never_ignored(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "chaos.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path)
    assert says in str(caught.value)
    assert "chaos.toml" in str(caught.value)


@pytest.mark.parametrize("text", ["tool = 3", "[[tool]]\na = 1", "[tool]\na = 1"])
def test_a_project_without_settings_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_settings(tmp_path).namespaces == ()


@pytest.mark.parametrize("text", ['[tool]\nchaos = "x"', '[[tool.chaos]]\nnamespaces = ["a"]'])
def test_settings_that_are_no_table_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(InputError, match=r"pyproject.toml: expected the settings as the one table \[tool.chaos\]"):
        read_settings(tmp_path)


def test_a_file_of_an_editor_that_marks_its_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "chaos.toml").write_bytes(b'\xef\xbb\xbfnamespaces = ["staging"]\r\n')
    assert read_settings(tmp_path).namespaces == ("staging",)


@pytest.mark.parametrize(
    "address",
    [
        "me:canary@h",
        "http://me:canary@h:x",
        "http://me:canary@[::1",
        "http://me:canary@h h",
        "http://.h",
        "http://me:canary@",
    ],
)
def test_what_is_no_address_is_told_where_it_stands(tmp_path: Path, address: str) -> None:
    (tmp_path / "chaos.toml").write_text(f'prometheus = "{address}"\nentry = "{address}"')
    with pytest.raises(InputError, match=r"prometheus.url: expected a URL.*entry: expected a URL") as caught:
        read_settings(tmp_path)
    (tmp_path / "chaos.toml").write_text("")
    with pytest.raises(InputError, match="CHAOS_ENTRY: expected a URL") as given:
        read_settings(tmp_path, {"CHAOS_ENTRY": address})
    assert "canary" not in str(caught.value) + str(given.value)


def test_an_address_from_a_file_ends_in_a_newline(tmp_path: Path) -> None:
    found = read_settings(
        tmp_path, {"CHAOS_ENTRY": "HTTP://[::1]:8080/\n", "CHAOS_PROMETHEUS": " https://h/prometheus/ "}
    )
    assert (str(found.entry), str(found.prometheus.url)) == ("HTTP://[::1]:8080", "https://h/prometheus")


def test_a_file_of_its_own_may_have_the_table_of_a_project(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "staging-cluster.md"
    (documented,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "chaos.toml").write_text(textwrap.dedent(documented))
    assert read_settings(tmp_path).namespaces == ("staging",)


def test_the_environment_gives_addresses_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "chaos.toml").write_text(
        'namespaces = ["staging"]\nprometheus = "http://file:1"\nentry = "http://file:2"'
    )
    variables = {
        "CHAOS_PROMETHEUS": "http://env:1", "CHAOS_NAMESPACES": "production", "CHAOS_LABELS": "{}", "CHAOS_ROOT_NAMESPACE": "x",
    }  # fmt: skip
    found = read_sourced(tmp_path, variables)
    assert (str(found.settings.prometheus.url), str(found.settings.entry)) == ("http://env:1", "http://file:2")
    assert found.settings.namespaces == ("staging",)
    assert found.settings.root_namespace == "istio-system"
    assert (found.sources["prometheus"], found.sources["caps"]) == ("CHAOS_PROMETHEUS", "default")
    assert found.sources["namespaces"] == found.sources["entry"] == str(tmp_path / "chaos.toml")
    with pytest.raises(InputError, match="CHAOS_ENTRY: expected a URL"):
        read_sourced(tmp_path, {"CHAOS_ENTRY": "staging"})


def test_the_config_command_shows_values_and_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chaos.toml").write_text('namespaces = ["staging"]\ncaps = {percentage = 50}')
    shown = json.loads(CliRunner().invoke(app, ["config", "--json"]).stdout)
    assert shown["namespaces"] == {"value": ["staging"], "source": str(tmp_path / "chaos.toml")}
    assert shown["caps"]["value"]["percentage"] == 50
    assert shown["credentials"] == {"value": "warn", "source": "default"}
    assert 'namespaces       ["staging"]  (' in CliRunner().invoke(app, ["config"]).stdout
