"""Tests of the repository itself: what is tracked, what the documentation names, and the layers."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from chaos.model.verdict import Outcome
from chaos.values.remarks import RULES_AT, Refusal
from tests.support.repository import ROOT, pages, relative, text_of, tracked

LONGEST = 450
LONG_FILES: dict[str, str] = {
    "tests/property/mesh_oracle.py": "one computation that shares nothing with the code, read as a whole",
    "requirements.lock": "made by `make lock`",
    "tests/clients/chaostoolkit.txt": "made by `make lock`",
    "tests/clients/official.txt": "made by `make lock`",
    "reports/allure/package-lock.json": "made by npm",
}
"""Files above the limit, and why each of them may be."""

# Written apart, so that this file does not hold what it forbids.
REGISTRY_HOSTS = [
    "files." + "pythonhosted.org",
    "test." + "pypi.org",
    "registry." + "npmjs.org",
    "registry." + "yarnpkg.com",
    "proxy." + "golang.org",
    "pypi." + "org/simple",
]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?:\s|$)", (ROOT / "Makefile").read_text(), re.MULTILINE))


# ---------------------------------------------------------------------------------------------------------- locks


def test_no_registry_host_is_named_in_any_file() -> None:
    found = [(relative(file), host) for file in tracked() for host in REGISTRY_HOSTS if host in text_of(file)]
    assert found == []


LOCKS = ["requirements.lock", *sorted(f"tests/clients/{one.name}" for one in (ROOT / "tests/clients").glob("*.txt"))]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_for_every_package_and_no_address(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    assert not re.search(r"^--", lock, re.MULTILINE), "options such as an index belong to each user's own pip settings"
    pins = re.findall(r"^([A-Za-z0-9_.\-]+)==\S+((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", lock, re.MULTILINE)
    named = re.findall(r"^[A-Za-z0-9]\S*", lock, re.MULTILINE)
    assert len(pins) == len(named) > (50 if name == "requirements.lock" else 5)


def test_the_lock_holds_every_dependency_that_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
    ]
    locked = re.findall(r"^(\S+?)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    names = {canonical(re.split(r"[\[<>=!~; ]", one)[0]) for one in declared}
    assert names - {canonical(one) for one in locked} == set(), "run `make lock`"


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_of_allure_has_hashes_and_no_address() -> None:
    lock = json.loads((ROOT / "reports/allure/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")] == []
    assert lock["packages"][""]["devDependencies"]["allure"] == packages["node_modules/allure"]["version"]


# -------------------------------------------------------------------------------------------------- documentation


def test_every_make_command_in_the_documentation_is_a_target() -> None:
    named = {
        (relative(page), target)
        for page in pages()
        for code in re.findall(r"```.*?```|^ {4}.*$|`[^`\n]+`", text_of(page), re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)\b", code)
    }
    assert {target for _, target in named} >= {"run", "test"}
    assert {one for one in named if one[1] not in make_targets()} == set()


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^make ([a-z-]+) ", shown, re.MULTILINE)) == make_targets()
    assert {"help", "setup", "run", "test", "lint", "clean"} <= make_targets()


def test_no_page_has_a_heading_twice() -> None:
    for page in pages():
        if page.name != "CHANGELOG.md":
            text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
            headings = re.findall(r"^## +.+$", text, re.MULTILINE)
            assert len(headings) == len(set(headings)), relative(page)


# ------------------------------------------------------------------------------------------------------ experiments


def chaosctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line of this environment."""
    program = Path(sys.executable).parent / "chaosctl"
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_every_experiment_is_valid() -> None:
    experiments = [relative(file) for file in tracked() if file.match("experiments/**/*.yaml")]
    experiments += [relative(file) for file in tracked() if file.match("experiments/*.yaml")]
    assert experiments
    checked = chaosctl("validate", *sorted(set(experiments)))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_experiment_file_bears_the_name_of_its_experiment() -> None:
    for file in (ROOT / "experiments").rglob("*.yaml"):
        assert YAML(typ="safe").load(file)["experiment"] == file.stem


# ------------------------------------------------------------------------------------------------------------ code


