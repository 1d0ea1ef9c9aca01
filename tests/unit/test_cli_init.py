"""``chaosctl init``: what a repository needs to begin, and nothing of it over what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from chaos.adapters.experiment_file import read_experiment
from chaos.adapters.settings_file import read_settings
from chaos.cli import app
from chaos.errors import InputError
from chaos_suites.services import Services, read_services

FILES = ["experiments/first-experiment.yaml", "experiments/experiment.schema.json", "chaos.toml", "services.toml"]
WORKFLOW = ".github/workflows/chaos-nightly.yml"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of somebody else's, empty, in whose root the command is given."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*options: str) -> dict[str, bool]:
    done = CliRunner().invoke(app, ["init", "--json", *options], catch_exceptions=False)
    return {str(Path(one["file"]).relative_to(Path.cwd())): one["written"] for one in json.loads(done.stdout)}


def test_what_it_writes_is_sound(repository: Path) -> None:
    assert init() == dict.fromkeys([*FILES, WORKFLOW], True)
    assert CliRunner().invoke(app, ["validate", "experiments"]).exit_code == 0
    assert read_settings(repository).namespaces == ("staging",)
    assert read_services(repository / "services.toml") == Services(namespace="staging")
    examples = (repository / "services.toml").read_text().partition("missing.\n")[2]
    (repository / "services.toml").write_text(re.sub(r"^# ", "", examples, flags=re.MULTILINE))
    assert read_services(repository / "services.toml").degraded is not None, "its examples are right"
    first = (repository / FILES[0]).read_text()
    (schema,) = re.findall(r"^# yaml-language-server: \$schema=(.*)$", first, re.MULTILINE)
    shown = json.loads(CliRunner().invoke(app, ["schema"]).stdout)
    assert json.loads((repository / "experiments" / schema).read_text()) == shown
    workflow = YAML(typ="safe").load(repository / WORKFLOW)
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"] == {"group": "chaos-staging", "cancel-in-progress": False}
    assert job["timeout-minutes"] <= 180
    for step in job["steps"]:
        assert "${{" not in step.get("run", ""), "values reach a script by env, never by being pasted into it"


def test_what_is_there_is_left_as_it_is(repository: Path) -> None:
    (repository / "experiments").mkdir()
    (repository / FILES[0]).write_text("mine")
    (repository / "pyproject.toml").write_text('[tool.chaos]\nnamespaces = ["qa"]\n')
    written = init()
    assert not written[FILES[0]]
    assert not written["chaos.toml"], "the project's settings would no longer hold"
    assert (repository / FILES[0]).read_text() == "mine"
    assert not any(init().values()), "and a second time nothing is written at all"


def test_it_is_about_the_users_own_service_and_in_a_folder_of_the_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = repository / "services" / "basket"
    part.mkdir(parents=True)
    monkeypatch.chdir(part)
    CliRunner().invoke(
        app,
        ["init", "-n", "qa", "--service", "prices", "--caller", "basket", "--path", "/basket?id=1,2"],
        catch_exceptions=False,
    )
    assert "on the lab as it is" not in (part / FILES[0]).read_text(), "the lab's shop has no such services"
    experiment, _ = read_experiment(part / FILES[0])
    assert (str(experiment.target), experiment.target.callers) == ("qa/prices", {"app": "basket"})
    assert experiment.load.requests[0].path == "/basket?id=1,2"
    assert experiment.steady_state[0].title == "basket answers without errors"
    assert read_settings(part).namespaces == ("qa",)
    text = (repository / WORKFLOW).read_text()
    assert "working-directory: services/basket" in text
    assert "services/basket/reports/runs" in text
    assert not re.search(
        r"\b(NAMESPACE|SERVICE|CALLER|WHERE|ASKED|DIRECTORY|PYTHON)\b", text + (part / FILES[0]).read_text()
    )


def test_a_name_that_cannot_be_one_is_told_and_nothing_is_written(repository: Path) -> None:
    done = CliRunner().invoke(app, ["init", "--service", "Prices_1"])
    assert isinstance(done.exception, InputError)
    assert str(done.exception).startswith("--service 'Prices_1': expected"), "and not a file that is not there"
    assert [one.name for one in repository.iterdir()] == [".git"]
