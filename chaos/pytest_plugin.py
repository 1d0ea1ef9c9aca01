"""Collects experiment files as tests, and runs them on the lab or on the cluster that is named.

Nothing heavy is imported before an experiment runs, so that collecting stays quick.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from chaos.errors import HarnessError

if TYPE_CHECKING:
    from _pytest._code import ExceptionInfo
    from _pytest.nodes import Node
    from _pytest.terminal import TerminalReporter

    from chaos.lab.state import LabState
    from chaos.model.experiment import Experiment
    from chaos.model.verdict import Verdict
    from chaos.ports import Finished
    from chaos.wiring import Place

_SESSION: Final = pytest.StashKey["ChaosSession"]()
_PATIENCE: Final = 900.0
"""Seconds for which an experiment waits for its turn: several workers may want one target."""
_SUFFIXES: Final = (".yaml", ".yml")
_DECLARES: Final = re.compile(r"^experiment\s*:", re.MULTILINE)
_EXPERIMENT: Final = "chaos_experiment"
"""Property of a report: the experiment's name, whether or not it came to a verdict."""
_VERDICT: Final = "chaos_verdict"
"""Property of a report: name, outcome, reasons and folder of a run; xdist carries it to the controller."""
_PR_SET_PDEATHSIG: Final = 1
_LETTERS: Final = {"inconclusive": "I", "refused": "R"}


class ExperimentFailed(AssertionError):
    """The system fell short: failed, blast-radius-violated or cleanup-failed."""


class ExperimentInconclusive(Exception):
    """The question could not be answered. Never green."""


class ExperimentRefused(Exception):
    """A staging rule said no, and nothing was started. Never green."""


