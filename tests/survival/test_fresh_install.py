"""The wheel in somebody else's repository, with everything from the package index: their plugins, their YAML, their tests.

Needs a network and some minutes, so only `make survive` runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from tests.support.scope import EVERY
from tests.support.wheel import build_wheel

pytestmark = pytest.mark.skipif(not EVERY, reason="installs from the package index: make survive")

PLUGINS = ("asyncio", "cov", "html", "randomly", "rerunfailures", "timeout")
CONFIGURATION = """\
[pytest]
addopts = -ra --strict-markers --strict-config
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
timeout = 900
"""
CONFTEST = """\
import pytest

@pytest.fixture(autouse=True)
def everywhere():
    yield
"""
THEIRS = """\
from pathlib import Path

TRIED = Path(__file__).with_suffix(".tried")

async def test_async():
    pass

def test_flaky():
    tried = TRIED.exists()
    TRIED.write_text("")
    assert tried
"""


@dataclass(frozen=True)
class Repository:
    """Somebody else's, and an environment of its own."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, code: int = 0) -> str:
        """What a command prints, which ends with an exit code."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    home = tmp_path_factory.mktemp("guest")
    wheel = build_wheel(home)
    venv.create(home / "venv", with_pip=True, symlinks=True)
    scripts = home / "venv" / "bin"
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST", "COV_", "CHAOS_"))
    }
    made = Repository(
        home / "theirs",
        {**clean, "PATH": f"{scripts}{os.pathsep}{clean['PATH']}", "CHAOS_LAB_HOME": str(home / "labs")},
    )
    made.folder.mkdir()
    made.run(str(scripts / "pip"), "install", "--quiet", f"{wheel}[lab]", *(f"pytest-{one}" for one in PLUGINS))
    (made.folder / "pytest.ini").write_text(CONFIGURATION)
    (made.folder / "conftest.py").write_text(CONFTEST)
    (made.folder / "test_theirs.py").write_text(THEIRS)
    (made.folder / "experiments").mkdir()
    (made.folder / "experiments" / "values.yaml").write_text("kind: Deployment\n")
    made.run("git", "init", "--quiet")
    yield made
    made.run(str(scripts / "chaosctl"), "lab", "down")


@pytest.mark.timeout(1200)
def test_the_documented_first_way(repository: Repository) -> None:
    repository.run("chaosctl", "init")
    said = repository.run("chaosctl", "lab", "up")
    assert ("unpacking this system's package" in said) == (shutil.which("prometheus") is None)
    naive = ROOT / "experiments" / "teaching" / "naive-orders-survive-degraded-inventory.yaml"
    shutil.copy(naive, repository.folder / "experiments" / "naive.yaml")
    options = ("-n", "2", "--reruns", "2", "--html", "report.html", "--cov", ".", "--chaos-profile", "quick")
    said = repository.run("pytest", *options, "--junitxml", "junit.xml", "--alluredir", "allure-results")
    assert re.search(r"=+ 3 passed, 1 rerun in", said), said
    assert re.search(r"^first-experiment +passed ", said, re.MULTILINE), said
    said = repository.run("pytest", *options, "experiments/naive.yaml", code=1)
    assert re.search(r"=+ 1 failed in", said), f"an experiment is never run again: {said}"
