"""Collects experiment files as tests, and runs them on the lab or on the cluster that is named.

Nothing heavy is imported before an experiment runs, so that collecting stays quick; nothing but this package knows pytest.

- ``hooks``: what suites and other plugins may implement; ``options``: those of the command line
- ``session``: what the experiments of one run of pytest share; ``listeners``: who hears of those of one test
- ``verdicts``: what is told of them, as they end and at the end of all
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import istio_chaos
from chaos.adapters.experiment_files import declares_experiment
from chaos.errors import HarnessError, InputError, NotPassed, Stopped
from chaos.pytest_plugin.options import add_options
from chaos.pytest_plugin.session import EXPERIMENT, NOTE, OWN, ChaosSession, option, runs_experiments, tell_begun
from chaos.pytest_plugin.verdicts import Relay, rows_of_all, verdicts_of
from chaos.reporting import session as sessions

if TYPE_CHECKING:
    from _pytest._code import ExceptionInfo
    from _pytest.nodes import Node
    from _pytest.terminal import TerminalReporter

    from chaos.engine.listeners import Listeners
    from chaos.harness.harness import Harness
    from chaos.model.experiment import Experiment
    from chaos.ports import Listener
    from chaos.values.access import MeshAccess

_SESSION: Final = pytest.StashKey["ChaosSession"]()
_FAILED: Final = pytest.StashKey[BaseException]()
_PR_SET_PDEATHSIG: Final = 1
_LETTERS: Final = {"inconclusive": "I", "refused": "R"}


# --- options -----------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The harness's options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """The hooks that a suite may implement."""
    from chaos.pytest_plugin import hooks

    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """One session object for the run."""
    for folder in (config.rootpath, *config.getini("pythonpath"), config.rootpath / "src"):
        if another := istio_chaos.another_in(Path(folder)):
            raise pytest.UsageError(istio_chaos.told_apart(another))
    config.addinivalue_line("markers", "chaos: an experiment on the mesh")
    session = ChaosSession(config)
    config.stash[_SESSION] = session
    making = partial(_hearing, session)
    sessions.begin(making)
    config.add_cleanup(lambda: sessions.end(making))
    if not session.is_worker and config.getoption("dist", "no") != "no":
        config.pluginmanager.register(Relay(session, config), "chaos-relay")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Nothing of a dead run may be left at the end; what can't be removed turns the whole session red."""
    chaos = session.config.stash[_SESSION]
    try:
        chaos.verify()
    except HarnessError as error:
        chaos.left.append(f"the session could not check for residue: {error.told(chaos.spell)}")
    if chaos.is_worker:
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
        output.update(chaos_left=chaos.left, chaos_ran=chaos.ran)
    elif chaos.left and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return (yield)


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