# --- options -----------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The harness's options."""
    group = parser.getgroup("chaos", "chaos experiments on an Istio mesh")
    group.addoption("--chaos-context", metavar="NAME", help="context of the kubeconfig; without it: the embedded lab")
    group.addoption("--chaos-kubeconfig", metavar="PATH", help="kubeconfig; the usual places where absent")
    group.addoption("--chaos-prometheus", metavar="URL", help="the Prometheus that scrapes the mesh")
    group.addoption("--chaos-entry", metavar="URL", help="where load is sent to: the mesh's ingress")
    group.addoption(
        "--chaos-report-dir", metavar="DIR", default="reports", help="records and pictures (default: reports)"
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """One session object for the run."""
    config.addinivalue_line("markers", "chaos: an experiment on the mesh")
    session = ChaosSession(config)
    config.stash[_SESSION] = session
    if not session.is_worker and config.getoption("dist", "no") != "no":
        config.pluginmanager.register(_Relay(session), "chaos-relay")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The lab that this session started ends with it."""
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells an xdist worker which lab is everybody's, and whose end is its end."""
    session: ChaosSession = node.config.stash[_SESSION]
    node.workerinput["chaos_lab"] = session.lab_name
    node.workerinput["chaos_owner"] = os.getpid()
    if node.gateway.spec.popen:  # others are on other machines, or not our children
        session.workers.append(node.gateway._rinfo().pid)


# --- the session -------------------------------------------------------------------------------------------------------


class ChaosSession:
    """What the experiments of one pytest run share: the place, and the lab behind it where there is one."""

    def __init__(self, config: pytest.Config) -> None:
        given: dict[str, Any] = getattr(config, "workerinput", {})
        self._config = config
        self.is_worker = bool(given)
        self.lab_name: str = given.get("chaos_lab", f"pytest-{os.getpid()}-{secrets.token_hex(3)}")
        self._owner: int = given.get("chaos_owner", os.getpid())
        self.workers: list[int] = []
        self._lab: LabState | None = None
        self._place: Place | None = None

    def option(self, name: str) -> str | None:
        """One of the harness's options."""
        value = self._config.getoption(f"chaos_{name}")
        return str(value) if value else None

    @property
    def report_dir(self) -> Path:
        """Where records go."""
        return Path(self.option("report_dir") or "reports")

    def lab(self) -> LabState:
        """The default lab if it runs, else one of this session's own, which all workers share."""
        from chaos.lab import commands

        if self._lab is None:
            running = commands.running()
            if running is not None and commands.status().healthy:
                self._lab = running
            else:
                self.say("starting the lab …")
                self._lab = commands.up(self.lab_name, owner=self._owner)
                self.say(f"the lab is up: kubectl --kubeconfig {self._lab.kubeconfig} get pods")
        return self._lab

    def place(self) -> Place:
        """The cluster that is named, or the lab.

        Raises:
            HarnessError: it can't be reached, or the options do not fit together.
        """
        from chaos.errors import InputError
        from chaos.wiring import connect

        if self._place is not None:
            return self._place
        context = self.option("context")
        others = {name: self.option(name) for name in ("kubeconfig", "prometheus", "entry")}
        if context is not None:
            self._place = connect(
                context=context,
                kubeconfig=others["kubeconfig"],
                prometheus=others["prometheus"],
                entry=others["entry"],
            )
            return self._place
        named = [f"--chaos-{name}" for name, value in others.items() if value]
        if named:
            raise InputError(
                f"{', '.join(named)} without --chaos-context: a cluster is touched only if its context is named",
                hint="add --chaos-context NAME, or leave all of them out to use the lab",
            )
        lab = self.lab()
        self._place = connect(
            context=lab.context, kubeconfig=lab.kubeconfig, prometheus=lab.prometheus, entry=lab.entry, lab=True
        )
        return self._place

    def terminal(self) -> _Uncaptured | None:
        """The terminal behind pytest's capturing, at the start of a line; ``None`` in a worker, whose nobody sees."""
        reporter: TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.is_worker:
            return None
        terminal = _Uncaptured(self._config, reporter)
        terminal.ensure_newline()
        return terminal

    def say(self, text: str) -> None:
        """A line on the terminal."""
        terminal = self.terminal()
        if terminal is not None:
            terminal.write(f"{text}\n")

    def close(self) -> None:
        """Ends what was started here; workers leave that to the session that they belong to."""
        if self.is_worker:
            return
        from chaos.lab.state import LabFiles, SupervisorLock

        if SupervisorLock.is_held(LabFiles.of(self.lab_name).lock):
            from chaos.lab import commands

            commands.down(self.lab_name)


# --- collecting --------------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ExperimentFile | None:
    """YAML files with a top-level ``experiment:``, and every one in a folder ``experiments`` (its mistakes are told)."""
    if file_path.suffix not in _SUFFIXES:
        return None
    if file_path.parent.name != "experiments":
        try:
            text = file_path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        if not _DECLARES.search(text):
            return None
    return ExperimentFile.from_parent(parent, path=file_path)


class ExperimentFile(pytest.File):
    """A file that declares one experiment."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its one experiment; every mistake in it is an error of collection, told in prose."""
        from chaos.model.document import DocumentError, parse_experiment

        try:
            text = self.path.read_text(encoding="utf-8")
            experiment = parse_experiment(text, file=str(_short(self.path)))
        except DocumentError as error:
            raise self.CollectError(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise self.CollectError(
                f"{_short(self.path)}: expected an experiment file that can be read: {error}"
            ) from error
        yield ExperimentItem.from_parent(self, name=experiment.name, experiment=experiment, text=text)


class ExperimentItem(pytest.Item):
    """One experiment as a test."""

    def __init__(self, *, experiment: Experiment, text: str, **options: Any) -> None:
        super().__init__(**options)
        self.experiment = experiment
        self.text = text
        for tag in (*experiment.tags, experiment.severity):
            self.config.addinivalue_line("markers", f"{tag}: tag or severity of experiments")
            self.add_marker(tag)
        self.add_marker("chaos")
        self.user_properties.append((_EXPERIMENT, experiment.name))

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Node, pytest.Mark]]:
        """The markers; tags are there for ``-m``, but not for whoever asks for a marker by its name.

        Otherwise a tag ``xfail`` or ``skip`` would turn red into green, and a tag ``timeout`` break pytest-timeout.
        """
        tags = (*self.experiment.tags, self.experiment.severity)
        for node, mark in super().iter_markers_with_node(name=name):
            if name is None or node is not self or mark.args or mark.kwargs or mark.name not in tags:
                yield node, mark

    def runtest(self) -> None:
        """Runs it; anything but passed raises."""
        session = self.config.stash[_SESSION]
        finished = _run(self, session, self.experiment, session.place(), file=self.path, declared=self.text)
        raise_unless_passed(finished.verdict)

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Prose for what the run found or the user got wrong; a traceback only for what is our own fault."""
        error = excinfo.value
        if isinstance(error, ExperimentFailed | ExperimentInconclusive | ExperimentRefused):
            return str(error)
        if isinstance(error, HarnessError):
            return f"error: {error}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """How it is called in reports."""
        return self.path, None, self.experiment.name


def raise_unless_passed(verdict: Verdict) -> None:
    """Nothing for passed; else the exception of the outcome, whose text is the whole verdict in prose.

    Raises:
        ExperimentFailed: the system fell short.
        ExperimentInconclusive: the question could not be answered.
        ExperimentRefused: a staging rule said no.
    """
    from chaos.model.verdict import Outcome
    from chaos.reporting.prose import headline, verdict_text

    if verdict.passed:
        return
    text = f"{headline(verdict)}\n\n{verdict_text(verdict)}"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        raise ExperimentInconclusive(text)
    if verdict.outcome is Outcome.REFUSED:
        raise ExperimentRefused(text)
    raise ExperimentFailed(text)


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _run(item: pytest.Item, session: ChaosSession, experiment: Experiment, place: Place, **source: Any) -> Finished:
    """Runs an experiment inside a test and notes its verdict for the reports."""
    from chaos.reporting.summary import summarise
    from chaos.reporting.terminal import row_of
    from chaos.wiring import run_experiment

    if session.is_worker:
        _end_with_parent()
    try:
        finished = run_experiment(
            experiment,
            place=place,
            sinks=_sinks(item, session),
            report_dir=session.report_dir,
            patience=_PATIENCE,
            **source,
        )
    except SystemExit as error:
        # To pytest this is a test that failed: it would go on and inject the next fault.
        raise KeyboardInterrupt(f"stopped by a signal (exit code {error.code})") from error
    summarise([finished.verdict])
    row = {**row_of(finished.verdict)._asdict(), "name": experiment.name, "folder": str(finished.folder or "")}
    item.user_properties.append((_VERDICT, row))
    return finished


def _end_with_parent() -> None:
    """Has the kernel send SIGTERM when the controller dies, so that the fault is restored at once (prctl(2)).

    Without it, a worker hears of it when execnet, after some seconds, ends it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _sinks(item: pytest.Item, session: ChaosSession) -> list[Any]:
    from chaos.reporting.sinks import Pictures
    from chaos.reporting.terminal import Terminal

    found: list[Any] = [Pictures()]
    terminal = session.terminal()
    if terminal is not None:
        found.append(Terminal(terminal))
    config = item.config
    listener = config.pluginmanager.get_plugin("allure_listener")
    if listener is not None:
        from chaos.reporting.allure import AllureSteps

        results = Path(config.getoption("allure_report_dir"))
        categories = config.rootpath / "reports" / "allure" / "categories.json"
        marked = {mark.name for mark in item.iter_markers()}
        found.append(AllureSteps(results, listener.allure_logger, categories=categories, marked=marked))
    return found


