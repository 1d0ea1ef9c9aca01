"""What a session tells of its experiments: each verdict as it comes from a worker, and the rows of the table at its end.

A test's experiments may run in a fixture, in the test itself, or while a fixture ends. Each of its reports has what is known up to then.
"""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest

from chaos.pytest_plugin.session import EXPERIMENT, OWN, VERDICT

if TYPE_CHECKING:
    from chaos.pytest_plugin.session import ChaosSession

_CRASHED: Final = "???"
"""When a test failed whose worker died, as xdist says it."""
_ORDER: Final = ("setup", "call", "teardown", _CRASHED)
Row = dict[str, Any]
_Test = tuple[str, str]


class Relay:
    """Stands between the controller and its workers: says each verdict as it comes, and tells them to stop."""

    def __init__(self, session: ChaosSession, config: pytest.Config) -> None:
        self._session = session
        self._config = config
        self._reports: defaultdict[_Test, list[pytest.TestReport]] = defaultdict(list)
        """Of each test, as they came."""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line for each experiment, after pytest's own letter."""
        known = self._reports[_test_of(report)]
        said = len(rows_of(known))
        known.append(report)
        for row in rows_of(known)[said:]:
            self._session.say(f"{row['name']}: {row['outcome']} ({'; '.join(row['reasons'])})")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """Takes down what a worker found at its end, or that it died without a word."""
        told: dict[str, Any] | None = getattr(node, "workeroutput", None)
        self._session.crashed |= bool(error) or told is None
        self._session.ran |= self._begun() if told is None else bool(told.get("chaos_ran"))
        self._session.left += (told or {}).get("chaos_left", [])

    def _begun(self) -> bool:
        """Whether any worker has begun an experiment at this session's place: one that died in other tests left nothing there."""
        return any(True for known in self._reports.values() for one in known for _ in _properties(one, EXPERIMENT))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """The experiment of a worker that died is in all reports, since nothing else would report it."""
        known = [one for (node, _), reports in self._reports.items() if node == crashitem for one in reports]
        begun = dict.fromkeys(name for one in known for name in _properties(one, EXPERIMENT, OWN))
        if not begun:
            return
        report.user_properties += [(EXPERIMENT, name) for name in begun]
        from chaos.pytest_plugin.listeners import tell_allure_of_crash

        tell_allure_of_crash(self._config, crashitem, str(report.longrepr))

    def pytest_keyboard_interrupt(self) -> None:
        """Passes it on: only a terminal sends it to the workers, too, and a fault should not outlive it by seconds."""
        for pid in self._session.workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


def rows_of_all(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """What became of the experiments of several tests, in the order of the tests."""
    tests: defaultdict[_Test, list[pytest.TestReport]] = defaultdict(list)
    for report in reports:
        tests[_test_of(report)].append(report)
    return [row for test in tests.values() for row in rows_of(test)]


def rows_of(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """What became of the experiments of one test; one that broke before its verdict has the error as its reason."""
    rows: list[Row] = []
    for report in sorted(reports, key=lambda one: _ORDER.index(str(one.when))):
        verdicts = [json.loads(value) for value in _properties(report, VERDICT)]
        rows += verdicts[len(rows) :]
        if report.failed and (not rows or str(report.when) == _CRASHED):
            rows += [_broken(name, report) for name in _properties(report, EXPERIMENT, OWN)]
    return rows


def verdicts_of(report: pytest.TestReport) -> Iterator[Row]:
    """The verdicts that a test has come to."""
    return map(json.loads, _properties(report, VERDICT))


def _test_of(report: pytest.TestReport) -> _Test:
    """The test, and the worker that ran it: with ``--dist each`` that is every one."""
    return report.nodeid, getattr(report, "worker_id", "")


def _broken(name: str, report: pytest.TestReport) -> Row:
    crash = getattr(report.longrepr, "reprcrash", None)
    told = crash.message if crash is not None else str(report.longrepr)  # longreprtext begins with the worker
    reason = next((line for line in told.splitlines() if line.strip()), "").removeprefix("error: ")
    return {"name": name, "outcome": "error", "reasons": [reason], "folder": ""}


def _properties(report: pytest.TestReport, *keys: str) -> Iterator[str]:
    return (str(value) for name, value in report.user_properties if name in keys)
