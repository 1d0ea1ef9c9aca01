"""The plugin in awkward surroundings: treacherous tags, several workers, errors before a verdict, capturing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest

from chaos.pytest_plugin.verdicts import rows_of_all
from tests.support.plugin_sessions import FAKE, GOOD, MESH, QUIET, with_outcomes, write
from tests.support.scope import EVERY, one_of
from tests.support.waiting import seconds_until, until

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]


def test_no_tag_turns_red_into_green(pytester: pytest.Pytester) -> None:
    tags = ("xfail", "skip", "skipif", "timeout", "usefixtures")
    with_outcomes(pytester, *(f"bad-{tag}" for tag in tags))
    for tag in tags:
        file = pytester.path / "experiments" / f"bad-{tag}.yaml"
        file.write_text(file.read_text().replace("nightly", tag))
    found = pytester.runpytest_subprocess(*MESH, "-m", " or ".join(tags), *QUIET)
    found.assert_outcomes(failed=len(tags))
    found.stdout.fnmatch_lines_random([f"bad-{tag} *failed *" for tag in tags])
    assert found.ret == pytest.ExitCode.TESTS_FAILED


def test_an_xfail_of_the_users_own_conftest_is_the_users_choice(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "bad")
    pytester.path.joinpath("experiments", "conftest.py").write_text(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.xfail(reason='known'))\n"
    )
    pytester.runpytest_subprocess(*MESH, *QUIET).assert_outcomes(xfailed=1)


def test_the_controller_says_each_verdict_and_the_table(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good", "bad", "unsure")
    found = pytester.runpytest_subprocess(*MESH, "-n", "2", *QUIET)
    found.assert_outcomes(passed=1, failed=2)
    out = found.stdout.str()
    before, _, after = out.partition("= chaos experiments =")
    for name, outcome in (("good", "passed (all-held"), ("bad", "failed (expectation"), ("unsure", "inconclusive (")):
        assert f"\n{name}: {outcome}" in before, "at the start of a line"
        assert any(line.startswith(f"{name} ") for line in after.splitlines())


@pytest.mark.parametrize(
    ("test", "name", "full_name"),
    one_of(
        2,
        [
            pytest.param(None, "bad", "experiments.bad#bad", id="file"),
            pytest.param(
                "def test_it(harness): harness.check(read_experiment({file!r})[0])",
                "test_it",
                "test_mine#test_it",
                id="function",
            ),
            pytest.param(
                "import pytest\nclass TestStock:\n    @pytest.mark.parametrize('what', ['a::b'])\n"
                "    def test_it(self, harness, what): harness.check(read_experiment({file!r})[0])",
                "test_it[a::b]",
                "test_mine.TestStock#test_it",
                id="method with a parameter",
            ),
            pytest.param(
                "import pytest\n@pytest.fixture\ndef run(harness): harness.check(read_experiment({file!r})[0])\n"
                "def test_it(run): pass",
                "test_it",
                "test_mine#test_it",
                id="fixture",
            ),
            pytest.param(
                "import os, pytest\nfrom chaos.testing.shop import Shop\n"
                "@pytest.fixture(scope='session')\ndef mine(tmp_path_factory):\n    shop = Shop()\n"
                "    shop.mesh.create_virtual_service = lambda *given, **named: os._exit(9)\n"
                "    return shop.harness(listeners=None, report_dir=tmp_path_factory.mktemp('reports'))\n"
                "def test_it(mine): mine.check(read_experiment({file!r})[0])",
                "test_it",
                "test_mine#test_it",
                id="harness of its own",
            ),
        ],
    ),
)
def test_the_experiment_of_a_worker_that_died_is_an_error_in_every_report(
    pytester: pytest.Pytester, test: str | None, name: str, full_name: str
) -> None:
    with_outcomes(pytester, "bad")
    if test is not None:
        file = pytester.path / "experiments" / "bad.yaml"
        read = "from chaos.adapters.experiment_file import read_experiment\n"
        pytester.makepyfile(test_mine=read + test.format(file=str(file.rename(pytester.path / "mine.txt"))))
    conftest = pytester.path / "conftest.py"
    dies = "\nimport os\nStored.run = lambda self, experiment, **source: os._exit(9)\nStored.active = lambda self: []\n"
    conftest.write_text(conftest.read_text() + dies)
    found = pytester.runpytest_subprocess(
        *MESH, "-n", "1", "--max-worker-restart=0", "--alluredir=results", "--junitxml=junit.xml", *QUIET
    )
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    found.stdout.fnmatch_lines(
        ["*chaos experiments*", f"{name.replace('[', '[[]')} *error *worker 'gw0' crashed while running*"]
    )
    (result,) = [json.loads(one.read_text()) for one in (pytester.path / "results").glob("*-result.json")]
    assert (result["fullName"], result["status"]) == (full_name, "broken")
    assert result["name"] == name
    assert "crashed" in result["statusDetails"]["message"]
    junit = ElementTree.parse(pytester.path / "junit.xml")  # noqa: S314 - our own
    (suite,) = junit.iter("testsuite")
    assert suite.get("errors") == "1"
    assert [one.get("name") for one in junit.iter("testcase")] == [name]


def test_a_worker_that_died_in_other_tests_starts_no_lab(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_chaos_harness(config):\n    raise AssertionError('nobody asked for a harness')\n")
    pytester.makepyfile("import os\n\ndef test_theirs():\n    os._exit(9)\n")
    found = pytester.runpytest_subprocess("-n", "1", "--max-worker-restart=0", *QUIET)
    found.assert_outcomes(failed=1)
    assert "nobody asked" not in found.stdout.str() + found.stderr.str()
    assert "residue" not in found.stdout.str()


def test_what_junits_xml_has_of_a_verdict_is_json(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "bad")
    pytester.runpytest_subprocess(*MESH, "--junitxml=junit.xml", "--alluredir=results", *QUIET)
    junit = ElementTree.parse(pytester.path / "junit.xml")  # noqa: S314 - our own
    told = {one.get("name"): one.get("value") for one in junit.iter("property")}
    verdict = json.loads(told["chaos_verdict"] or "")
    assert (verdict["name"], verdict["outcome"]) == ("bad", "failed")
    (result,) = [json.loads(one.read_text()) for one in (pytester.path / "results").glob("*-result.json")]
    assert result["fullName"] == "experiments.bad#bad", "as that of a worker that died"


def test_experiments_of_fixtures_are_in_the_table_whenever_they_run(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good", "bad", "unsure")
    pytester.makepyfile(
        """
        import pytest
        from chaos.adapters.experiment_file import read_experiment

        def check(harness, name):
            harness.check(read_experiment(f"experiments/{name}.yaml")[0])

        @pytest.fixture
        def before(harness):
            check(harness, "bad")

        @pytest.fixture
        def around(harness):
            check(harness, "good")
            yield
            check(harness, "unsure")

        def test_before(before):
            pass

        def test_around(around):
            pass
        """
    )
    found = pytester.runpytest_subprocess(
        *MESH, *QUIET, "test_experiments_of_fixtures_are_in_the_table_whenever_they_run.py"
    )
    found.assert_outcomes(passed=1, errors=2)
    _, _, table = found.stdout.str().partition("= chaos experiments =")
    told = [line.split()[:2] for line in table.splitlines() if re.match(r"(good|bad|unsure) ", line)]
    assert told == [["bad", "failed"], ["good", "passed"], ["unsure", "inconclusive"]]


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_an_experiment_without_a_verdict_is_in_the_table(pytester: pytest.Pytester, workers: list[str]) -> None:
    write(pytester, "good")
    found = pytester.runpytest_subprocess("--chaos-prometheus=http://p", *workers, *QUIET)
    found.stdout.fnmatch_lines(["*chaos experiments*", "good *error    --chaos-prometheus without --chaos-context*"])


def test_a_session_without_a_terminal_is_none_of_our_business(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "bad")
    found = pytester.runpytest_subprocess(*MESH, *QUIET, "-p", "no:terminal")
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in found.stderr.str()


def test_progress_passes_the_capture_and_is_in_no_report(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good", "bad")
    found = pytester.runpytest_subprocess(*MESH, "--alluredir=results", *QUIET)
    out = found.stdout.str()
    assert "  => passed (all-held)" in out
    assert "Captured stdout" not in out
    for file in (pytester.path / "results").glob("*-result.json"):
        assert '"stdout"' not in file.read_text()


def test_what_every_worker_runs_is_told_for_each() -> None:
    """As with ``--dist each``."""
    told = [("chaos_verdict", json.dumps({"name": "bad", "outcome": "failed", "reasons": [], "folder": ""}))]
    phases: tuple[Literal["setup", "call"], ...] = ("setup", "call")
    reports = [
        pytest.TestReport("a::b", ("a", 1, "b"), {}, "passed", None, when, user_properties=told, worker_id=worker)
        for when in phases
        for worker in ("gw0", "gw1")
    ]
    assert [row["name"] for row in rows_of_all(reports)] == ["bad", "bad"]


def test_each_tag_is_told_to_allure_once(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good")
    pytester.runpytest_subprocess(*MESH, "--alluredir=results", *QUIET)
    (file,) = (pytester.path / "results").glob("*-result.json")
    assert file.read_text().count('"value": "nightly"') == 1


def test_the_jobs_summary_is_written_under_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    with_outcomes(pytester, "good", "bad")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    pytester.runpytest_subprocess(*MESH, "-n", "2", *QUIET).assert_outcomes(passed=1, failed=1)
    text = (pytester.path / "summary.md").read_text()
    assert text.count("## PASSED") == 1
    assert text.count("## FAILED") == 1


def test_experiments_made_in_python_are_reported_like_files(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(FAKE.format(root=str(ROOT)))
    pytester.makepyfile(
        f"""
        import pytest
        from chaos.adapters.experiment_file import parse_experiment

        @pytest.mark.parametrize("name", ["good", "bad"])
        def test_it(harness, name):
            harness.check(parse_experiment({GOOD!r}.format(name=name)))
        """
    )
    found = pytester.runpytest_subprocess(*MESH, "--alluredir=results", *QUIET)
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(["*chaos experiments*", "good *passed *", "bad *failed *"])
    texts = [file.read_text() for file in (pytester.path / "results").glob("*-result.json")]
    assert len(texts) == 2
    assert all('"baseline (' in text and '"value": "nightly"' in text for text in texts)


def test_a_users_own_test_is_marked_and_told_as_a_files_is(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(FAKE.format(root=str(ROOT)))
    pytester.makepyfile(
        f"""
        import pytest
        from chaos import Outcome, parse_experiment

        def made(name):
            return parse_experiment({GOOD!r}.format(name=name))

        def test_unsure(harness):
            harness.check(made("unsure"))

        def test_several(harness):
            assert harness.run(made("good")).verdict.outcome is Outcome.PASSED
            assert harness.run(made("bad")).verdict.outcome is Outcome.FAILED

        def test_without_an_experiment():
            assert False
        """
    )
    found = pytester.runpytest_subprocess("-n", "2", "-v", *QUIET)
    found.assert_outcomes(passed=1, failed=2)
    out = found.stdout.str()
    assert len(re.findall(r"INCONCLUSIVE \S+::test_unsure", out)) == 2, "where it ends, and in the summary"
    assert sorted(re.findall(r"^(good|bad|unsure) +(\w+)", out, re.MULTILINE)) == [
        ("bad", "failed"), ("good", "passed"), ("unsure", "inconclusive"),
    ], "in the order in which two workers came to them"  # fmt: skip
    assert "concluding.py" not in out, "the traceback ends in the user's own test"


def test_what_the_options_lack_is_an_error_of_the_fixture_in_prose(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(harness):\n    pass\n")
    found = pytester.runpytest_subprocess("--chaos-entry=http://e", *QUIET)
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*error: --chaos-entry without --chaos-context: a cluster is touched only if*"])
    assert "Traceback" not in found.stdout.str()
    assert "connecting.py" not in found.stdout.str()


# A run that lasts until it is told to stop, and notes when it has restored.
STOPPED = """\
import os, signal, time
from pathlib import Path
from typing import Literal
from chaos.errors import Stopped
from chaos.harness.harness import Harness