class _Uncaptured(io.TextIOBase):
    """The terminal behind pytest's capturing."""

    def __init__(self, config: pytest.Config, reporter: TerminalReporter) -> None:
        self._reporter = reporter
        self._capture = config.pluginmanager.get_plugin("capturemanager")

    def write(self, text: str) -> int:
        """Writes past the capture."""
        with self._passing():
            self._reporter.write(text, flush=True)
        return len(text)

    def ensure_newline(self) -> None:
        """Ends the line on which pytest is writing its letters."""
        with self._passing():
            self._reporter.ensure_newline()
            # With several workers, pytest keeps no note of the line that its letters are on.
            if self._reporter._tw.width_of_current_line:
                self._reporter.line("")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._reporter.isatty())

    def _passing(self) -> AbstractContextManager[None]:
        return self._capture.global_and_fixture_disabled() if self._capture else nullcontext()


# --- reporting ---------------------------------------------------------------------------------------------------------


class _Relay:
    """Stands between the controller and its workers: says each verdict as it comes, and tells them to stop."""

    def __init__(self, session: ChaosSession) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line for each experiment, after pytest's own letter."""
        for row in _rows(report):
            self._session.say(f"{row['name']}: {row['outcome']} ({'; '.join(row['reasons'])})")

    def pytest_keyboard_interrupt(self) -> None:
        """Passes it on: only a terminal sends it to the workers, too, and a fault should not outlive it by seconds."""
        for pid in self._session.workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


