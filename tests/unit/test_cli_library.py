"""``chaosctl library``: what is in it, and an experiment in full."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.adapters.experiment_file import parse_experiment, read_experiment
from chaos.cli import app
from chaos.errors import InputError
from chaos.library import TEMPLATES


def library(*arguments: str) -> str:
    return CliRunner().invoke(app, ["library", *arguments], catch_exceptions=False).stdout


def test_it_lists_what_each_template_asks_and_takes() -> None:
    shown = library()
    assert all(template.asks in shown and template.hides in shown for template in TEMPLATES)
    assert "slower-than-its-time-out" in shown
    assert "parameters:  service, path, timeOut; optional: caller, " in shown
    listed = json.loads(library("--json"))
    assert [one["name"] for one in listed] == [template.key for template in TEMPLATES]
    assert listed[2]["parameters"][0]["required"] is True


def test_without_parameters_it_explains_those_that_there_are() -> None:
    needed, _, optional = library("show", "rate-limited").partition("optional:")
    assert "needed:\n  service " in needed
    assert re.search(r"^  path +path that the load requests", needed, re.MULTILINE)
    assert re.search(r"^  namespace +the staging namespace of both \(staging by default\)$", optional, re.MULTILINE)
    assert re.search(r"^  attempts .* \(3\.5 by default\)$", optional, re.MULTILINE)


def test_what_it_shows_is_what_a_file_that_uses_it_becomes(tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(
        library(
            "show", "dependency-down", "--name", "orders", "--with", "service=inventory-svc", "--with", "path=/orders/42",
            "--with", "caller=order-svc", "--with", "fallback={jsonPath: {degraded: true}}",
        )
    )  # fmt: skip
    assert file.read_text().startswith("experiment: orders\n")
    parameters = "{service: inventory-svc, path: /orders/42, caller: order-svc, fallback: {jsonPath: {degraded: true}}}"
    used = parse_experiment(f"experiment: orders\nuses: dependency-down\nwith: {parameters}")
    assert read_experiment(file)[0] == used


def test_what_it_shows_can_be_json() -> None:
    assert json.loads(library("show", "hanging", "--json"))["name"] == "hanging"
    given = ("--with", "service=inventory-svc", "--with", "path=/orders/42")
    shown = library("show", "hanging", *given, "--json")
    assert library("--json", "show", "hanging", *given) == shown, "wherever the option stands"
    assert shown.startswith("{")
    assert parse_experiment(shown) == parse_experiment(library("show", "hanging", *given))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dependency-dow"], "did you mean 'dependency-down'"),
        (["dependency-dow"], "^'dependency-dow': there is no"),
        (["hanging", "--with", "path=/"], "hanging: service: is missing"),
        (["hanging", "--with", "service=x"], "with.path: is missing"),
        (["hanging", "--with", "service"], "expected a parameter and its value"),
        (["hanging", "--with", "service={"], "expected a value as it stands in YAML"),
        (["hanging", "--with", "service=x", "--with", "path=/", "--name", "A b"], "--name 'A b': expected only"),
        (["hanging", "--with", "service=x", "--with", "service=y"], "--with service=… is given twice"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        library("show", *arguments)


def test_who_names_a_template_as_a_command_is_told_which_shows_it() -> None:
    with pytest.raises(InputError, match="'hanging' is a template, and no command") as caught:
        library("hanging")
    assert caught.value.hint == "chaosctl library show hanging"
