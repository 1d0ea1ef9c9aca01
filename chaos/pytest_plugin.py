"""Collects experiment files as tests, and runs them on the lab or on the cluster that is named.

Nothing heavy is imported before an experiment runs, so that collecting stays quick.
"""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from chaos.errors import HarnessError

if TYPE_CHECKING:
    from _pytest._code import ExceptionInfo
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
_OUTCOME: Final = "chaos_outcome"
_REASONS: Final = "chaos_reasons"
_FOLDER: Final = "chaos_folder"
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
    config.stash[_SESSION] = ChaosSession(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The lab that this session started ends with it."""
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells an xdist worker which lab is everybody's, and whose end is its end."""
    node.workerinput["chaos_lab"] = node.config.stash[_SESSION].lab_name
    node.workerinput["chaos_owner"] = os.getpid()


# --- the session -------------------------------------------------------------------------------------------------------


class ChaosSession:
    """What the experiments of one pytest run share: the place, and the lab behind it where there is one."""

    def __init__(self, config: pytest.Config) -> None:
        given: dict[str, Any] = getattr(config, "workerinput", {})
        self._config = config
        self._is_worker = bool(given)
        self.lab_name: str = given.get("chaos_lab", f"pytest-{os.getpid()}-{secrets.token_hex(3)}")
        self._owner: int = given.get("chaos_owner", os.getpid())
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

    def say(self, text: str) -> None:
        """A line on the real terminal; silent in a worker, whose terminal nobody sees."""
        reporter: TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and not self._is_worker:
            reporter.ensure_newline()
            reporter.write_line(text)

    def close(self) -> None:
        """Ends what was started here; workers leave that to the session that they belong to."""
        if self._is_worker:
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

    def runtest(self) -> None:
        """Runs it; anything but passed raises."""
        from chaos.wiring import run_experiment

        session = self.config.stash[_SESSION]
        finished = run_experiment(
            self.experiment,
            place=session.place(),
            sinks=_sinks(self),
            report_dir=session.report_dir,
            file=self.path,
            declared=self.text,
            patience=_PATIENCE,
        )
        self._remember(finished)
        raise_unless_passed(finished.verdict)

    def _remember(self, finished: Finished) -> None:
        verdict = finished.verdict
        self.user_properties.append((_OUTCOME, verdict.outcome.value))
        self.user_properties.append((_REASONS, [f"{one.code}: {one.message}" for one in verdict.reasons]))
        self.user_properties.append((_FOLDER, str(finished.folder)))

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


def _sinks(item: ExperimentItem) -> list[Any]:
    from chaos.reporting.sinks import Pictures
    from chaos.reporting.terminal import Terminal

    found: list[Any] = [Pictures()]
    reporter: TerminalReporter | None = item.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(item.config, "workerinput"):
        stream = _Uncaptured(item.config, reporter)
        stream.write("")
        found.append(Terminal(stream, live=reporter.isatty()))
    listener = item.config.pluginmanager.get_plugin("allure_listener")
    if listener is not None:
        from chaos.reporting.allure import AllureSteps

        results = Path(item.config.getoption("allure_report_dir"))
        categories = item.config.rootpath / "reports" / "allure" / "categories.json"
        found.append(AllureSteps(results, listener.allure_logger, categories=categories))
    return found


class _Uncaptured(io.TextIOBase):
    """The terminal behind pytest's capturing."""

    def __init__(self, config: pytest.Config, reporter: TerminalReporter) -> None:
        self._reporter = reporter
        self._capture = config.pluginmanager.get_plugin("capturemanager")

    def write(self, text: str) -> int:
        """Writes past the capture; nothing at all: begins a new line."""
        passing = self._capture.global_and_fixture_disabled() if self._capture else nullcontext()
        with passing:
            if not text:
                self._reporter.ensure_newline()
            self._reporter.write(text, flush=True)
        return len(text)


# --- reporting ---------------------------------------------------------------------------------------------------------


def _properties(report: pytest.TestReport) -> dict[str, Any]:
    return {key: value for key, value in report.user_properties if key.startswith("chaos_")}


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Inconclusive and refused are failures with letters of their own."""
    if not isinstance(report, pytest.TestReport) or report.when != "call" or not report.failed:
        return None
    outcome = _properties(report).get(_OUTCOME)
    if outcome not in _LETTERS:
        return None
    return "failed", _LETTERS[outcome], outcome.upper()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The table of all verdicts, their reasons, and where the records are."""
    reports = [r for group in ("passed", "failed") for r in terminalreporter.getreports(group) if r.when == "call"]
    rows = [(r, _properties(r)) for r in reports]
    found = [(report, given) for report, given in rows if _OUTCOME in given]
    if not found:
        return
    terminalreporter.section("chaos experiments")
    wide = max(len(report.nodeid.rpartition("::")[2]) for report, _ in found)
    for report, given in found:
        name = report.nodeid.rpartition("::")[2]
        for index, reason in enumerate(given[_REASONS]):
            outcome = given[_OUTCOME] if index == 0 else ""
            terminalreporter.write_line(f"{name if index == 0 else '':<{wide}}  {outcome:<12}  {reason}")
    for _, given in found:
        terminalreporter.write_line(f"record: {given[_FOLDER]}")


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
def run_experiment(request: pytest.FixtureRequest, chaos_place: Place) -> Any:
    """Runs an ``Experiment`` made in Python, for parametrised suites; returns its ``Finished``."""
    from chaos import wiring
    from chaos.reporting.sinks import Pictures

    session = request.config.stash[_SESSION]

    def run(experiment: Experiment) -> Finished:
        return wiring.run_experiment(experiment, place=chaos_place, sinks=[Pictures()], report_dir=session.report_dir)

    return run
