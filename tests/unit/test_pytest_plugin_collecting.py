"""What the plugin takes for an experiment in somebody else's repository, and that nothing there runs one into green."""

from __future__ import annotations

import pytest

from tests.support.plugin_sessions import GOOD, MESH, QUIET, with_outcomes, write

pytest_plugins = ["pytester"]

# As pytest-rerunfailures and pytest-retry do it: the whole protocol of a failed test again, and its call again.
RERUNNING = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for last in (False, True):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if last or all(one.passed for one in reports):
            for one in reports:
                item.ihook.pytest_runtest_logreport(report=one)
            return True
"""
CALLING_AGAIN = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    if call.when == "call" and call.excinfo:
        call = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")
        yield
        return pytest.TestReport.from_item_and_call(item, call)
    return (yield)
"""
GOOD_AT_THE_SECOND_TRY = """
TRIES = []
def _run(self, experiment, **source):
    TRIES.append(experiment.name)
    print("TRY", len(TRIES))
    return _first(self, experiment.model_copy(update={"experiment": "bad" if len(TRIES) == 1 else "good"}), **source)
_first, Stored.run = Stored.run, _run
"""
IN_PYTHON = """
def test_in_python(harness):
    from chaos import read_experiment
    harness.check(read_experiment("experiments/bad.yaml")[0])
"""
WITH_A_HARNESS_OF_ITS_OWN = """
import pytest
from chaos import read_experiment
from conftest import Stored

@pytest.fixture(scope="session")
def mine():
    return Stored()

def test_mine(mine):
    mine.check(read_experiment("experiments/bad.yaml")[0])
"""


def test_only_what_says_so_or_is_named_by_the_option_is_an_experiment(pytester: pytest.Pytester) -> None:
    folder = write(pytester, "mine")
    (folder / "values.yaml").write_text("kind: Pod\nmetadata: {name: experiment}\n")
    (folder / "broken.yaml").write_text("{{ .Values.experiment }}: [\n")
    (folder / "quoted.yml").write_text('\ufeff"' + GOOD.format(name="quoted").replace(":", '":', 1))
    (folder / "misspelt.yaml").write_text(GOOD.format(name="misspelt").replace("experiment:", "experimet:", 1))
    found = pytester.runpytest_subprocess("--collect-only", "-q", *QUIET)
    found.stdout.fnmatch_lines(
        ["experiments/mine.yaml::mine", "experiments/quoted.yml::quoted", "*did you mean 'experiment'*"]
    )
    assert "values.yaml" not in found.stdout.str()
    assert "broken.yaml" not in found.stdout.str()
    named = pytester.runpytest_subprocess("--collect-only", "-q", "--chaos-files=experiments/[vb]*.yaml", *QUIET)
    named.stdout.fnmatch_lines(["*broken.yaml:2:*expected YAML*", "*values.yaml:1:*kind: is not known here*"])


def test_what_is_meant_to_fail_runs_only_if_its_file_is_named(pytester: pytest.Pytester) -> None:
    folder = write(pytester, "good", "naive")
    with (folder / "naive.yaml").open("a") as file:
        file.write("onlyIfNamed: true\n")
    found = pytester.runpytest_subprocess("--collect-only", "-q", "experiments", *QUIET)
    assert "::naive" not in found.stdout.str()
    found.stdout.fnmatch_lines(["*1/2 tests collected (1 deselected)*"])
    named = pytester.runpytest_subprocess("--collect-only", "-q", ".", "experiments/naive.yaml::naive", *QUIET)
    named.stdout.fnmatch_lines(["experiments/naive.yaml::naive"])


@pytest.mark.parametrize("plugin", [RERUNNING, CALLING_AGAIN], ids=["protocol", "call"])
def test_an_experiment_is_never_run_again_into_green(pytester: pytest.Pytester, plugin: str) -> None:
    with_outcomes(pytester, "bad")
    conftest = pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text() + GOOD_AT_THE_SECOND_TRY + plugin)
    pytester.makepyfile(test_in_python=IN_PYTHON, test_mine=WITH_A_HARNESS_OF_ITS_OWN)
    for chosen in ("experiments", "test_in_python.py", "test_mine.py"):
        found = pytester.runpytest_subprocess(*MESH, "-s", *QUIET, chosen)
        assert found.parseoutcomes().keys() <= {"failed", "errors"}, (
            "a test that made its harness itself fails again at its start"
        )
        assert "TRY 2" not in found.stdout.str()
        found.stdout.fnmatch_lines(["*chaos experiments*", "bad *failed *"])