# --- collecting --------------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ExperimentFile | None:
    """YAML files that say that they are experiments, and those that ``--chaos-files`` names: their mistakes are reported."""
    named = any(file_path.match(pattern) for pattern in parent.config.getoption("chaos_files"))
    return ExperimentFile.from_parent(parent, path=file_path) if named or declares_experiment(file_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """An experiment that runs only if its file is named is left out where a folder was named."""
    # Not by pytest's isinitpath: that forgets a file whose folder is named, too.
    named = {(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args}
    left_out = [
        item
        for item in items
        if isinstance(item, ExperimentItem) and item.experiment.only_if_named and item.path.resolve() not in named
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class ExperimentFile(pytest.File):
    """A file that declares one experiment."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its one experiment; every mistake in it is an error of collection, told in prose."""
        from chaos.adapters.experiment_file import read_experiment

        try:
            experiment, text = read_experiment(self.path, shown=_short(self.path))
        except InputError as error:
            raise self.CollectError(error.told(option)) from error
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
        self.user_properties.append((EXPERIMENT, experiment.name))

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
        harness = _harness_for(self)
        harness.check(self.experiment, file=self.path, declared=self.text)

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Prose for what the run found or the user got wrong; a traceback only for what is our own fault."""
        error = excinfo.value
        if isinstance(error, NotPassed):
            return str(error)
        if isinstance(error, HarnessError):
            return f"error: {error.told(self.config.stash[_SESSION].spell)}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """How it is called in reports."""
        return self.path, None, self.experiment.name


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Errors of the session's harness name the options that the user has.

    ``--showlocals`` shows what a test knows, and nothing of the harness and of its clients, who know what is sent.
    """
    todo, seen = [call.excinfo.value] if call.excinfo else [], list[BaseException]()
    while todo:
        error = todo.pop()
        seen.append(error)
        todo += [one for one in (error.__cause__, error.__context__) if one is not None and one not in seen]
        if isinstance(error, HarnessError) and "harness" in getattr(item, "fixturenames", ()):
            error.spell = item.config.stash[_SESSION].spell
        if item.config.getoption("showlocals", default=False):
            _forget(error, hides=not item.config.getoption("fulltrace", default=False))


def _forget(error: BaseException, *, hides: bool) -> None:
    """Clears the variables of the harness's frames, and of all below them; frames that pytest ``hides`` stay hidden by theirs."""
    inside = False
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        inside = inside or (module.startswith("chaos.") and not module.startswith(__name__))
        if inside and not (hides and frame.f_locals.get("__tracebackhide__")):
            with suppress(RuntimeError):  # it still runs
                frame.clear()


def _has_experiment(item: pytest.Item) -> bool:
    """Whether it is an experiment's file, or a test that runs experiments; not every test says so before it does."""
    return "harness" in getattr(item, "fixturenames", ()) or runs_experiments(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    """pytest's own, before that of a plugin that runs a failed test again: what fails at times has failed."""
    item.config.stash[_SESSION].item = item
    if not _has_experiment(item):
        return None
    runner: Any = item.config.pluginmanager.get_plugin("runner")
    return runner.pytest_runtest_protocol(item=item, nextitem=nextitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Fixtures may run experiments."""
    return (yield from _once(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Whatever plugin calls a failed experiment again gets the same failure again."""
    return (yield from _once(item))


def _once(item: pytest.Item) -> Iterator[None]:
    if _FAILED in item.stash:
        raise item.stash[_FAILED]
    return (yield from _noting_failure(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fixtures may run experiments while they end."""
    return (yield from _noting_failure(item))


def _noting_failure(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield from _ending_with_the_run())
    except BaseException as error:
        if _has_experiment(item):
            item.stash[_FAILED] = error
        raise


def _ending_with_the_run() -> Iterator[None]:
    """A run that was asked to stop ends the session: to pytest it were a test that failed, and the next fault would come."""
    try:
        return (yield)
    except Stopped as error:
        raise KeyboardInterrupt(f"stopped by a signal (exit code {error.code})") from error


def _harness_for(item: pytest.Item) -> Harness:
    """The session's harness, which notes its verdicts in the reports of one test."""
    from chaos.pytest_plugin.listeners import listeners_of

    session = item.config.stash[_SESSION]
    if session.is_worker:
        _end_with_parent()
    harness = session.begin()
    if session.option("doctor"):
        _see_that_all_is_well(session, harness)
    return harness.heard_by(lambda: listeners_of(item, session.terminal()))


def _hearing(session: ChaosSession) -> Listeners | None:
    """Who hears of a run that begins now, where the test has made its harness itself: as of any other."""
    from chaos.pytest_plugin.listeners import listeners_of

    if session.is_worker:
        _end_with_parent()
    item = session.item
    if item is None:
        return None
    if not runs_experiments(item):
        tell_begun(item, OWN)
    return listeners_of(item, session.terminal())


def _see_that_all_is_well(session: ChaosSession, harness: Harness) -> None:
    """Looks at the mesh once in a session; a test on one that is ill would not show what it says."""
    from chaos.doctor.finding import Level, text

    if session.ill is None:
        found = harness.doctor(quick=True)
        session.ill = text(one for one in found if one.level is Level.ERROR)
        if doubtful := text(one for one in found if one.level in (Level.WARNING, Level.UNKNOWN)):
            session.say(doubtful)
    if session.ill:
        raise InputError(
            f"the mesh is not well, so nothing is tested:\n{session.ill}",
            hint="correct that, or leave out --chaos-doctor",
        )


def _end_with_parent() -> None:
    """Has the kernel send SIGTERM when the controller dies, so that the fault is restored at once (prctl(2)).

    Without it, a worker hears of it when execnet, after some seconds, ends it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def pytest_chaos_listeners(item: pytest.Item) -> list[Listener]:
    """Allure's, by the hook that others use, too."""
    from chaos.pytest_plugin.listeners import allure_steps

    return allure_steps(item)


# --- reporting ---------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Inconclusive and refused are failures with letters of their own."""
    if not isinstance(report, pytest.TestReport) or not report.failed or report.when != "call":
        return None
    outcomes = {row["outcome"] for row in verdicts_of(report)}
    if len(outcomes) != 1 or not outcomes <= set(_LETTERS):
        return None
    outcome = outcomes.pop()
    return "failed", _LETTERS[outcome], outcome.upper()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The table of all verdicts, their reasons, where the records are, and what is left that must not be."""
    session = terminalreporter.config.stash[_SESSION]
    left = session.left
    if left:
        terminalreporter.section("residue", red=True)
        for line in (*left, "hint: chaosctl status shows it; chaosctl sweep removes it"):
            terminalreporter.write_line(line)
    reports = [one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport)]
    rows = rows_of_all(reports)
    if not rows:
        return
    from chaos.reporting.table import Row, write_table

    terminalreporter.section("chaos experiments")
    terminal = session.terminal()
    if terminal is not None:
        told = [Row(row["name"], row["outcome"], row["reasons"]) for row in rows]
        write_table(told, terminal, width=terminal.width, colour=terminal.colour)
    for row in rows:
        if row["folder"]:
            terminalreporter.write_line(f"record: {row['folder']}")
    notes = [value for report in reports for key, value in report.user_properties if key == NOTE]
    for note in dict.fromkeys(map(str, notes)):
        terminalreporter.write_line(f"note: {note}", yellow=True)


# --- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> MeshAccess:
    """The embedded lab of this session, shared by all workers; skips where a cluster is named."""
    session = request.config.stash[_SESSION]
    if session.option("context"):
        pytest.skip("this test needs the embedded lab, but the options name a cluster")
    return session.lab()


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> Harness:
    """The session's harness, on the cluster that is named or on the lab; its verdicts are in this test's reports."""
    tell_begun(request.node)
    try:
        return _harness_for(request.node)
    except HarnessError as error:
        told = error.told(request.config.stash[_SESSION].spell)
    pytest.fail(f"error: {told}", pytrace=False)  # outside, where no other exception is being handled
