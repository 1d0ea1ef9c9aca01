"""What is said of a file that can't be read: where and why, and nothing of what stands in it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.backup_folder import read_backup
from chaos.adapters.experiment_file import check_experiment, parse_experiment
from chaos.adapters.istio_manifests import wanted_of
from chaos.adapters.kubernetes_config import load
from chaos.adapters.settings_file import read_settings
from chaos.errors import InputError
from chaos.istio.mesh_config import mesh_config
from chaos.lab import behaviours, reading
from chaos.lint.reading.nodes import Unreadable, compose
from chaos.values.unreadable import fault_of
from tests.support.situations import EXPERIMENT

SECRET = "s3cr3t-t0k3n"  # noqa: S105
BROKEN = {
    "a key twice": f"a: 1\nheaders: {{authorization: {SECRET}, authorization: {SECRET}}}\n",
    "a block twice": f"token: |\n  {SECRET}\ntoken: |\n  {SECRET}\n",
    "an alias": f"token: *{SECRET}\n",
    "a tag": f"token: !{SECRET}!x 1\n",
    "a number": f"token: !!int {SECRET}\n",
    "a float": f"token: !!float {SECRET}\n",
    "a time": f"token: !!timestamp {SECRET}\n",
    "a bracket": f"token: [{SECRET}\n",
    "a tab": f"token: {SECRET}\n\tmore: {SECRET}\n",
    "a colon": f"token: {SECRET}: {SECRET}\n",
    "an escape": f'token: "{SECRET}\\q"\n',
    "a character": f"token: {SECRET}\x00\n",
    "text alone": f"{SECRET}\n",
}


def of_backup(file: Path) -> None:
    file.rename(file.with_name("backup.yaml"))
    read_backup(file.parent)


def of_settings(file: Path) -> None:
    file.rename(file.with_name("chaos.toml"))
    read_settings(file.parent)


def of_lint(file: Path) -> None:
    try:
        compose(file.read_text())
    except Unreadable as error:
        raise InputError(str(error)) from error


READERS: dict[str, Callable[[Path], Any]] = {
    "experiment": check_experiment,
    "manifest": lambda file: wanted_of([file]),
    "manifest as text": lambda file: wanted_of([file.read_text()]),
    "backup": of_backup,
    "behaviours": behaviours.read,
    "lab's manifests": lambda file: reading.read([file]),
    "mesh": lambda file: mesh_config({"data": {"mesh": file.read_text()}}),
    "kubeconfig": lambda file: load(str(file), "staging"),
    "lint": of_lint,
    "settings": of_settings,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("broken", BROKEN)
def test_no_reader_tells_what_stands_in_a_broken_file(reader: str, broken: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN[broken])
    told = ""
    try:
        READERS[reader](file)
    except (InputError, ValueError) as error:
        told = "".join(traceback.format_exception(error))
    assert told or reader == "lint"  # which reads no values, and so takes more
    assert SECRET not in told


@pytest.mark.parametrize(
    "toml",
    [
        f'[prometheus]\nbearer = "{SECRET}',
        f'[prometheus]\nbearer = {SECRET}\n',
        f'[prometheus]\nbearer = "{SECRET}"\nbearer = "{SECRET}"\n',
        f'[prometheus]\nbearer = "{SECRET}" "{SECRET}"\n',
        f'prometheus = {{bearer = "{SECRET}", bearer = "{SECRET}"}}\n',
        f'[prometheus]\nbearer = "\\q{SECRET}"\n',
    ],
)  # fmt: skip
def test_broken_settings_do_not_tell_what_stands_in_them(toml: str, tmp_path: Path) -> None:
    (tmp_path / "chaos.toml").write_text(toml)
    with pytest.raises(InputError, match=r"can't be read as TOML: .*(line|end of document)") as caught:
        read_settings(tmp_path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_key_that_is_there_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("experiment: x\nload: {a: &a {b: *a}}\nload: 1\n")
    with pytest.raises(InputError, match=r"x.yaml:3:1: expected YAML: `load` appears twice, first in line 2$"):
        check_experiment(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("declared", "instead"),
    [
        ("{requests: [{path: /orders/42}]}", SECRET),
        ("[{path: /orders/42}]", SECRET),
        ("{path: /orders/42}", SECRET),
        ("{path: /orders/42}", f"{{path: /orders/42, headers: {SECRET}}}"),
        ("{path: /orders/42}", f"{{path: /orders/42, body: [{SECRET}]}}"),
        ("{percentage: 50, httpStatus: 503}", SECRET),
        ('{status: "<500"}', SECRET),
    ],
)
def test_a_text_where_a_mapping_or_a_list_should_be_is_not_told(declared: str, instead: str, tmp_path: Path) -> None:
    assert declared in EXPERIMENT
    (tmp_path / "x.yaml").write_text(EXPERIMENT.replace(declared, instead))
    with pytest.raises(InputError) as caught:
        check_experiment(tmp_path / "x.yaml")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_values_of_an_environment_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(f"order-svc: {{process: {{command: [sh], env: [{SECRET}]}}}}\n")
    with pytest.raises(InputError, match=r"process: env: expected a mapping") as caught:
        behaviours.read(tmp_path / "b.yaml")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_what_is_no_text_is_told_as_such() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\x80".decode()
    assert str(fault_of(caught.value)) == "it is not UTF-8 text"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {b: 1", "x.yaml:1:9: expected YAML: expected ',' or '}', but got '<stream end>'"),
        ("a:\n\tb: 1", "x.yaml:2:1: expected YAML: found character '\\t' that cannot start any token"),
        ("a: *nothing", "x.yaml:1:4: expected YAML: found undefined alias"),
    ],
)
def test_what_the_parser_expected_is_told(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_experiment(text, file="x.yaml")
    assert str(caught.value) == said
