"""The plugin's own mechanics: collecting, marking, telling. Whole runs are tested on the lab."""

from __future__ import annotations

import json

import pytest

from tests.support.plugin_sessions import GOOD, MESH, QUIET, with_outcomes, write

pytest_plugins = ["pytester"]


def test_experiments_are_collected_with_markers(pytester: pytest.Pytester) -> None:
    write(pytester, "one", "two")
    found = pytester.runpytest_subprocess(
        "--collect-only", "-q", "--strict-markers", "-m", "nightly and critical", *QUIET
    )
    found.stdout.fnmatch_lines(["experiments/one.yaml::one", "experiments/two.yaml::two"])
    none = pytester.runpytest_subprocess("--collect-only", "-q", "-m", "not chaos", *QUIET)
    none.stdout.fnmatch_lines(["*no tests collected*"])


def test_collecting_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    write(pytester, "one")
    pytester.makeconftest(
        "import sys\n"
        "def pytest_unconfigure(config):\n"
        "    heavy = {'kubernetes', 'locust', 'gevent', 'matplotlib', 'prometheus_api_client', 'scipy', 'starlette'}\n"
        "    print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    found = pytester.runpytest_subprocess("--collect-only", "-q", *QUIET)
    found.stdout.fnmatch_lines(["*HEAVY []*"])


def test_a_mistake_in_a_file_is_told_in_prose(pytester: pytest.Pytester) -> None:
    folder = write(pytester, "one")
    (folder / "wrong.yaml").write_text(GOOD.format(name="wrong").replace("50", "500").replace("path", "pth"))
    found = pytester.runpytest_subprocess("--collect-only", "-q", *QUIET)
    found.stdout.fnmatch_lines(["*wrong.yaml:6:*percentage*expected at most 100*", "*pth: is not known here*"])
    assert "Traceback" not in found.stdout.str()
    assert found.ret != 0


def test_outcomes_are_told_as_prose_and_in_a_table(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good", "bad", "unsure")
    found = pytester.runpytest_subprocess(*MESH, "-v", *QUIET)
    found.assert_outcomes(passed=1, failed=2)
    out = found.stdout.str()
    assert "INCONCLUSIVE" in out
    assert "expected at least 99% of the requests to order-svc with status <500; observed" in out
    assert "hint:" in out
    assert "Traceback" not in out
    found.stdout.fnmatch_lines(["*chaos experiments*", "bad *failed *expectation-violated: *"])
    found.stdout.fnmatch_lines(["good *passed *all-held: *"])


def test_allure_gets_steps_attachments_and_honest_statuses(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good", "bad", "unsure")
    pytester.runpytest_subprocess(*MESH, "--alluredir=results", *QUIET)
    results = {}
    for file in (pytester.path / "results").glob("*-result.json"):
        result = json.loads(file.read_text())
        results[result["fullName"].rpartition("#")[2]] = result
    assert {name: result["status"] for name, result in results.items()} == {
        "good": "passed",
        "bad": "failed",
        "unsure": "broken",
    }
    assert "failed (expectation-violated)" in results["bad"]["statusDetails"]["message"]
    assert "inconclusive (fault-not-seen)" in results["unsure"]["statusDetails"]["message"]
    good = results["good"]
    assert [step["name"].split()[0] for step in good["steps"]] == [
        "lock", "baseline", "inject", "prove", "observe", "restore", "recover", "release",
    ]  # fmt: skip
    baseline = good["steps"][1]
    assert (baseline["start"], baseline["stop"]) == (1_000_000, 1_030_000), "the history's own times"
    assert {"verdict", "plan: create", "load statistics"} <= {one["name"] for one in good["attachments"]}
    queries = [one["name"] for one in good["steps"][-1]["attachments"]]
    assert "query: requests to inventory-svc.staging.svc.cluster.local that its callers' proxies count" in queries
    labels = {(label["name"], label["value"]) for label in good["labels"]}
    assert {("severity", "critical"), ("owner", "checkout"), ("tag", "nightly")} <= labels
    assert "Context=lab" in (pytester.path / "results" / "environment.properties").read_text()


def test_a_cluster_is_touched_only_if_its_context_is_named(pytester: pytest.Pytester) -> None:
    write(pytester, "good")
    found = pytester.runpytest_subprocess("--chaos-prometheus=http://p", *QUIET)
    found.stdout.fnmatch_lines(["*error: --chaos-prometheus without --chaos-context*"])
    assert "Traceback" not in found.stdout.str()