class Lasting(Harness):
    def __init__(self):
        super().__init__(place=None, watchdog=lambda plan, folder: None)

    def sweep(self):
        return []

    def run(self, experiment, **source):
        asked = []
        before = {{one: signal.signal(one, lambda number, frame: asked.append(number))
                  for one in (signal.SIGINT, signal.SIGTERM)}}
        Path({log!r}, f"began-{{experiment.name}}").touch()
        deadline = time.monotonic() + 60
        while not asked and time.monotonic() < deadline:
            time.sleep(0.01)
        Path({log!r}, f"restored-{{experiment.name}}").touch()
        for one, handler in before.items():
            signal.signal(one, handler)
        if asked[0] == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(128 + asked[0])

def pytest_chaos_harness(config):
    return Lasting()
"""


IN_FIXTURES = """\
import pytest
from chaos.adapters.experiment_file import read_experiment

@pytest.fixture(params="ab")
def around(harness, request):
    experiment, _ = read_experiment(f"experiments/{request.param}.yaml")
    if not LATE:
        harness.check(experiment)
    yield
    harness.check(experiment)

def test_it(around):
    pass
"""


@pytest.mark.parametrize(
    ("workers", "number", "code", "in_fixtures"),
    [
        *([(0, signal.SIGINT, pytest.ExitCode.INTERRUPTED, "")] if EVERY else []),
        (0, signal.SIGTERM, pytest.ExitCode.INTERRUPTED, ""),
        (0, signal.SIGTERM, pytest.ExitCode.INTERRUPTED, "LATE = False"),
        (0, signal.SIGTERM, pytest.ExitCode.INTERRUPTED, "LATE = True"),
        *([(2, signal.SIGINT, pytest.ExitCode.INTERRUPTED, "")] if EVERY else []),
        (2, signal.SIGTERM, -signal.SIGTERM, ""),
        (2, signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_signal_to_pytest_alone_restores_and_injects_nothing_more(
    pytester: pytest.Pytester, workers: int, number: signal.Signals, code: int, in_fixtures: str
) -> None:
    write(pytester, "a", "b", "c", "d", "e", "f")
    files = [str(pytester.makepyfile(f"{in_fixtures}\n{IN_FIXTURES}"))] if in_fixtures else []
    log = pytester.mkdir("log")
    pytester.makeconftest(STOPPED.format(log=str(log)))
    parallel = ["-n", str(workers)] if workers else []
    with (pytester.path / "out.txt").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *MESH, *QUIET, *parallel, *files],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=pytester.path,
            start_new_session=True,  # so that only the one process is told, as `kill` and CI do
        )
    try:
        running = max(workers, 1)
        until(lambda: len(list(log.glob("began-*"))) == running, "experiments under way")
        process.send_signal(number)
        # Without being told, a worker would hear of it after execnet's five seconds.
        took = seconds_until(lambda: len(list(log.glob("restored-*"))) == running, "all restored")
        assert took < 4
        assert process.wait(timeout=30) == code
        assert len(list(log.glob("began-*"))) == running, "nothing was begun after the signal"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def test_the_reason_of_a_bug_is_its_message(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "nameless")  # the stand-in has no history of this name
    found = pytester.runpytest_subprocess(*MESH, *QUIET)
    found.stdout.fnmatch_lines(["*chaos experiments*", "nameless *error *KeyError: 'nameless'"])


def test_a_wrong_value_is_told_where_it_was_made(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("from chaos import Request\n\ndef test_it():\n    Request('orders')\n")
    found = pytester.runpytest_subprocess(*QUIET)
    found.stdout.fnmatch_lines(["E *InputError: Request: path: 'orders': expected a path *"])
    assert "declared.py" not in found.stdout.str(), "the traceback ends in the user's own test"
