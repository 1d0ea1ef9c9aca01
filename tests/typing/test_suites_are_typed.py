"""Suites of users under the strict type checkers: the right ones are clean, of the wrong ones each marked line is an error.

The checkers find the package as they do in a user's environment: by its ``py.typed``, not by its sources.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITES = Path(__file__).parent / "suites"
MARK = "# wrong"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project beside an environment in which the package is installed."""
    folder = tmp_path_factory.mktemp("project")
    for suite in SUITES.glob("*.py"):
        shutil.copy(suite, folder)
    venv.create(folder / "venv", with_pip=False)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    installed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "installed.pth").write_text("\n".join([str(ROOT), *installed]))
    settings = {"typeCheckingMode": "strict", "venvPath": ".", "venv": "venv"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    return folder


def mypy(project: Path) -> Iterator[tuple[str, int, str]]:
    done = run(project, "mypy", "--strict", "--no-incremental", "--python-executable", "venv/bin/python")
    for line in done.stdout.splitlines():
        if found := re.match(r"(\w+)\.py:(\d+): error: (.*)", line):
            yield found[1], int(found[2]), found[3]
    assert "error: " not in done.stderr, done.stderr


def pyright(project: Path) -> Iterator[tuple[str, int, str]]:
    done = run(project, "basedpyright", "--outputjson")
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        yield Path(found["file"]).stem, found["range"]["start"]["line"] + 1, found["message"]


def run(project: Path, checker: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    suites = sorted(one.name for one in SUITES.glob("*.py"))
    return subprocess.run(
        [sys.executable, "-m", checker, *options, *suites],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def marked() -> Mapping[tuple[str, int], str]:
    """The lines that are wrong on purpose."""
    return {
        (suite.stem, number): line.strip()
        for suite in SUITES.glob("*.py")
        for number, line in enumerate(suite.read_text().splitlines(), start=1)
        if line.rstrip().endswith(MARK)
    }


@pytest.mark.parametrize("check", [mypy, pyright], ids=["mypy", "pyright"])
def test_what_is_right_is_clean_and_what_is_wrong_is_found(project: Path, check: object) -> None:
    assert callable(check)
    found = list(check(project))
    assert [one for one in found if one[:2] not in marked()] == []
    assert {one[:2] for one in found} == set(marked()), "every wrong line, and no other"
    assert {name for name, _ in marked()} == {"wrong"}
    assert len(marked()) > 15