def test_imports_point_down(tmp_path: Path) -> None:
    checker = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run(
        [checker, "--cache-dir", tmp_path, "--config", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stdout[-4000:] + checked.stderr


def test_only_the_lab_knows_what_it_is_called() -> None:
    """Of others only whoever reads records that were written when the name said where a run had been."""
    files = [*(ROOT / "chaos").rglob("*.py"), *(ROOT / "suites").rglob("*.py")]
    named = {relative(file) for file in files if "chaos-lab" in text_of(file)}
    assert {name for name in named if not name.startswith("chaos/lab/")} == {"chaos/reporting/earlier.py"}


def test_what_is_imported_is_declared_and_what_is_declared_is_used() -> None:
    checker = Path(sys.executable).parent / "deptry"
    checked = subprocess.run([checker, "."], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert checked.returncode == 0, checked.stdout[-4000:] + checked.stderr


def test_long_files_have_a_reason() -> None:
    lengths = {relative(file): len(text_of(file).splitlines()) for file in tracked()}
    long = {name: length for name, length in lengths.items() if length > LONGEST and name not in LONG_FILES}
    assert long == {}, f"more than {LONGEST} lines: divide it by what it is about, or say in LONG_FILES why not"
    stale = {name for name in LONG_FILES if name in lengths and lengths[name] <= LONGEST}
    assert stale == set(), "short enough now: strike it from LONG_FILES"


def test_what_tests_share_is_in_no_test_module() -> None:
    """Else a reader looks for it in vain, and a change of one test breaks another."""
    imported = {
        (relative(file), one)
        for file in tracked()
        if relative(file).startswith(("tests/", "benchmarks/")) and file.suffix == ".py"
        for one in re.findall(r"^\s*(?:from|import) (tests\.\S*\btest_\w+)", text_of(file), re.MULTILINE)
    }
    assert imported == set(), "move it to tests/support, or beside the tests that share it"


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [relative(file) for file in tracked() if file.stem in vague and file.suffix == ".py"] == []


def test_scripts_can_be_executed_and_are_sound_shell() -> None:
    scripts = [file for file in tracked() if text_of(file).startswith("#!/usr/bin/env bash")]
    assert {"scripts/setup", "scripts/report", "scripts/kind", ".ci/run"} <= {relative(file) for file in scripts}
    for script in scripts:
        assert script.stat().st_mode & 0o111, relative(script)
        assert "set -euo pipefail" in text_of(script), relative(script)
        subprocess.run(["bash", "-n", script], check=True)


def test_the_image_is_built_from_all_that_is_installed() -> None:
    installed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    needed = {f"{module}.py" for module in installed["py-modules"]} | {installed["packages"]["find"]["include"][0]}
    assert needed <= set(" ".join(copied).split())


# --------------------------------------------------------------------------------------------------- CI and reports


@pytest.mark.parametrize("name", ["pull-request", "nightly", "real-istio"])
def test_workflows_are_bounded(name: str) -> None:
    workflow = YAML(typ="safe").load(ROOT / f".github/workflows/{name}.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 180
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/checkout@v1"))
            assert "${{" not in step.get("run", ""), "values reach a script by env, never by being pasted into it"


def test_nights_never_overlap_and_are_never_cancelled_by_the_next() -> None:
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/nightly.yml")
    assert workflow["concurrency"] == {"group": "chaos-staging", "cancel-in-progress": False}


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.PASSED])
@pytest.mark.parametrize("form", ["{}: orders are answered\nmore", "Failed: {} (some-reason): x", "a.b.Finding: {}"])
def test_the_report_has_a_category_for_every_outcome(outcome: Outcome, form: str) -> None:
    categories = json.loads((ROOT / "reports/allure/categories.json").read_text())
    matching = [
        category["name"] for category in categories if re.search(category["messageRegex"], form.format(outcome))
    ]
    assert len(matching) == 1


def rules_in_code() -> set[str]:
    """The identifiers of all staging rules, as the code spells them where it refuses."""
    found: set[str] = set()
    places = [
        *(ROOT / "chaos/guard").glob("*.py"),
        *(ROOT / "chaos/injection").glob("*.py"),
        *(ROOT / "chaos/faults").glob("*.py"),
        *(ROOT / "chaos/expectations").glob("*.py"),
        ROOT / "chaos/engine/planning.py",
    ]
    for place in places:
        for call in (node for node in ast.walk(ast.parse(place.read_text())) if isinstance(node, ast.Call)):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            ids = [one.value for one in call.keywords if name == "Refusal" and one.arg == "rule"]
            ids += call.args[:1] if name in ("refuse", "_refusal") else []
            found |= {one.value for one in ids if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_every_staging_rule_has_its_place_on_the_safety_page_and_a_test() -> None:
    rules = rules_in_code()
    assert len(rules) > 40
    anchors = re.findall(r'<a id="([a-z-]+)"></a>`([a-z-]+)`', (ROOT / RULES_AT).read_text())
    assert all(anchor == shown for anchor, shown in anchors)
    assert sorted(anchor for anchor, _ in anchors) == sorted(rules)
    tests = "\n".join(text_of(file) for file in tracked() if file.is_relative_to(ROOT / "tests"))
    assert [rule for rule in sorted(rules) if f'"{rule}"' not in tests] == []
    assert Refusal(rule="frozen", value="", message="", hint="").more == f"{RULES_AT}#frozen"
