"""The wheel as users have it: built from what is tracked, installed into an environment of its own, the sources out of the way."""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.values.remarks import RULES_AT
from tests.support.repository import ROOT, relative, tracked
from tests.support.wheel import build_wheel

EXPERIMENT = """\
experiment: orders
owner: checkout
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults: [{abort: {percentage: 50, httpStatus: 503}}]
load: {requests: [{path: /orders/42}]}
profile: quick
steadyState: [{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}]
"""
IN_MEMORY = ROOT / "docs" / "how-to" / "testing-in-memory.md"
EVERY_MODULE = """\
import importlib, pkgutil
import chaos.adapters.locust_driver  # patches the standard library, so it comes first, as in its own process
for found in pkgutil.walk_packages(chaos.__path__, "chaos."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Installed:
    """The wheel, and the environment that has it; ``folder`` holds nothing but an experiment."""

    wheel: Path
    scripts: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> str:
        """What a program of the environment prints."""
        done = self.tried(program, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(self, program: str, *arguments: str, folder: Path | None = None, path: str = "") -> Done:
        """What became of a program of the environment, in a folder and with a ``PYTHONPATH``."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST", "COV_"))}
        return subprocess.run(
            [self.scripts / program, *arguments], cwd=folder or self.folder, capture_output=True, text=True, timeout=120,
            check=False, env={**clean, **({"PYTHONPATH": path} if path else {})},
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Other packages are those of this environment; its own editable copy of the harness is not reached that way."""
    home = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = build_wheel(home)
    venv.create(home / "venv", symlinks=True)
    (there,) = (home / "venv").glob("lib/python*/site-packages")
    (there / "other-packages.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    python = home / "venv" / "bin" / "python"
    subprocess.run(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", str(wheel)], check=True, timeout=120
    )
    (home / "suite").mkdir()
    (home / "suite" / "orders.yaml").write_text(EXPERIMENT)
    return Installed(wheel, python.parent, home / "suite")


def test_it_holds_every_file_of_the_package_and_the_documentation(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as opened:
        names = {re.sub(r".*\.data/data/share/doc/istio-chaos/", "", name) for name in opened.namelist()}
    packed = ("chaos/", "docs/", "istio_chaos.py", "suites/chaos_suites/")
    expected = {relative(one).removeprefix("suites/") for one in tracked() if relative(one).startswith(packed)}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_the_pages_that_messages_name_are_where_help_says(installed: Installed) -> None:
    told = installed.run("python", "-c", "from chaos.cli import documentation; print(documentation())")
    folder = Path(told.strip())
    assert folder.is_relative_to(installed.scripts.parent)
    assert (folder / RULES_AT).is_file()


def test_every_module_can_be_imported_from_it(installed: Installed) -> None:
    where = installed.run("python", "-c", EVERY_MODULE + "print(chaos.__file__)")
    assert Path(where.strip()).is_relative_to(installed.scripts.parent)


def test_the_command_works_by_its_name_and_as_a_module(installed: Installed) -> None:
    told = installed.run("chaosctl", "--version")
    assert told == installed.run("python", "-m", "chaos", "--version")
    assert told.split()[-1] in installed.wheel.name
    installed.run("chaosctl", "validate", "orders.yaml")
    assert "steadyState" in json.loads(installed.run("chaosctl", "schema"))["properties"]
    assert "staging" in installed.run("chaosctl", "lab", "shop", "--image", "shop:1"), "the demo shop comes with it"


def test_what_comes_with_it_is_found(installed: Installed) -> None:
    names = [one["name"] for one in json.loads(installed.run("chaosctl", "library", "--json"))]
    assert "dependency-down" in names
    given = ("--with", "service=inventory-svc", "--with", "path=/orders/42")
    made = installed.run("chaosctl", "library", "show", "dependency-down", *given)
    assert "steadyState" in made
    assert "kind: Role" in installed.run("chaosctl", "manifests", "rbac", "-n", "staging")
    assert "ValidatingAdmissionPolicy" in installed.run("chaosctl", "manifests", "admission", "-n", "staging")


def test_a_suite_in_memory_runs(installed: Installed) -> None:
    """The one of the documentation, which has to be right itself."""
    (suite,) = re.findall(r"```python\n(.*?)```", IN_MEMORY.read_text(encoding="utf-8"), re.DOTALL)
    (installed.folder / "test_orders_in_memory.py").write_text(suite)
    told = installed.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders_in_memory.py")
    assert "4 passed" in told


def test_pytest_finds_the_plugin_and_the_experiment(installed: Installed) -> None:
    told = installed.run("python", "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "orders.yaml")
    assert "orders.yaml::orders" in told
    assert "1 test collected" in told


def test_the_nightly_jobs_command_finds_experiments_and_suites(installed: Installed, tmp_path: Path) -> None:
    """As the workflow has it that `chaosctl init` writes, and with one row of the guide."""
    assert installed.tried("chaosctl", "init", folder=tmp_path).returncode == 0
    nightly = ("experiments", "--pyargs", "chaos_suites", "--chaos-services", "services.toml", "-m")
    assert " ".join(nightly) in (tmp_path / ".github/workflows/chaos-nightly.yml").read_text()
    collect = ("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *nightly)
    told = installed.tried("python", *collect, "nightly", folder=tmp_path).stdout
    assert "first-experiment.yaml::first-experiment" in told
    assert "traffic/test_canary.py::" in told
    assert "1/" in installed.tried("python", *collect, "G5", folder=tmp_path).stdout, "no other is of this row"


def test_a_package_of_the_users_by_the_same_name_is_told_apart(installed: Installed, tmp_path: Path) -> None:
    theirs = tmp_path / "chaos"
    theirs.mkdir()
    (theirs / "cli.py").write_text("")
    (theirs / "__init__.py").write_text("")
    quiet = ("-q", "-p", "no:cacheprovider")
    for done, code in (
        (installed.tried("python", "-m", "pytest", *quiet, folder=tmp_path), pytest.ExitCode.USAGE_ERROR),
        (installed.tried("python", "-P", "-m", "pytest", *quiet, folder=tmp_path), pytest.ExitCode.USAGE_ERROR),
        (installed.tried("chaosctl", "--version", folder=tmp_path, path="."), 1),
    ):
        assert done.returncode == code
        assert f"{theirs / '__init__.py'} has the name of the harness's own package" in done.stderr
        assert "Traceback" not in done.stderr + done.stdout
    without = installed.tried("python", "-P", "-m", "pytest", *quiet, "-p", "no:chaos", folder=tmp_path)
    assert without.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert installed.tried("chaosctl", "--version", folder=tmp_path).returncode == 0
