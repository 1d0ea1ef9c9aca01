"""``chaosctl validate``: every mistake of every file at once, for people and for machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.cli import app, read_experiments
from chaos.errors import InputError
from tests.support.situations import EXPERIMENT


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, text in (
        ("right", EXPERIMENT),
        ("wrong", EXPERIMENT.replace("percentage: 50", "percentage: 150").replace("owner", "ownr")),
        ("none", "a: [b"),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    return [str(tmp_path / f"{name}.yaml") for name in ("right", "wrong", "none")]


def test_for_people(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["validate", *files])
    assert done.exit_code == 2
    assert done.stdout == f"{files[0]}: ok\n"
    assert done.stderr.count("wrong.yaml:") == 2
    assert done.stderr.count("none.yaml:") == 1


def test_for_machines(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["validate", "--json", *files])
    assert done.exit_code == 2
    assert done.stderr == ""
    right, wrong, none = json.loads(done.stdout)
    assert right == {"file": files[0], "problems": []}
    assert sorted((one["path"], one["line"]) for one in wrong["problems"]) == [
        ("faults[0].abort.percentage", 5), ("ownr", 2),
    ]  # fmt: skip
    assert none["problems"][0]["message"].startswith("expected YAML")


def test_a_file_that_cannot_be_read_hides_no_other(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\x7fELF\x80")
    unreadable = [str(tmp_path / "nothere.yaml"), str(tmp_path / "binary.yaml")]
    done = CliRunner().invoke(app, ["validate", "--json", unreadable[0], files[0], unreadable[1]])
    assert done.exit_code == 2
    missing, right, binary = json.loads(done.stdout)
    assert missing["problems"][0]["message"].endswith("can be read: No such file or directory")
    assert right["problems"] == []
    assert binary["problems"][0]["message"].endswith("can be read: it is not UTF-8 text")


def test_right_files_are_fine_for_machines_too(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["validate", "--json", files[0]])
    assert (done.exit_code, json.loads(done.stdout)) == (0, [{"file": files[0], "problems": []}])


def test_an_experiment_that_could_show_nothing_is_found(tmp_path: Path) -> None:
    file = tmp_path / "vacuous.yaml"
    file.write_text(EXPERIMENT.replace("percentage: 50", "percentage: 1"))
    done = CliRunner().invoke(app, ["validate", "--json", str(file)])
    assert done.exit_code == 2
    (told,) = json.loads(done.stdout)
    lines = file.read_text().splitlines()
    proven, broken = told["problems"]
    assert broken["path"] == "steadyState[0].atLeast"
    assert "atLeast" in lines[broken["line"] - 1]
    assert "even if each of these goes wrong" in broken["message"]
    assert "target.callsPerRequest" in broken["hint"]
    assert proven["path"] == "faults[0].abort.percentage"
    assert "percentage" in lines[proven["line"] - 1]
    assert "raise limits.fault to " in proven["hint"]


def test_a_folder_stands_for_the_experiments_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(EXPERIMENT)
    (tmp_path / "values.yaml").write_text("kind: Pod\n")
    done = CliRunner().invoke(app, ["validate", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'mine.yaml'}: ok\n")


def test_what_runs_only_if_it_is_named_is_left_out_of_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "naive.yaml"
    file.write_text(f"{EXPERIMENT}\nonlyIfNamed: true\n")
    with pytest.raises(InputError, match="run only if their file is named"):
        read_experiments([tmp_path])
    assert f"{file}: left out" in capsys.readouterr().err
    assert [found for found, _, _ in read_experiments([file])] == [file]


@pytest.mark.parametrize(
    ("before", "after", "path", "told"),
    [
        ("httpStatus: 503", "grpcStatus: UNAVAILBLE", "faults[0].abort.grpcStatus", "expected the name of a gRPC status: OK, "),
        ("load:", "load: {locustfile: nowhere.py, users: 3}\nx-load:", "load.locustfile", "there is no such file"),
        ("load:", "load: {locustfile: ., users: 3}\nx-load:", "load.locustfile", "'.': expected one file, got a folder: import"),
        ("load:", "load: {locustfile: 'a.py,b.py', users: 3}\nx-load:", "load.locustfile", "expected one file, got several: import"),
    ],
)  # fmt: skip
def test_names_that_lead_nowhere_are_found(tmp_path: Path, before: str, after: str, path: str, told: str) -> None:
    file = tmp_path / "wrong.yaml"
    text = re.sub(r"(?m)^x-load:.*\n(?: .*\n)*", "", EXPERIMENT.replace(before, after, 1))
    assert text != EXPERIMENT
    file.write_text(text)
    done = CliRunner().invoke(app, ["validate", "--json", str(file)])
    assert done.exit_code == 2
    (problem,) = json.loads(done.stdout)[0]["problems"]
    assert problem["path"] == path
    assert told in problem["message"]