def _rows(report: pytest.TestReport) -> list[dict[str, Any]]:
    """What became of the experiments of one test; one that broke before its verdict has the error as its reason."""
    if report.when != "call":
        return []
    rows = [value for key, value in report.user_properties if key == _VERDICT and isinstance(value, dict)]
    names = [str(value) for key, value in report.user_properties if key == _EXPERIMENT]
    if rows or not report.failed:
        return rows
    crash = getattr(report.longrepr, "reprcrash", None)
    told = crash.message if crash is not None else report.longreprtext
    reason = next((line for line in told.splitlines() if line.strip()), "").removeprefix("error: ")
    return [{"name": name, "outcome": "error", "reasons": [reason], "folder": ""} for name in names]


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Inconclusive and refused are failures with letters of their own."""
    if not isinstance(report, pytest.TestReport) or not report.failed:
        return None
    outcomes = {row["outcome"] for row in _rows(report)}
    if len(outcomes) != 1 or not outcomes <= set(_LETTERS):
        return None
    outcome = outcomes.pop()
    return "failed", _LETTERS[outcome], outcome.upper()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The table of all verdicts, their reasons, and where the records are."""
    reports = [one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport)]
    rows = [row for report in reports for row in _rows(report)]
    if not rows:
        return
    from chaos.reporting.terminal import Row, table

    terminalreporter.section("chaos experiments")
    for line in table([Row(row["name"], row["outcome"], row["reasons"]) for row in rows]):
        terminalreporter.write_line(line)
    for row in rows:
        if row["folder"]:
            terminalreporter.write_line(f"record: {row['folder']}")


# --- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chaos_place(request: pytest.FixtureRequest) -> Place:
    """The mesh of this session: the cluster that is named, or the lab."""
    return request.config.stash[_SESSION].place()


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> LabState:
    """The embedded lab of this session, shared by all workers; skips where a cluster is named."""
    session = request.config.stash[_SESSION]
    if session.option("context"):
        pytest.skip("needs the embedded lab, and a cluster is named")
    return session.lab()


@pytest.fixture
def run_experiment(request: pytest.FixtureRequest, chaos_place: Place) -> Callable[[Experiment], Finished]:
    """Runs an ``Experiment`` made in Python, for parametrised suites; returns its ``Finished``, whatever its outcome.

    ``chaos.pytest_plugin.raise_unless_passed(finished.verdict)`` makes the test as red as an experiment file's would be.
    """
    session = request.config.stash[_SESSION]

    def run(experiment: Experiment) -> Finished:
        return _run(request.node, session, experiment, chaos_place)

    return run
